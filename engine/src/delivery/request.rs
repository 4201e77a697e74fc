//! The request of one attempt: the target's headers, the message's payload, a signature of this second.
//!
//! What is signed is what is sent: the payload, or the form that the endpoint wants of it.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::Full;

use crate::core::digits::write_decimal;
use crate::core::ids::MessageId;
use crate::core::outcome::Outcome;
use crate::publish::is_json;
use crate::traces::TraceParent;

use super::failure::Failure;
use super::form::FORM_CONTENT_TYPE;
use super::header_names::Names;
use super::http1::Outgoing;
use super::target::Target;

const CONTENT_TYPE_DEFAULT: &str = "application/json";
/// W3C Trace Context level 1, section 3.2.
const TRACEPARENT: &str = "traceparent";
/// At least what the lines that differ from message to message take, besides signature and content type.
const LINES_BYTES: usize = 192;

/// What a request says about its message, besides the payload.
#[derive(Debug, Clone, Copy)]
pub struct MessageHead<'a> {
    /// Its id, the same at every attempt. There is no dot in its text, which would let one signature stand for
    /// two messages (Standard Webhooks 1.0.0, "Signature scheme").
    pub id: MessageId,
    /// The media type of the payload; `application/json` where none is given.
    pub content_type: Option<&'a str>,
    /// The trace and the span that the receiver is told of.
    pub parent: Option<TraceParent>,
}

/// Everything of a request that is the same whichever connection it goes over.
pub(super) struct Request<'a> {
    id: MessageId,
    content_type: &'a str,
    unix_secs: u64,
    payload: Bytes,
    parent: Option<TraceParent>,
}

impl<'a> Request<'a> {
    pub(super) fn new(
        target: &Target,
        message: MessageHead<'a>,
        payload: Bytes,
        unix_secs: u64,
    ) -> Result<Self, Failure> {
        let content_type = message.content_type.unwrap_or(CONTENT_TYPE_DEFAULT);
        check_content_type(content_type)?;
        let request = Self { id: message.id, content_type, unix_secs, payload, parent: message.parent };
        match target.form() {
            // What is not JSON has no parts that a form could name: it goes as it is.
            Some(form) if is_json(content_type) => {
                let encoded = form.encode(&request.payload);
                let payload =
                    encoded.map_err(|error| Failure::new(Outcome::RequestInvalid, error.to_string()))?;
                Ok(Self { content_type: FORM_CONTENT_TYPE, payload, ..request })
            }
            _ => Ok(request),
        }
    }

    pub(super) fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Everything before the payload, in the form of HTTP/1.1 (RFC 9112 section 2.1).
    pub(super) fn http1_head(&self, target: &Target) -> Vec<u8> {
        let bytes = target.http1_start().len()
            + target.lines().len()
            + target.signature_bytes_max()
            + self.content_type.len()
            + LINES_BYTES
            + Outgoing::copied_bytes(&self.payload);
        let mut head = Vec::with_capacity(bytes);
        head.extend_from_slice(target.http1_start());
        head.extend_from_slice(target.lines());
        head.extend_from_slice(b"content-length: ");
        write_decimal(self.payload.len() as u64, &mut head);
        head.extend_from_slice(b"\r\n");
        self.write_lines(target, &mut head);
        head.extend_from_slice(b"\r\n");
        head
    }

    /// The request in the form of HTTP/2, which takes scheme and authority from the URI (RFC 9113 section 8.3.1).
    pub(super) fn http2(&self, target: &Target) -> http::Request<Full<Bytes>> {
        let mut lines = target.lines().to_vec();
        self.write_lines(target, &mut lines);
        let mut request = http::Request::new(Full::new(self.payload.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.uri();
        *request.headers_mut() = headers(&lines);
        request
    }

    /// The headers that differ from message to message.
    fn write_lines(&self, target: &Target, out: &mut Vec<u8>) {
        out.extend_from_slice(b"content-type: ");
        out.extend_from_slice(self.content_type.as_bytes());
        out.extend_from_slice(b"\r\n");
        let (names, again) = target.header_names().lines();
        let id = write_line(names.id, out, |out| self.id.write(out));
        let timestamp = write_line(names.timestamp, out, |out| write_decimal(self.unix_secs, out));
        let signs = target.signer().signs(self.unix_secs);
        let signature = signs.then(|| {
            write_line(names.signature, out, |out| {
                target.signer().write(id.clone(), timestamp.clone(), &self.payload, self.unix_secs, out);
            })
        });
        if let Some(names) = again {
            write_again(names, id, timestamp, signature, out);
        }
        // A header of that name that the endpoint has takes the place of ours, as everywhere.
        if let Some(parent) = self.parent.filter(|_| !target.has_header(TRACEPARENT)) {
            out.extend_from_slice(format!("{TRACEPARENT}: {parent}\r\n").as_bytes());
        }
    }
}

/// Writes a line, and returns where in it the value stands.
fn write_line(name: &[u8], out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
    out.extend_from_slice(name);
    let began = out.len();
    write(out);
    let value = began..out.len();
    out.extend_from_slice(b"\r\n");
    value
}

/// The same values under other names.
fn write_again(
    names: &Names,
    id: Range<usize>,
    timestamp: Range<usize>,
    signature: Option<Range<usize>>,
    out: &mut Vec<u8>,
) {
    write_line(names.id, out, |out| out.extend_from_within(id));
    write_line(names.timestamp, out, |out| out.extend_from_within(timestamp));
    if let Some(signature) = signature {
        write_line(names.signature, out, |out| out.extend_from_within(signature));
    }
}

/// The headers that a request carries, names in lower case: `host` first, the signature of that second last. None for
/// a message of which no request can be made.
pub fn request_headers(
    target: &Target,
    message: MessageHead<'_>,
    payload: Bytes,
    unix_secs: u64,
) -> Vec<(String, String)> {
    let Ok(request) = Request::new(target, message, payload, unix_secs) else { return Vec::new() };
    let head = request.http1_head(target);
    let text = String::from_utf8_lossy(&head);
    let lines = text.lines().skip(1).take_while(|line| !line.is_empty());
    lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.into()))
        .collect()
}

/// The same headers as HTTP/2 wants them. They come from lines that were checked when they were made.
fn headers(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    for line in lines.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii_start());
        if let (Ok(name), Ok(mut value)) = (name, value) {
            // Kept out of logs and of the compression tables of HTTP/2.
            value.set_sensitive(name == http::header::AUTHORIZATION);
            headers.insert(name, value);
        }
    }
    headers
}

fn check_content_type(content_type: &str) -> Result<(), Failure> {
    if content_type.is_empty() || !content_type.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        let why = "the content type of the message is not a header value";
        return Err(Failure::new(Outcome::RequestInvalid, why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::header::HOST;
    use posthaste_storage::EntryId;

    use super::super::header_names::HeaderNames;
    use super::super::secret::SigningSecret;
    use super::super::target::{BodyFormat, TargetSpec};
    use super::*;
    use crate::traces::Sampler;

    const URL: &str = "https://example.com:8443/hook?a=1";

    fn target(secrets: &[SigningSecret]) -> Target {
        let headers = &[("X-Shop".to_owned(), "42".to_owned())];
        Target::prepare(TargetSpec { headers, secrets, ..TargetSpec::new(URL) }).unwrap()
    }

    const MESSAGE: MessageHead<'static> =
        MessageHead { id: MessageId(EntryId::new(1_732_300_000_000, 3)), content_type: None, parent: None };

    /// The lines of a head, and whether it ends as it should.
    fn http1(target: &Target, message: MessageHead<'_>, payload: &'static [u8]) -> Vec<String> {
        let request = Request::new(target, message, Bytes::from_static(payload), 7).unwrap();
        let head = String::from_utf8(request.http1_head(target)).unwrap();
        let lines = head.strip_suffix("\r\n\r\n").expect("an empty line ends a head");
        lines.split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn the_reference_library_accepts_a_request() {
        let secret = SigningSecret::generate();
        let target = target(std::slice::from_ref(&secret));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let payload = Bytes::from_static(br#"{"a":1}"#);
        let request = Request::new(&target, MESSAGE, payload.clone(), now).unwrap();
        let verifier = standardwebhooks::Webhook::new(&secret.reveal()).unwrap();
        let second = request.http2(&target);
        assert!(verifier.verify(&payload, second.headers()).is_ok());
        assert!(verifier.verify(b"{}", second.headers()).is_err());
        let signature = second.headers()["webhook-signature"].to_str().unwrap();
        let first = String::from_utf8(request.http1_head(&target)).unwrap();
        assert!(first.contains(&format!("\r\nwebhook-signature: {signature}\r\n")), "{first}");
    }

    #[test]
    fn each_version_of_http_gets_its_form_of_the_url() {
        let target = target(&[]);
        let first = http1(&target, MESSAGE, b"");
        assert_eq!(first[..2], ["POST /hook?a=1 HTTP/1.1", "host: example.com:8443"]);
        let second = Request::new(&target, MESSAGE, Bytes::new(), 1).unwrap().http2(&target);
        assert_eq!(second.uri(), "https://example.com:8443/hook?a=1");
        assert!(!second.headers().contains_key(HOST));
    }

    #[test]
    fn a_request_carries_the_headers_of_target_and_message() {
        let target = target(&[]);
        let head = MessageHead { content_type: Some("text/plain"), ..MESSAGE };
        let mut first = http1(&target, head, b"abc");
        let second = Request::new(&target, head, Bytes::from_static(b"abc"), 7).unwrap().http2(&target);
        let expected = [
            ("x-shop", "42"),
            ("webhook-id", "msg_1732300000000-3"),
            ("webhook-timestamp", "7"),
            ("content-type", "text/plain"),
            ("accept-encoding", "identity"),
            ("user-agent", concat!("Posthaste/", env!("CARGO_PKG_VERSION"))),
        ];
        for (name, value) in expected {
            assert!(first.contains(&format!("{name}: {value}")), "{name} in {first:?}");
            assert_eq!(second.headers()[name], value);
        }
        first.drain(..2);
        first.retain(|line| line != "content-length: 3");
        assert_eq!((first.len(), second.headers().len()), (expected.len(), expected.len()), "nothing else");
    }

    #[test]
    fn a_receiver_is_told_of_the_trace_unless_its_endpoint_has_such_a_header() {
        let parent = Sampler::new(1.0, 7).parent(MESSAGE.id).unwrap();
        let (message, line) =
            (MessageHead { parent: Some(parent), ..MESSAGE }, format!("traceparent: {parent}"));
        assert!(http1(&target(&[]), message, b"").contains(&line));
        let request = Request::new(&target(&[]), message, Bytes::new(), 7).unwrap();
        assert_eq!(request.http2(&target(&[])).headers()["traceparent"], parent.to_string());
        let own = ("Traceparent".to_owned(), "mine".to_owned());
        let spec = TargetSpec { headers: std::slice::from_ref(&own), ..TargetSpec::new(URL) };
        let lines = http1(&Target::prepare(spec).unwrap(), message, b"");
        assert!(lines.contains(&"traceparent: mine".to_owned()) && !lines.contains(&line), "{lines:?}");
    }

    #[test]
    fn a_content_type_that_would_break_the_request_is_not_sent() {
        for content_type in ["", "text/plain\r\nx: y", "text/\u{e9}", "a\u{7f}"] {
            let head = MessageHead { content_type: Some(content_type), ..MESSAGE };
            let refusal = Request::new(&target(&[]), head, Bytes::new(), 1).err().unwrap();
            assert_eq!(refusal.outcome, Outcome::RequestInvalid, "{content_type:?}");
        }
    }

    #[test]
    fn a_form_is_sent_and_signed_as_a_form() {
        let secret = SigningSecret::generate();
        let body = BodyFormat::Form { secret: Some("s") };
        let spec = TargetSpec { body, secrets: std::slice::from_ref(&secret), ..TargetSpec::new(URL) };
        let target = Target::prepare(spec).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let json = MessageHead { content_type: Some("application/json; charset=utf-8"), ..MESSAGE };
        for message in [MESSAGE, json] {
            let request =
                Request::new(&target, message, Bytes::from_static(br#"{"a":{"b":true}}"#), now).unwrap();
            assert_eq!(request.payload(), "a%5Bb%5D=1&secret=s");
            let verifier = standardwebhooks::Webhook::new(&secret.reveal()).unwrap();
            let second = request.http2(&target);
            assert_eq!(second.headers()["content-type"], "application/x-www-form-urlencoded");
            assert!(verifier.verify(request.payload(), second.headers()).is_ok());
            let first = String::from_utf8(request.http1_head(&target)).unwrap();
            assert!(first.contains("content-length: 19\r\n"), "{first}");
        }
        let text = MessageHead { content_type: Some("text/plain"), ..MESSAGE };
        let request = Request::new(&target, text, Bytes::from_static(b"[1]"), now).unwrap();
        assert_eq!((request.content_type, &request.payload()[..]), ("text/plain", &b"[1]"[..]));
        let refusal = Request::new(&target, MESSAGE, Bytes::from_static(b"[1]"), now).err().unwrap();
        assert_eq!(refusal.outcome, Outcome::RequestInvalid);
    }

    #[test]
    fn the_headers_are_called_as_the_endpoint_wants_them() {
        let secret = SigningSecret::generate();
        for (header_names, prefixes) in [
            (HeaderNames::Webhook, &["webhook"][..]),
            (HeaderNames::Svix, &["svix"]),
            (HeaderNames::Both, &["webhook", "svix"]),
        ] {
            let secrets = std::slice::from_ref(&secret);
            let spec = TargetSpec { header_names, secrets, ..TargetSpec::new(URL) };
            let target = Target::prepare(spec).unwrap();
            let lines = http1(&target, MESSAGE, b"{}");
            let request = Request::new(&target, MESSAGE, Bytes::from_static(b"{}"), 7).unwrap();
            let signature = standardwebhooks::Webhook::new(&secret.reveal()).unwrap();
            let signature = signature.sign("msg_1732300000000-3", 7, b"{}").unwrap();
            for prefix in ["webhook", "svix"] {
                let expected = [
                    format!("{prefix}-id: msg_1732300000000-3"),
                    format!("{prefix}-timestamp: 7"),
                    format!("{prefix}-signature: {signature}"),
                ];
                let is_wanted = prefixes.contains(&prefix);
                assert!(expected.iter().all(|line| lines.contains(line) == is_wanted), "{lines:?}");
                let second = request.http2(&target);
                assert_eq!(second.headers().contains_key(format!("{prefix}-signature")), is_wanted);
            }
        }
    }
}
