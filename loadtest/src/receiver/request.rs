//! One request of HTTP/1.1, found in the bytes that came, without copying any.
//!
//! What is incomplete stays with the caller and is looked at again when more has come. A chunked body is the
//! exception: it is put together piece by piece in [`Chunks`], which remembers how far it has come.

use std::mem::MaybeUninit;

use super::chunks::Chunks;

/// Bytes of request line and headers.
pub(super) const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 100;

/// A request, whole.
#[derive(Debug, Default)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) webhook_id: &'a str,
    pub(super) webhook_timestamp: &'a str,
    pub(super) webhook_signature: &'a str,
    pub(super) body: &'a [u8],
}

/// What the bytes so far amount to.
#[derive(Debug)]
pub(super) enum Found<'a> {
    Whole {
        request: Request<'a>,
        /// Bytes of the input that it took.
        bytes: usize,
        /// The client wants the connection closed after the answer.
        close: bool,
    },
    Partial {
        /// The head is there, and the client waits for leave to send the body.
        expects_continue: bool,
    },
    /// It cannot be read on: this status, and then nothing more on this connection.
    Refused(u16),
    /// The preface of HTTP/2.
    Http2,
}

/// What the head says about the body and the connection.
#[derive(Default)]
struct Framing {
    length: Option<usize>,
    chunked: bool,
    close: bool,
    expects_continue: bool,
}

/// The first request in `input`. `body_bytes_max` bounds its body.
pub(super) fn find<'a>(input: &'a [u8], chunks: &'a mut Chunks, body_bytes_max: usize) -> Found<'a> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut []);
    let head_bytes = match head.parse_with_uninit_headers(input, &mut headers) {
        Ok(httparse::Status::Complete(bytes)) if bytes <= HEAD_BYTES_MAX => bytes,
        Ok(httparse::Status::Partial) if input.len() < HEAD_BYTES_MAX => {
            return Found::Partial { expects_continue: false };
        }
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Found::Refused(431),
        // httparse knows no version but 1; the preface of HTTP/2 has another.
        Err(_) if input.starts_with(b"PRI * HTTP/2.0") => return Found::Http2,
        Err(_) => return Found::Refused(400),
    };
    let mut request =
        Request { method: head.method.unwrap_or(""), target: head.path.unwrap_or(""), ..Request::default() };
    let Some(mut framing) = read_headers(head.headers, &mut request) else { return Found::Refused(400) };
    framing.close |= head.version == Some(0);
    with_body(input, head_bytes, framing, request, chunks, body_bytes_max)
}

fn with_body<'a>(
    input: &'a [u8],
    head_bytes: usize,
    framing: Framing,
    request: Request<'a>,
    chunks: &'a mut Chunks,
    body_bytes_max: usize,
) -> Found<'a> {
    let Framing { length, chunked, close, expects_continue } = framing;
    let rest = &input[head_bytes..];
    if chunked {
        return match chunks.take(rest, body_bytes_max) {
            Ok(None) => Found::Partial { expects_continue },
            Ok(Some(bytes)) => {
                let request = Request { body: chunks.body(), ..request };
                Found::Whole { request, bytes: head_bytes + bytes, close }
            }
            Err(status) => Found::Refused(status),
        };
    }
    let length = length.unwrap_or(0);
    if length > body_bytes_max {
        return Found::Refused(413);
    }
    match rest.get(..length) {
        Some(body) => {
            let request = Request { body, ..request };
            Found::Whole { request, bytes: head_bytes + length, close }
        }
        None => Found::Partial { expects_continue },
    }
}

/// `None` where the framing contradicts itself (RFC 9112, section 6.3).
fn read_headers<'a>(headers: &[httparse::Header<'a>], request: &mut Request<'a>) -> Option<Framing> {
    let mut framing = Framing::default();
    for header in headers {
        let (name, value) = (header.name, header.value);
        let text = || std::str::from_utf8(value).unwrap_or("");
        // Length first: most headers are none of ours, and are passed over without a look at their letters.
        match name.len() {
            6 if name.eq_ignore_ascii_case("expect") => {
                framing.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
            }
            10 if name.eq_ignore_ascii_case("webhook-id") => request.webhook_id = text(),
            10 if name.eq_ignore_ascii_case("connection") => framing.close |= says_close(text()),
            14 if name.eq_ignore_ascii_case("content-length") => {
                let length = length_of(value)?;
                if framing.length.replace(length).is_some_and(|before| before != length) {
                    return None;
                }
            }
            17 if name.eq_ignore_ascii_case("webhook-timestamp") => request.webhook_timestamp = text(),
            17 if name.eq_ignore_ascii_case("webhook-signature") => request.webhook_signature = text(),
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                if framing.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return None;
                }
                framing.chunked = true;
            }
            _ => {}
        }
    }
    (!framing.chunked || framing.length.is_none()).then_some(framing)
}

fn says_close(value: &str) -> bool {
    value.split(',').any(|token| token.trim().eq_ignore_ascii_case("close"))
}

fn length_of(value: &[u8]) -> Option<usize> {
    // `parse` alone would take a plus sign, which HTTP does not have.
    let digits = value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY_BYTES_MAX: usize = 100;

    fn refusal(input: &str) -> Option<u16> {
        match find(input.as_bytes(), &mut Chunks::default(), BODY_BYTES_MAX) {
            Found::Refused(status) => Some(status),
            _ => None,
        }
    }

    fn is_partial(input: &[u8]) -> bool {
        matches!(find(input, &mut Chunks::default(), BODY_BYTES_MAX), Found::Partial { .. })
    }

    const WEBHOOK: &str = "POST /ok?slot=3 HTTP/1.1\r\nHost: a\r\nWebhook-Id: msg_1\r\nwebhook-timestamp: 12\r\n\
                           webhook-signature: v1,x\r\nContent-Length: 4\r\n\r\nbodyPOST";

    #[test]
    fn a_webhook_is_found_with_what_follows_left_alone() {
        let mut chunks = Chunks::default();
        let Found::Whole { request, bytes, close } = find(WEBHOOK.as_bytes(), &mut chunks, BODY_BYTES_MAX)
        else {
            panic!("not whole")
        };
        assert_eq!((request.method, request.target, request.body), ("POST", "/ok?slot=3", &b"body"[..]));
        assert_eq!((request.webhook_id, request.webhook_timestamp), ("msg_1", "12"));
        assert_eq!(request.webhook_signature, "v1,x");
        assert_eq!((bytes, close), (WEBHOOK.len() - 4, false));
    }

    #[test]
    fn every_shorter_beginning_is_partial() {
        for end in 0..WEBHOOK.len() - 4 {
            assert!(is_partial(&WEBHOOK.as_bytes()[..end]), "{end} bytes");
        }
    }

    #[test]
    fn a_body_over_the_limit_is_refused_from_its_head_alone() {
        assert_eq!(refusal("POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n"), Some(413));
        assert_eq!(refusal("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n"), Some(413));
        assert!(is_partial(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n"));
    }

    #[test]
    fn framing_that_contradicts_itself_is_refused() {
        for headers in [
            "Content-Length: 1\r\nContent-Length: 2",
            "Content-Length: +1",
            "Content-Length: -1",
            "Content-Length: 99999999999999999999",
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ] {
            assert_eq!(refusal(&format!("POST / HTTP/1.1\r\n{headers}\r\n\r\nx")), Some(400), "{headers}");
        }
        assert_eq!(refusal("nonsense\r\n\r\n"), Some(400));
    }

    #[test]
    fn a_head_over_its_limits_is_refused() {
        let many = "a: b\r\n".repeat(HEADERS_MAX + 1);
        assert_eq!(refusal(&format!("POST / HTTP/1.1\r\n{many}\r\n")), Some(431));
        let long = "x".repeat(HEAD_BYTES_MAX);
        assert_eq!(refusal(&format!("POST / HTTP/1.1\r\na: {long}")), Some(431));
        assert_eq!(refusal(&format!("POST / HTTP/1.1\r\na: {long}\r\n\r\n")), Some(431));
    }

    #[test]
    fn the_end_of_the_connection_is_asked_for_by_header_or_by_version() {
        for (head, expected) in [
            ("GET / HTTP/1.1\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nConnection: keep-alive\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nConnection: TE, Close\r\n\r\n", true),
            ("GET / HTTP/1.0\r\n\r\n", true),
        ] {
            let mut chunks = Chunks::default();
            match find(head.as_bytes(), &mut chunks, BODY_BYTES_MAX) {
                Found::Whole { close, .. } => assert_eq!(close, expected, "{head}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn whoever_waits_for_leave_is_told_apart() {
        let head = "POST / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
        let mut chunks = Chunks::default();
        let found = find(head.as_bytes(), &mut chunks, BODY_BYTES_MAX);
        assert!(matches!(found, Found::Partial { expects_continue: true }));
    }

    #[test]
    fn the_preface_of_http2_is_recognised() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        assert!(matches!(find(preface, &mut Chunks::default(), BODY_BYTES_MAX), Found::Http2));
    }
}
