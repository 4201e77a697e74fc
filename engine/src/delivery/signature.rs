//! The signature of a request, by which a receiver knows who sent it and that nothing was changed.
//!
//! Standard Webhooks 1.0.0, `v1`: HMAC-SHA256 over `{id}.{timestamp}.{body}`, as `v1,` and base64. One per
//! secret, separated by spaces, newest first, so that a receiver may change secrets at its own pace.
//!
//! Keys are prepared once per endpoint: each signature then costs the two hash runs of its message only.

use std::ops::Range;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::secret::SigningSecret;

/// The text of one signature: `v1,` and the base64 of 32 bytes.
const SIGNATURE_TEXT_BYTES: usize = 3 + 44;

/// Prepared keys, newest first.
#[derive(Clone)]
pub(super) struct Signer {
    keys: Box<[hmac::Key]>,
}

impl Signer {
    pub(super) fn new(secrets: &[SigningSecret]) -> Self {
        let prepare = |secret: &SigningSecret| hmac::Key::new(hmac::HMAC_SHA256, secret.key());
        Self { keys: secrets.iter().map(prepare).collect() }
    }

    /// Whether there is anything to sign with.
    pub(super) fn signs(&self) -> bool {
        !self.keys.is_empty()
    }

    /// How many bytes [`Self::write`] will write.
    pub(super) fn text_bytes(&self) -> usize {
        (self.keys.len() * (SIGNATURE_TEXT_BYTES + 1)).saturating_sub(1)
    }

    /// Writes the value of `webhook-signature` behind `out`, in which id and timestamp already stand.
    pub(super) fn write(&self, id: Range<usize>, timestamp: Range<usize>, payload: &[u8], out: &mut Vec<u8>) {
        for (number, key) in self.keys.iter().enumerate() {
            let mut run = hmac::Context::with_key(key);
            for part in [&out[id.clone()], b".", &out[timestamp.clone()], b".", payload] {
                run.update(part);
            }
            let mut base64 = [0; 44];
            let written = BASE64_STANDARD.encode_slice(run.sign(), &mut base64);
            debug_assert_eq!(written, Ok(base64.len()));
            out.extend_from_slice(if number == 0 { b"v1,".as_slice() } else { b" v1," });
            out.extend_from_slice(&base64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(secrets: &[SigningSecret], id: &str, unix_secs: u64, payload: &[u8]) -> String {
        let signer = Signer::new(secrets);
        let mut out = format!("{id}{unix_secs}").into_bytes();
        let before = out.len();
        signer.write(0..id.len(), id.len()..before, payload, &mut out);
        assert_eq!(out.len() - before, signer.text_bytes());
        String::from_utf8(out.split_off(before)).unwrap()
    }

    #[test]
    fn the_vector_of_the_specification_comes_out() {
        let secret = SigningSecret::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        let payload = br#"{"email":"test@example.com","username":"test_user"}"#;
        assert_eq!(
            sign(&[secret], "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, payload),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
    }

    #[test]
    fn the_reference_library_signs_the_same() {
        for payload in ["", "{}", &"x".repeat(70_000)] {
            let secret = SigningSecret::generate();
            let reference = standardwebhooks::Webhook::new(&secret.reveal()).unwrap();
            let expected = reference.sign("msg_1-0", 1_700_000_000, payload.as_bytes()).unwrap();
            assert_eq!(sign(&[secret], "msg_1-0", 1_700_000_000, payload.as_bytes()), expected);
        }
    }

    #[test]
    fn every_secret_signs_newest_first() {
        let (new, old) = (SigningSecret::generate(), SigningSecret::generate());
        let both = sign(&[new.clone(), old.clone()], "msg_1-0", 1, b"{}");
        let each = format!("{} {}", sign(&[new], "msg_1-0", 1, b"{}"), sign(&[old], "msg_1-0", 1, b"{}"));
        assert_eq!(both, each);
        assert_eq!(sign(&[], "msg_1-0", 1, b"{}"), "");
    }
}
