//! The text of a key that is made: `ph_<environment>_<11 digits of its id>_<43 digits>`.
//!
//! What it begins with tells people and scanners of secrets what it is, and where it belongs; the id finds the key
//! without looking through all of them; the last part is what nobody can guess: 43 digits to the base of 62, each drawn
//! evenly, 256 bits. Digits and letters only, so that a double click takes all of it.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;

use crate::core::ids::ApiKeyId;

const PREFIX: &str = "ph";
const SECRET_DIGITS: usize = 43;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Bytes from here on would make some digits more likely than others.
const EVEN_BELOW: u8 = 62 * 4;

/// The SHA-256 of a token.
pub(crate) type Digest = [u8; 32];

/// A token that was made just now: the only moment in which it is known.
pub struct NewToken {
    /// What its owner keeps.
    pub text: String,
    /// What the server keeps.
    pub sha256: Digest,
}

impl NewToken {
    /// For the key of this id.
    pub fn generate(environment: &str, id: ApiKeyId) -> Self {
        let text = format!("{}{}", shown_part(environment, id), secret());
        Self { sha256: digest_of(&text), text }
    }

    /// Its digest in hexadecimal digits.
    pub fn sha256_hex(&self) -> String {
        self.sha256.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewToken(redacted)")
    }
}

/// The part of a token that may be shown.
pub(crate) fn shown_part(environment: &str, id: ApiKeyId) -> String {
    format!("{PREFIX}_{environment}_{}_", digits_of(id))
}

/// The environment and the id that a token names, if it has the form of one that is made.
pub(crate) fn parse(token: &str) -> Option<(&str, ApiKeyId)> {
    let [prefix, environment, id, secret] = token.split('_').collect::<Vec<_>>()[..] else { return None };
    let is_secret = secret.len() == SECRET_DIGITS && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let id = format!("{}{id}", ApiKeyId::PREFIX).parse().ok()?;
    (prefix == PREFIX && is_secret).then_some((environment, id))
}

pub(crate) fn digest_of(token: &str) -> Digest {
    let mut bytes = Digest::default();
    bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    bytes
}

fn digits_of(id: ApiKeyId) -> String {
    let text = id.to_string();
    text.strip_prefix(ApiKeyId::PREFIX).unwrap_or_default().to_owned()
}

fn secret() -> String {
    let mut secret = String::with_capacity(SECRET_DIGITS);
    while secret.len() < SECRET_DIGITS {
        let mut bytes = [0; 64];
        rand::fill(&mut bytes).expect("the system's random source works");
        let even = bytes.iter().filter(|byte| **byte < EVEN_BELOW);
        let digits = even.map(|byte| char::from(DIGITS[usize::from(*byte) % DIGITS.len()]));
        secret.extend(digits.take(SECRET_DIGITS - secret.len()));
    }
    secret
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    const ID: ApiKeyId = ApiKeyId::from_u64(42);

    #[test]
    fn a_token_says_where_it_belongs_and_which_key_it_is() {
        let token = NewToken::generate("live", ID);
        assert!(token.text.starts_with("ph_live_0000000000g_"), "{}", token.text);
        assert_eq!(token.text.len(), "ph_live_".len() + 11 + 1 + 43);
        assert_eq!(parse(&token.text), Some(("live", ID)));
        assert_eq!(token.sha256, digest_of(&token.text));
        assert_eq!(format!("{token:?}"), "NewToken(redacted)");
    }

    #[test]
    fn what_has_another_form_is_none() {
        let token = NewToken::generate("live", ID).text;
        let cut = &token[..token.len() - 1];
        for text in ["", "ph", "ph_live", cut, &format!("{token}x"), &token.replace("ph_", "pk_"), "portal_x"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&token.replace("ph_live_0", "ph_live_*")), None);
    }

    #[test]
    fn no_two_tokens_are_alike_and_all_digits_are_about_as_frequent() {
        let tokens: HashSet<String> = (0..2_000).map(|_| secret()).collect();
        assert_eq!(tokens.len(), 2_000);
        let mut counts: HashMap<char, usize> = HashMap::new();
        tokens
            .iter()
            .flat_map(|token| token.chars())
            .for_each(|digit| *counts.entry(digit).or_default() += 1);
        // 86,000 draws from 62: 1387 each, with a standard deviation of 37; eight of them to either side.
        assert_eq!(counts.len(), 62);
        assert!(counts.values().all(|count| (1_090..1_690).contains(count)), "{counts:?}");
    }
}
