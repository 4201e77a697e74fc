//! The secret of an endpoint: what its signatures are made with, and what the receiver checks them by.
//!
//! Shown as `whsec_` and the standard base64 of the key (Standard Webhooks 1.0.0). It never appears in
//! `Debug`; whoever wants to show it says so by name.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// The fewest bytes of a key (Standard Webhooks 1.0.0).
pub const SECRET_BYTES_MIN: usize = 24;
/// The most bytes of a key (Standard Webhooks 1.0.0).
pub const SECRET_BYTES_MAX: usize = 64;
/// A new key: as long as what HMAC-SHA256 makes of it.
const SECRET_BYTES_NEW: usize = 32;
const PREFIX: &str = "whsec_";

// A new key must be one that would be accepted from outside.
const _: () = assert!(SECRET_BYTES_MIN <= SECRET_BYTES_NEW && SECRET_BYTES_NEW <= SECRET_BYTES_MAX);

/// The key of an endpoint's signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret {
    key: Box<[u8]>,
}

/// Why a text is not a secret. Never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It begins otherwise.
    #[error("secret does not begin with 'whsec_'")]
    Prefix,
    /// What follows is not base64.
    #[error("secret is not standard base64 with padding behind 'whsec_'")]
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
}

impl SigningSecret {
    /// Reads `whsec_<base64>`.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let base64 = text.strip_prefix(PREFIX).ok_or(SecretError::Prefix)?;
        let key = BASE64_STANDARD.decode(base64).map_err(|_| SecretError::Base64)?;
        Self::from_key(&key)
    }

    /// The secret with this key, 24 to 64 bytes.
    pub fn from_key(key: &[u8]) -> Result<Self, SecretError> {
        let (bytes, min, max) = (key.len(), SECRET_BYTES_MIN, SECRET_BYTES_MAX);
        if !(min..=max).contains(&bytes) {
            return Err(SecretError::Length { bytes, min, max });
        }
        Ok(Self { key: key.into() })
    }

    /// A new secret.
    ///
    /// # Panics
    /// If the system has no randomness to give, without which nothing here is safe.
    pub fn generate() -> Self {
        let mut key = [0; SECRET_BYTES_NEW];
        aws_lc_rs::rand::fill(&mut key).expect("the system's random source works");
        Self { key: key.into() }
    }

    /// The key itself, as it is stored.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The form that a customer is shown: `whsec_<base64>`.
    pub fn reveal(&self) -> String {
        let mut text = String::from(PREFIX);
        BASE64_STANDARD.encode_string(&self.key, &mut text);
        text
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_reads_back_as_it_was_revealed() {
        let secret = SigningSecret::generate();
        assert_eq!(SigningSecret::parse(&secret.reveal()), Ok(secret.clone()));
        assert_eq!(secret.key().len(), 32);
        assert_ne!(secret, SigningSecret::generate());
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
    }
}
