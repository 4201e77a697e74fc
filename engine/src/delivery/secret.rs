//! The secret of an endpoint: what its signatures are made with, and what the receiver checks them by.
//!
//! Two kinds, both of Standard Webhooks 1.0.0, each shown as a prefix and standard base64:
//!
//! | kind | the secret | the receiver checks with |
//! |---|---|---|
//! | `v1`, symmetric: HMAC-SHA256 | `whsec_` and a key of 24 to 64 bytes | the same |
//! | `v1a`, asymmetric: ed25519 (RFC 8032) | `whsk_` and 64 bytes: the seed, and the public key behind it | `whpk_` and the public key |
//!
//! A secret never appears in `Debug`; whoever wants to show it says so by name.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// The fewest bytes of a symmetric key (Standard Webhooks 1.0.0).
pub const SECRET_BYTES_MIN: usize = 24;
/// The most bytes of a symmetric key (Standard Webhooks 1.0.0).
pub const SECRET_BYTES_MAX: usize = 64;
/// A new key: as long as what HMAC-SHA256 makes of it.
const SECRET_BYTES_NEW: usize = 32;
/// The bytes of a seed, and of a public key (RFC 8032 section 5.1.5).
const SEED_BYTES: usize = 32;
const PREFIX: &str = "whsec_";
const PREFIX_PRIVATE: &str = "whsk_";
const PREFIX_PUBLIC: &str = "whpk_";

// A new key must be one that would be accepted from outside.
const _: () = assert!(SECRET_BYTES_MIN <= SECRET_BYTES_NEW && SECRET_BYTES_NEW <= SECRET_BYTES_MAX);

/// The key of an endpoint's signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret {
    pub(super) key: Key,
    expires_ms: Option<u64>,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Key {
    Symmetric(Box<[u8]>),
    /// Only seeds of which a key was made are here.
    Asymmetric(Box<[u8; SEED_BYTES]>),
}

/// Why a text is not a secret. Never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It begins otherwise.
    #[error("secret begins neither with 'whsec_' nor with 'whsk_'")]
    Prefix,
    /// What follows is not base64.
    #[error("secret is not standard base64 with padding behind its prefix")]
    Base64,
    /// The key is too short to be safe, or too long.
    #[error("secret has a key of {bytes} bytes; it must have {min} to {max}")]
    Length {
        /// How many it has.
        bytes: usize,
        /// The fewest.
        min: usize,
        /// The most.
        max: usize,
    },
    /// Not a private key.
    #[error("secret is no ed25519 key of 64 bytes: a seed, and the public key that belongs to it")]
    NoKeyPair,
}

impl SigningSecret {
    /// Reads `whsec_<base64>`, or `whsk_<base64>` of seed and public key or of the seed alone.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        if let Some(base64) = text.strip_prefix(PREFIX_PRIVATE) {
            return Self::from_key_pair(&BASE64_STANDARD.decode(base64).map_err(|_| SecretError::Base64)?);
        }
        let base64 = text.strip_prefix(PREFIX).ok_or(SecretError::Prefix)?;
        let key = BASE64_STANDARD.decode(base64).map_err(|_| SecretError::Base64)?;
        Self::from_key(&key)
    }

    /// The symmetric secret with this key, 24 to 64 bytes.
    pub fn from_key(key: &[u8]) -> Result<Self, SecretError> {
        let (bytes, min, max) = (key.len(), SECRET_BYTES_MIN, SECRET_BYTES_MAX);
        if !(min..=max).contains(&bytes) {
            return Err(SecretError::Length { bytes, min, max });
        }
        Ok(Self { key: Key::Symmetric(key.into()), expires_ms: None })
    }

    /// The asymmetric secret with this seed, and the public key behind it if it is there.
    pub fn from_key_pair(seed_and_public: &[u8]) -> Result<Self, SecretError> {
        let (seed, public) = seed_and_public.split_at_checked(SEED_BYTES).ok_or(SecretError::NoKeyPair)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| SecretError::NoKeyPair)?;
        if !public.is_empty() && public != pair.public_key().as_ref() {
            return Err(SecretError::NoKeyPair);
        }
        let seed =
            Box::<[u8; SEED_BYTES]>::try_from(Box::<[u8]>::from(seed)).map_err(|_| SecretError::NoKeyPair)?;
        Ok(Self { key: Key::Asymmetric(seed), expires_ms: None })
    }

    /// A new symmetric secret.
    ///
    /// # Panics
    /// If the system has no randomness to give, without which nothing here is safe.
    pub fn generate() -> Self {
        Self { key: Key::Symmetric(random().into()), expires_ms: None }
    }

    /// A new asymmetric secret.
    ///
    /// # Panics
    /// As [`Self::generate`].
    pub fn generate_key_pair() -> Self {
        Self { key: Key::Asymmetric(Box::new(random())), expires_ms: None }
    }

    /// The same, signing no longer than until this time (unix milliseconds).
    pub fn expiring_at(self, expires_ms: Option<u64>) -> Self {
        Self { expires_ms, ..self }
    }

    /// When it stops signing, unix milliseconds.
    pub(super) fn expires_ms(&self) -> Option<u64> {
        self.expires_ms
    }

    /// The form in which it is kept: `whsec_` or `whsk_`, and base64.
    pub fn reveal(&self) -> String {
        match &self.key {
            Key::Symmetric(key) => with_prefix(PREFIX, key),
            Key::Asymmetric(seed) => {
                with_prefix(PREFIX_PRIVATE, &[&seed[..], key_pair(seed).public_key().as_ref()].concat())
            }
        }
    }

    /// What a receiver checks signatures by: the secret itself, or of an asymmetric one the public key.
    pub fn for_receivers(&self) -> String {
        match &self.key {
            Key::Symmetric(_) => self.reveal(),
            Key::Asymmetric(seed) => with_prefix(PREFIX_PUBLIC, key_pair(seed).public_key().as_ref()),
        }
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(redacted)")
    }
}

/// The key of a seed.
///
/// # Panics
/// If there was no memory for it: every seed of 32 bytes is one.
pub(super) fn key_pair(seed: &[u8; SEED_BYTES]) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed).expect("32 bytes are a seed")
}

fn with_prefix(prefix: &str, key: &[u8]) -> String {
    let mut text = String::from(prefix);
    BASE64_STANDARD.encode_string(key, &mut text);
    text
}

fn random() -> [u8; SECRET_BYTES_NEW] {
    let mut key = [0; SECRET_BYTES_NEW];
    aws_lc_rs::rand::fill(&mut key).expect("the system's random source works");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_reads_back_as_it_was_revealed() {
        for secret in [SigningSecret::generate(), SigningSecret::generate_key_pair()] {
            assert_eq!(SigningSecret::parse(&secret.reveal()), Ok(secret));
        }
        assert_ne!(SigningSecret::generate(), SigningSecret::generate());
        assert_ne!(SigningSecret::generate_key_pair(), SigningSecret::generate_key_pair());
    }

    #[test]
    fn a_secret_never_appears_in_debug_output() {
        let text = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let shown = format!("{:?}", SigningSecret::parse(text));
        assert_eq!(shown, "Ok(SigningSecret(redacted))");
    }

    #[test]
    fn keys_outside_24_to_64_bytes_are_refused_with_the_limits() {
        assert!(SigningSecret::from_key(&[1; 24]).is_ok());
        assert!(SigningSecret::from_key(&[1; 64]).is_ok());
        assert!(SigningSecret::from_key(&[1; 65]).is_err());
        let refusal = SigningSecret::from_key(&[1; 23]).unwrap_err();
        assert_eq!(refusal.to_string(), "secret has a key of 23 bytes; it must have 24 to 64");
        assert_eq!(SigningSecret::parse("C2FVsBQIhrscChlQIMV+b5sSYspob7oD"), Err(SecretError::Prefix));
        assert_eq!(SigningSecret::parse("whsec_C2FVs!"), Err(SecretError::Base64));
        assert_eq!(SigningSecret::parse("whsk_C2FVs!"), Err(SecretError::Base64));
    }

    #[test]
    fn a_key_pair_is_read_from_its_seed_and_its_public_key_is_what_receivers_get() {
        // RFC 8032 section 7.1, test 1.
        let seed = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
        let public = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        let secret = SigningSecret::parse(&format!("whsk_{seed}")).unwrap();
        assert_eq!(secret.for_receivers(), format!("whpk_{public}"));
        let whole = secret.reveal();
        assert_eq!(SigningSecret::parse(&whole), Ok(secret.clone()));
        assert!(whole.starts_with("whsk_nWGxne") && !whole.contains(public), "64 bytes in one base64");

        let other = SigningSecret::generate_key_pair();
        let Key::Asymmetric(other) = other.key else { unreachable!() };
        let mixed = [&BASE64_STANDARD.decode(seed).unwrap(), key_pair(&other).public_key().as_ref()].concat();
        for bytes in [&mixed[..], &mixed[..63], &mixed[..31], &[]] {
            assert_eq!(SigningSecret::from_key_pair(bytes), Err(SecretError::NoKeyPair));
        }
        let symmetric = SigningSecret::generate();
        assert_eq!(symmetric.for_receivers(), symmetric.reveal());
    }
}
