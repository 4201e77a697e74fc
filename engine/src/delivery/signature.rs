//! The signature of a request, by which a receiver knows who sent it and that nothing was changed.
//!
//! Standard Webhooks 1.0.0, over `{id}.{timestamp}.{body}`: `v1` is HMAC-SHA256, `v1a` is ed25519; each as its name,
//! a comma and base64. One per secret, separated by spaces, newest first, so that a receiver may change secrets at
//! its own pace. A secret whose time is over signs no more, from one request to the next.
//!
//! Keys are prepared once per endpoint: a `v1` signature then costs the two hash runs of its message only. A `v1a`
//! signature costs a copy of the message besides, which ed25519 reads twice (RFC 8032 section 5.1.6).

use std::ops::Range;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::secret::{self, SigningSecret};

/// The most that the text of one signature takes: `v1a,` and the base64 of 64 bytes.
const TEXT_BYTES_MAX: usize = 4 + 88;

/// Prepared keys, newest first. Cheap to clone.
#[derive(Clone)]
pub(super) struct Signer {
    keys: Arc<[Prepared]>,
}

struct Prepared {
    key: Key,
    /// The first second in which it does not sign.
    until_secs: u64,
}

#[allow(clippy::large_enum_variant, reason = "nearly every key is of the large kind, and a signer holds few")]
enum Key {
    Symmetric(Box<hmac::Key>),
    Asymmetric(Ed25519KeyPair),
}

impl Signer {
    pub(super) fn new(secrets: &[SigningSecret]) -> Self {
        let prepare = |secret: &SigningSecret| Prepared {
            key: match &secret.key {
                secret::Key::Symmetric(key) => {
                    Key::Symmetric(Box::new(hmac::Key::new(hmac::HMAC_SHA256, key)))
                }
                secret::Key::Asymmetric(seed) => Key::Asymmetric(secret::key_pair(seed)),
            },
            until_secs: secret.expires_ms().map_or(u64::MAX, |ms| ms.div_ceil(1_000)),
        };
        Self { keys: secrets.iter().map(prepare).collect() }
    }

    /// Whether there is anything to sign with.
    pub(super) fn signs(&self, unix_secs: u64) -> bool {
        self.keys.iter().any(|prepared| unix_secs < prepared.until_secs)
    }

    /// How many bytes [`Self::write`] will write at most.
    pub(super) fn text_bytes_max(&self) -> usize {
        self.keys.len() * (TEXT_BYTES_MAX + 1)
    }

    /// Writes the value of `webhook-signature` behind `out`, in which id and timestamp already stand, as of
    /// `unix_secs`.
    pub(super) fn write(
        &self,
        id: Range<usize>,
        timestamp: Range<usize>,
        payload: &[u8],
        unix_secs: u64,
        out: &mut Vec<u8>,
    ) {
        let began = out.len();
        for prepared in self.keys.iter().filter(|prepared| unix_secs < prepared.until_secs) {
            if out.len() > began {
                out.push(b' ');
            }
            let signed = [&out[id.clone()], b".", &out[timestamp.clone()], b".", payload];
            match &prepared.key {
                Key::Symmetric(key) => {
                    let mut run = hmac::Context::with_key(key);
                    signed.into_iter().for_each(|part| run.update(part));
                    write_text::<44>(b"v1,", run.sign().as_ref(), out);
                }
                Key::Asymmetric(key) => {
                    let signature = key.sign(&signed.concat());
                    write_text::<88>(b"v1a,", signature.as_ref(), out);
                }
            }
        }
    }
}

/// Writes a signature whose base64 takes so many bytes.
fn write_text<const BASE64_BYTES: usize>(version: &[u8], signature: &[u8], out: &mut Vec<u8>) {
    let mut base64 = [0; BASE64_BYTES];
    let written = BASE64_STANDARD.encode_slice(signature, &mut base64);
    debug_assert_eq!(written, Ok(BASE64_BYTES));
    out.extend_from_slice(version);
    out.extend_from_slice(&base64);
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signature, VerifyingKey};

    use super::*;

    fn sign_at(secrets: &[SigningSecret], id: &str, unix_secs: u64, payload: &[u8]) -> String {
        let signer = Signer::new(secrets);
        let mut out = format!("{id}{unix_secs}").into_bytes();
        let before = out.len();
        signer.write(0..id.len(), id.len()..before, payload, unix_secs, &mut out);
        assert!(out.len() - before <= signer.text_bytes_max());
        assert_eq!(out.len() > before, signer.signs(unix_secs));
        String::from_utf8(out.split_off(before)).unwrap()
    }

    /// What a receiver does who has the public key, written with another library than the one that signs.
    fn verify_v1a(public: &str, signature: &str, signed: &[u8]) -> bool {
        let bytes = |text: &str| BASE64_STANDARD.decode(text).unwrap();
        let public = bytes(public.strip_prefix("whpk_").unwrap());
        let key = VerifyingKey::from_bytes(&public.try_into().unwrap()).unwrap();
        let signature = Signature::from_slice(&bytes(signature.strip_prefix("v1a,").unwrap())).unwrap();
        key.verify_strict(signed, &signature).is_ok()
    }

    #[test]
    fn the_vector_of_the_specification_comes_out() {
        let secret = SigningSecret::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        let payload = br#"{"email":"test@example.com","username":"test_user"}"#;
        assert_eq!(
            sign_at(&[secret], "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, payload),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
    }

    #[test]
    fn the_reference_library_signs_the_same() {
        for payload in ["", "{}", &"x".repeat(70_000)] {
            let secret = SigningSecret::generate();
            let reference = standardwebhooks::Webhook::new(&secret.reveal()).unwrap();
            let expected = reference.sign("msg_1-0", 1_700_000_000, payload.as_bytes()).unwrap();
            assert_eq!(sign_at(&[secret], "msg_1-0", 1_700_000_000, payload.as_bytes()), expected);
        }
    }

    #[test]
    fn whoever_has_the_public_key_verifies_v1a() {
        let secret = SigningSecret::generate_key_pair();
        for payload in ["", "{}", &"x".repeat(70_000)] {
            let signature = sign_at(std::slice::from_ref(&secret), "msg_1-0", 7, payload.as_bytes());
            let signed = format!("msg_1-0.7.{payload}");
            assert!(verify_v1a(&secret.for_receivers(), &signature, signed.as_bytes()));
            assert!(!verify_v1a(&secret.for_receivers(), &signature, format!("{signed} ").as_bytes()));
            let other = SigningSecret::generate_key_pair();
            assert!(!verify_v1a(&other.for_receivers(), &signature, signed.as_bytes()));
        }
    }

    #[test]
    fn every_secret_signs_newest_first_whatever_its_kind() {
        let secrets =
            [SigningSecret::generate(), SigningSecret::generate_key_pair(), SigningSecret::generate()];
        let each: Vec<_> =
            secrets.iter().map(|one| sign_at(std::slice::from_ref(one), "msg_1-0", 1, b"{}")).collect();
        assert_eq!(sign_at(&secrets, "msg_1-0", 1, b"{}"), each.join(" "));
        assert_eq!(sign_at(&[], "msg_1-0", 1, b"{}"), "");
    }

    #[test]
    fn a_secret_stops_signing_by_itself_when_its_time_is_over() {
        let new = SigningSecret::generate();
        let old = SigningSecret::generate().expiring_at(Some(1_700_000_100_000));
        let both = [new.clone(), old.clone()];
        let count = |unix_secs| sign_at(&both, "msg_1-0", unix_secs, b"{}").split(' ').count();
        assert_eq!((count(1_700_000_099), count(1_700_000_100)), (2, 1));
        let last = sign_at(&both, "msg_1-0", 1_700_000_100, b"{}");
        assert_eq!(last, sign_at(&[new], "msg_1-0", 1_700_000_100, b"{}"));
        assert_eq!(sign_at(&[old], "msg_1-0", 1_700_000_100, b"{}"), "", "and there may be none left");
    }
}
