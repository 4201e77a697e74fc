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

    #[test]
    fn what_is_no_secret_is_refused_without_repeating_it() {
        for text in ["", "whsec_", "whsec_%%%", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            let error = Secret::new(text).unwrap_err().to_string();
            assert_eq!(error, "it is not whsec_ followed by base64", "{text}");
        }
    }
}
