//! The secrets of an endpoint: one that signs, and older ones that still do for a while.
//!
//! After a rotation both the new and the old secret sign, until the receiver has had time to learn the new
//! one. Newest first; the first never runs out.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::check::FieldError;

/// How long an old secret still signs when nothing is said: a day.
pub const GRACE_SECONDS_DEFAULT: u32 = 86_400;
/// The longest an old secret may still sign: a week.
pub const GRACE_SECONDS_MAX: u32 = 604_800;

const PREFIX: &str = "whsec_";
/// Key lengths that Standard Webhooks 1.0.0 allows.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// A new key: as long as what HMAC-SHA256 makes of it.
const KEY_BYTES_NEW: usize = 32;

/// A signing secret of an endpoint. Its serde form is the one on disk.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// `whsec_` and the base64 of the key.
    pub key: String,
    /// When it stops signing, unix milliseconds; `None` for the newest.
    #[serde(default)]
    pub expires_ms: Option<u64>,
}

impl Secret {
    /// A new secret from the system's random source.
    pub(super) fn generate() -> Self {
        let mut key = [0; KEY_BYTES_NEW];
        aws_lc_rs::rand::fill(&mut key).expect("the system's random source works");
        Self { key: format!("{PREFIX}{}", BASE64_STANDARD.encode(key)), expires_ms: None }
    }

    /// A secret that was brought along, with or without `whsec_` in front. Errors never repeat it.
    pub(crate) fn parse(field: &'static str, text: &str) -> Result<Self, FieldError> {
        let base64 = text.strip_prefix(PREFIX).unwrap_or(text);
        let Ok(key) = BASE64_STANDARD.decode(base64) else {
            return Err(FieldError::new(
                field,
                "is not standard base64 with padding, after an optional 'whsec_'",
            ));
        };
        if !KEY_BYTES.contains(&key.len()) {
            let (min, max) = (KEY_BYTES.start(), KEY_BYTES.end());
            return Err(FieldError::new(
                field,
                format!("is a key of {} bytes; it must have {min} to {max}", key.len()),
            ));
        }
        Ok(Self { key: format!("{PREFIX}{base64}"), expires_ms: None })
    }

    /// Whether it still signs.
    pub fn is_valid_at(&self, now_ms: u64) -> bool {
        self.expires_ms.is_none_or(|expires_ms| now_ms < expires_ms)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret(redacted, expires_ms: {:?})", self.expires_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_accepted_with_and_without_its_prefix_and_kept_with_it() {
        let own = Secret::generate();
        let bare = own.key.strip_prefix(PREFIX).unwrap();
        assert_eq!(Secret::parse("secret", bare), Ok(own.clone()));
        assert_eq!(Secret::parse("secret", &own.key), Ok(own));
    }

    #[test]
    fn a_refused_secret_is_not_repeated_in_the_error() {
        for text in ["whsec_C2FV", "whsec_secret!", ""] {
            let error = Secret::parse("secret", text).unwrap_err().to_string();
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
        let error = Secret::parse("secret", "whsec_C2FV").unwrap_err().to_string();
        assert_eq!(error, "secret is a key of 3 bytes; it must have 24 to 64");
    }

    #[test]
    fn a_secret_never_appears_in_debug_output() {
        let secret = Secret::generate();
        assert!(!format!("{secret:?}").contains(&secret.key[6..]));
    }
}
