//! The secrets of an endpoint: one that signs, and older ones that still do for a while.
//!
//! After a rotation both the new and the old secret sign, until the receiver has had time to learn the new
//! one. Newest first; the first never runs out. They may be of different kinds: who changes from one to the other
//! has both meanwhile.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::check::FieldError;
use crate::delivery::{SecretError, SigningSecret};

/// How long an old secret still signs when nothing is said: a day.
pub const GRACE_SECONDS_DEFAULT: u32 = 86_400;
/// The longest an old secret may still sign: a week.
pub const GRACE_SECONDS_MAX: u32 = 604_800;

const PREFIX: &str = "whsec_";
const PREFIX_PRIVATE: &str = "whsk_";

/// What kind of signature a secret makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureKind {
    /// HMAC-SHA256, which the receiver checks with the same secret.
    V1,
    /// ed25519, which the receiver checks with the public key.
    V1a,
}

impl SignatureKind {
    /// Its name in the API and in signatures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1a => "v1a",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::V1, Self::V1a].into_iter().find(|kind| kind.name() == name)
    }
}

/// What the next secret of an endpoint is to be.
#[derive(Clone, Copy, Default)]
pub struct NewSecret<'a> {
    /// This one; without it, a random one.
    pub key: Option<&'a str>,
    /// Of this kind; without it, of the kind of the present one.
    pub kind: Option<SignatureKind>,
}

impl NewSecret<'_> {
    /// Makes it, where `present` is what the endpoint has so far.
    pub(super) fn make(self, present: Option<&Secret>) -> Result<Secret, FieldError> {
        let Some(key) = self.key else {
            let kind = self.kind.or(present.map(Secret::kind)).unwrap_or(SignatureKind::V1);
            return Ok(Secret::generate(kind));
        };
        let secret = Secret::parse("key", key)?;
        match self.kind {
            Some(kind) if kind != secret.kind() => {
                let problem =
                    format!("is {}, but the key that is given is for {}", kind.name(), secret.kind().name());
                Err(FieldError::new("signature", problem))
            }
            _ => Ok(secret),
        }
    }
}

/// A signing secret of an endpoint. Its serde form is the one on disk.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// `whsec_` or `whsk_`, and the base64 of the key.
    pub key: String,
    /// When it stops signing, unix milliseconds; `None` for the newest.
    #[serde(default)]
    pub expires_ms: Option<u64>,
}

impl Secret {
    /// A new secret from the system's random source.
    pub(super) fn generate(kind: SignatureKind) -> Self {
        let secret = match kind {
            SignatureKind::V1 => SigningSecret::generate(),
            SignatureKind::V1a => SigningSecret::generate_key_pair(),
        };
        Self { key: secret.reveal(), expires_ms: None }
    }

    /// A secret that was brought along, with or without `whsec_` in front, or with `whsk_`. Errors never repeat it.
    pub(crate) fn parse(field: &'static str, text: &str) -> Result<Self, FieldError> {
        let has_prefix = [PREFIX, PREFIX_PRIVATE].iter().any(|prefix| text.starts_with(prefix));
        let parsed = if has_prefix {
            SigningSecret::parse(text)
        } else {
            SigningSecret::parse(&format!("{PREFIX}{text}"))
        };
        let problem = |error| {
            match error {
            SecretError::Length { bytes, min, max } => {
                format!("is a key of {bytes} bytes; it must have {min} to {max}")
            }
            SecretError::NoKeyPair => {
                "is no ed25519 key: behind 'whsk_' stands the base64 of seed and public key, 64 bytes, or of the \
                 seed alone"
                    .to_owned()
            }
            SecretError::Base64 | SecretError::Prefix => {
                "is not standard base64 with padding, after an optional 'whsec_', or after 'whsk_'".to_owned()
            }
        }
        };
        let parsed = parsed.map_err(|error| FieldError::new(field, problem(error)))?;
        Ok(Self { key: parsed.reveal(), expires_ms: None })
    }

    /// What kind of signature it makes.
    pub fn kind(&self) -> SignatureKind {
        if self.key.starts_with(PREFIX_PRIVATE) { SignatureKind::V1a } else { SignatureKind::V1 }
    }

    /// What a receiver needs to check signatures: the secret itself, or the public key (`whpk_`) of a private one.
    /// `None` if what was stored is no secret.
    pub fn for_receivers(&self) -> Option<String> {
        SigningSecret::parse(&self.key).ok().map(|secret| secret.for_receivers())
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
        let own = Secret::generate(SignatureKind::V1);
        let bare = own.key.strip_prefix(PREFIX).unwrap();
        assert_eq!(Secret::parse("secret", bare), Ok(own.clone()));
        assert_eq!(Secret::parse("secret", &own.key), Ok(own));
    }

    #[test]
    fn a_private_key_is_accepted_with_its_prefix_and_only_its_public_key_is_for_receivers() {
        let own = Secret::generate(SignatureKind::V1a);
        assert_eq!(Secret::parse("secret", &own.key), Ok(own.clone()));
        assert_eq!(own.kind(), SignatureKind::V1a);
        let shown = own.for_receivers().unwrap();
        assert!(shown.starts_with("whpk_") && own.key.starts_with("whsk_"), "{shown}");
        let error = Secret::parse("secret", &shown.replace("whpk_", "whsk_x")).unwrap_err();
        assert_eq!(error.field, "secret");
    }

    #[test]
    fn a_new_secret_is_of_the_kind_of_the_one_before_unless_something_else_is_said() {
        let present = Secret::generate(SignatureKind::V1a);
        let kind = |new: NewSecret<'_>| new.make(Some(&present)).unwrap().kind();
        assert_eq!(kind(NewSecret::default()), SignatureKind::V1a);
        assert_eq!(kind(NewSecret { kind: Some(SignatureKind::V1), key: None }), SignatureKind::V1);
        let given = Secret::generate(SignatureKind::V1).key;
        assert_eq!(kind(NewSecret { key: Some(&given), kind: None }), SignatureKind::V1);
        let contradiction = NewSecret { key: Some(&given), kind: Some(SignatureKind::V1a) };
        let error = contradiction.make(Some(&present)).unwrap_err();
        assert_eq!(error.to_string(), "signature is v1a, but the key that is given is for v1");
    }

    #[test]
    fn a_refused_secret_is_not_repeated_in_the_error() {
        for text in ["whsec_C2FV", "whsec_secret!", "whsk_C2FV", "whsk_secret!", ""] {
            let error = Secret::parse("secret", text).unwrap_err().to_string();
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
        let error = Secret::parse("secret", "whsec_C2FV").unwrap_err().to_string();
        assert_eq!(error, "secret is a key of 3 bytes; it must have 24 to 64");
    }

    #[test]
    fn a_secret_never_appears_in_debug_output() {
        for kind in [SignatureKind::V1, SignatureKind::V1a] {
            let secret = Secret::generate(kind);
            assert!(!format!("{secret:?}").contains(&secret.key[6..]));
        }
    }
}
