//! The request of one attempt: the target's headers, the message's payload, a signature of this second.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Uri, Version};
use http_body_util::Full;

use crate::core::outcome::Outcome;

use super::failure::Failure;
use super::signature::TimestampText;
use super::target::{CONTENT_TYPE_DEFAULT, Target, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};

/// The most bytes of a message id.
const MESSAGE_ID_BYTES_MAX: usize = 64;

/// What a request says about its message, besides the payload.
#[derive(Debug, Clone, Copy)]
pub struct MessageHead<'a> {
    /// Its id, the same at every attempt: 1 to 64 of `[A-Za-z0-9_-]`. A dot in it would let one signature
    /// stand for two messages (Standard Webhooks 1.0.0, "Signature scheme").
    pub id: &'a str,
    /// The media type of the payload; `application/json` where none is given.
    pub content_type: Option<&'a str>,
}

/// Everything of a request that is the same whichever connection it goes over. Cheap to clone.
#[derive(Clone)]
pub(super) struct Signed {
    id: HeaderValue,
    timestamp: HeaderValue,
    signature: HeaderValue,
    content_type: Option<HeaderValue>,
    payload: Bytes,
}

impl Signed {
    pub(super) fn new(
        target: &Target,
        message: MessageHead<'_>,
        payload: Bytes,
        unix_secs: u64,
    ) -> Result<Self, Failure> {
        check_id(message.id)?;
        let timestamp = TimestampText::new(unix_secs);
        let timestamp = timestamp.as_str();
        // One buffer for all three values.
        let bytes = message.id.len() + timestamp.len() + target.signer().text_bytes();
        let mut text = BytesMut::with_capacity(bytes);
        text.put_slice(message.id.as_bytes());
        let id = text.split().freeze();
        text.put_slice(timestamp.as_bytes());
        let timestamp_bytes = text.split().freeze();
        target.signer().write(message.id, timestamp, &payload, &mut text);
        Ok(Self {
            id: value(id)?,
            timestamp: value(timestamp_bytes)?,
            signature: value(text.freeze())?,
            content_type: content_type(message.content_type)?,
            payload,
        })
    }

    /// The request in the form of this version of HTTP.
    pub(super) fn request(&self, target: &Target, version: Version) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.payload.clone()));
        *request.method_mut() = Method::POST;
        *request.headers_mut() = target.headers().clone();
        if version == Version::HTTP_2 {
            // HTTP/2 takes scheme and authority from the URI (RFC 9113 section 8.3.1).
            *request.uri_mut() = target.uri().clone();
            request.headers_mut().remove(HOST);
        } else {
            *request.uri_mut() = Uri::from(target.url().path_and_query().clone());
        }
        self.fill_in(request.headers_mut());
        if self.payload.is_empty() {
            // hyper says the length of a body, but nothing about an empty one (RFC 9110 section 8.6).
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        request
    }

    fn fill_in(&self, headers: &mut http::HeaderMap) {
        for (name, value) in [
            (WEBHOOK_ID, Some(&self.id)),
            (WEBHOOK_TIMESTAMP, Some(&self.timestamp)),
            (WEBHOOK_SIGNATURE, Some(&self.signature)),
            (CONTENT_TYPE, self.content_type.as_ref()),
        ] {
            // Without a secret there is no place for a signature.
            if let (Some(place), Some(value)) = (headers.get_mut(name), value) {
                *place = value.clone();
            }
        }
    }
}

fn check_id(id: &str) -> Result<(), Failure> {
    let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if id.is_empty() || id.len() > MESSAGE_ID_BYTES_MAX || !is_plain {
        return Err(Failure::new(Outcome::RequestInvalid, "the message id is not 1 to 64 of [A-Za-z0-9_-]"));
    }
    Ok(())
}

/// The value of `content-type`, where it is not the one that the target has anyway.
fn content_type(given: Option<&str>) -> Result<Option<HeaderValue>, Failure> {
    let differing = given.filter(|given| *given != CONTENT_TYPE_DEFAULT);
    differing.map(HeaderValue::from_str).transpose().map_err(|_| {
        Failure::new(Outcome::RequestInvalid, "the content type of the message is not a header value")
    })
}

fn value(text: Bytes) -> Result<HeaderValue, Failure> {
    HeaderValue::from_maybe_shared(text)
        .map_err(|_| Failure::new(Outcome::RequestInvalid, "a header of the request is not valid"))
}

#[cfg(test)]
mod tests {
    use super::super::secret::SigningSecret;
    use super::super::target::{SuccessRule, TargetSpec};
    use super::*;

    fn target(secrets: &[SigningSecret]) -> Target {
        Target::prepare(TargetSpec {
            url: "https://example.com:8443/hook?a=1",
            headers: &[("X-Shop".to_owned(), "42".to_owned())],
            authorization: None,
            secrets,
            timeout_total: None,
            success: SuccessRule::Any2xx,
            response_body_bytes_max: None,
        })
        .unwrap()
    }

    fn message(id: &str) -> MessageHead<'_> {
        MessageHead { id, content_type: None }
    }

    #[test]
    fn the_reference_library_accepts_a_request() {
        let secret = SigningSecret::generate();
        let target = target(std::slice::from_ref(&secret));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let payload = Bytes::from_static(br#"{"a":1}"#);
        let signed = Signed::new(&target, message("msg_1732300000000-3"), payload.clone(), now).unwrap();
        let request = signed.request(&target, Version::HTTP_11);
        let verifier = standardwebhooks::Webhook::new(&secret.reveal()).unwrap();
        assert!(verifier.verify(&payload, request.headers()).is_ok());
        assert!(verifier.verify(b"{}", request.headers()).is_err());
    }

    #[test]
    fn each_version_of_http_gets_its_form_of_the_url() {
        let target = target(&[]);
        let signed = Signed::new(&target, message("msg_1-0"), Bytes::new(), 1).unwrap();
        let first = signed.request(&target, Version::HTTP_11);
        assert_eq!(first.uri(), "/hook?a=1");
        assert_eq!(first.headers()[HOST], "example.com:8443");
        let second = signed.request(&target, Version::HTTP_2);
        assert_eq!(second.uri(), "https://example.com:8443/hook?a=1");
        assert!(!second.headers().contains_key(HOST));
    }

    #[test]
    fn a_request_carries_the_headers_of_target_and_message() {
        let target = target(&[]);
        let head = MessageHead { id: "msg_1-0", content_type: Some("text/plain") };
        let request = Signed::new(&target, head, Bytes::new(), 7).unwrap().request(&target, Version::HTTP_11);
        let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("x-shop").unwrap(), "42");
        assert_eq!(header("webhook-id").unwrap(), "msg_1-0");
        assert_eq!(header("webhook-timestamp").unwrap(), "7");
        assert_eq!(header("webhook-signature"), None);
        assert_eq!(header("content-type").unwrap(), "text/plain");
        assert_eq!(header("accept-encoding").unwrap(), "identity");
        assert!(header("user-agent").unwrap().starts_with("Posthaste/"));
    }

    #[test]
    fn an_id_or_content_type_that_would_break_the_request_is_not_sent() {
        let target = target(&[]);
        for id in ["", "a.b", "a b", "a\r\n", &"x".repeat(65)] {
            let refusal = Signed::new(&target, message(id), Bytes::new(), 1).err().unwrap();
            assert_eq!(refusal.outcome, Outcome::RequestInvalid, "{id:?}");
        }
        let head = MessageHead { id: "msg_1-0", content_type: Some("text/plain\r\nx: y") };
        assert!(Signed::new(&target, head, Bytes::new(), 1).is_err());
    }
}
