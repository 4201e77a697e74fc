//! Whether a request is signed as Standard Webhooks wants it. Off the fast path: only where a secret is given.

use http::{HeaderMap, HeaderValue};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};

use super::request::Request;

const SECRET_PREFIX: &str = "whsec_";
const SECRET_BYTES_MIN: usize = 1;

/// What signatures are checked with.
pub(crate) struct Secret(Webhook);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// A secret as endpoints have it: `whsec_` and base64.
    pub(crate) fn new(text: &str) -> anyhow::Result<Self> {
        let encoded = text.strip_prefix(SECRET_PREFIX).filter(|encoded| encoded.len() >= SECRET_BYTES_MIN);
        let webhook = encoded.and_then(|encoded| Webhook::new(encoded).ok());
        // The value is not repeated: secrets do not belong into terminals and logs.
        let webhook = webhook.ok_or_else(|| anyhow::anyhow!("it is not whsec_ followed by base64"))?;
        Ok(Self(webhook))
    }

    /// The signature of a message of one's own.
    pub(crate) fn sign(&self, webhook_id: &str, timestamp: i64, body: &[u8]) -> anyhow::Result<String> {
        Ok(self.0.sign(webhook_id, timestamp, body)?)
    }

    pub(super) fn signed(&self, request: &Request<'_>) -> bool {
        let mut headers = HeaderMap::with_capacity(4);
        for (name, value) in [
            (HEADER_WEBHOOK_ID, request.webhook_id),
            (HEADER_WEBHOOK_TIMESTAMP, request.webhook_timestamp),
            (HEADER_WEBHOOK_SIGNATURE, request.webhook_signature),
        ] {
            let Ok(value) = HeaderValue::from_str(value) else { return false };
            headers.insert(name, value);
        }
        self.0.verify(request.body, &headers).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"n":1}"#;

    fn secret() -> Secret {
        Secret::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap()
    }

    /// A request that is signed so, a moment ago.
    fn is_taken(signature: &str, timestamp: i64, body: &[u8]) -> bool {
        let timestamp = timestamp.to_string();
        let request = Request {
            method: "POST",
            target: "/",
            webhook_id: "msg_1",
            webhook_timestamp: &timestamp,
            webhook_signature: signature,
            body,
        };
        secret().signed(&request)
    }

    fn now() -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        since.as_secs().try_into().unwrap()
    }

    #[test]
    fn rustsec_2024_0010_cve_2024_21491_a_signature_that_is_cut_short_is_wrong() {
        let timestamp = now();
        let whole = secret().sign("msg_1", timestamp, BODY).unwrap();
        assert!(is_taken(&whole, timestamp, BODY));
        for end in 0..whole.len() {
            assert!(!is_taken(&whole[..end], timestamp, BODY), "{}", &whole[..end]);
        }
        for other in ["", "v1", "v1,", "v1, ", ",", "v1,A", "v1,=", "v1,====", "v1a,", "v2,", " v1,"] {
            assert!(!is_taken(other, timestamp, BODY), "{other:?}");
        }
        // One that is right among others is right: that is how secrets are rotated.
        assert!(is_taken(&format!("v1, v1,AAAA {whole}"), timestamp, BODY));
    }

    #[test]
    fn cve_2025_53548_a_signature_is_compared_and_not_only_computed() {
        let timestamp = now();
        let whole = secret().sign("msg_1", timestamp, BODY).unwrap();
        let other_body = secret().sign("msg_1", timestamp, b"{}").unwrap();
        let other_id = secret().sign("msg_2", timestamp, BODY).unwrap();
        let other_time = secret().sign("msg_1", timestamp - 1, BODY).unwrap();
        let other_secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let other_secret = other_secret.sign("msg_1", timestamp, BODY).unwrap();
        for wrong in [other_body, other_id, other_time, other_secret] {
            assert!(!is_taken(&wrong, timestamp, BODY), "{wrong}");
        }
        assert!(!is_taken(&whole, timestamp, b"{\"n\":2}"));
        // Signed well, an hour ago: somebody plays it again.
        let old = secret().sign("msg_1", timestamp - 3_600, BODY).unwrap();
        assert!(!is_taken(&old, timestamp - 3_600, BODY));
    }

    #[test]
    fn what_is_no_secret_is_refused_without_repeating_it() {
        for text in ["", "whsec_", "whsec_%%%", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            let error = Secret::new(text).unwrap_err().to_string();
            assert_eq!(error, "it is not whsec_ followed by base64", "{text}");
        }
    }
}
