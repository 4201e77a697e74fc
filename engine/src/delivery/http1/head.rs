//! The head of a response: read by the parser that hyper uses, and judged by the rules of framing.
//!
//! How long a body is decides where the next response begins. Whoever gets it wrong takes one receiver's bytes for
//! an answer of another, so the rules of RFC 9112 section 6.3 are followed to the letter, and where a head
//! contradicts itself the connection is not used again.

use std::mem::MaybeUninit;

use http::header::{CONNECTION, CONTENT_LENGTH, LOCATION, RETRY_AFTER, TRANSFER_ENCODING};
use httparse::{Header, ParserConfig, Status};

use super::super::response::{Head, headers_text};
use super::Malformed;
use super::chunked::Chunked;

/// The most headers of a response.
const HEADERS_MAX: usize = 100;

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// It says so itself.
    Chunked(Chunked),
    /// The connection ends with it.
    UntilClose,
}

/// A head, and what follows from it for the bytes behind it.
#[derive(Debug)]
pub(super) struct ParsedHead {
    pub(super) head: Head,
    pub(super) framing: Framing,
    /// Whether the connection may be used again after this response.
    pub(super) keeps_alive: bool,
    /// Bytes that it took.
    pub(super) bytes: usize,
}

/// Reads a head from the front of `input`; `None` when it is not there as a whole. Keeps the text of its headers
/// up to `headers_kept_max` bytes.
pub(super) fn parse(input: &[u8], headers_kept_max: usize) -> Result<Option<ParsedHead>, Malformed> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let parsed =
        ParserConfig::default().parse_response_with_uninit_headers(&mut response, input, &mut headers);
    let bytes = match parsed.map_err(Malformed::Head)? {
        Status::Complete(bytes) => bytes,
        Status::Partial => return Ok(None),
    };
    let (status, is_http11) = (response.code.unwrap_or_default(), response.version == Some(1));
    if status < 100 {
        return Err(Malformed::Head(httparse::Error::Status));
    }
    let mut seen = Seen::default();
    for header in response.headers.iter() {
        seen.header(header);
    }
    let headers = || response.headers.iter().map(|header| (header.name, header.value));
    let text = headers_text(headers, headers_kept_max);
    let framing = seen.framing(status, is_http11)?;
    // 204 announces no body (RFC 9110 section 8.6); who does so all the same may send it.
    let announces_what_it_may_not = status == 204 && (seen.is_encoded || seen.length.unwrap_or(0) > 0);
    let contradicts_itself = seen.is_length_bad
        || seen.is_encoded && (seen.length.is_some() || !is_http11)
        || announces_what_it_may_not;
    let keeps_alive = !seen.says_close && (is_http11 || seen.says_keep_alive);
    Ok(Some(ParsedHead {
        head: Head { status, retry_after: seen.retry_after, location: seen.location, text },
        framing,
        // After 101 the connection speaks another protocol, for which we did not ask.
        keeps_alive: keeps_alive && !contradicts_itself && framing != Framing::UntilClose && status != 101,
        bytes,
    }))
}

/// What the headers say that matters here.
#[derive(Default)]
struct Seen {
    length: Option<u64>,
    /// Whether a length is no number, or not the same as the one before.
    is_length_bad: bool,
    is_encoded: bool,
    /// Whether the last transfer coding is `chunked`.
    is_chunked: bool,
    says_close: bool,
    says_keep_alive: bool,
    retry_after: Option<Box<[u8]>>,
    location: Option<Box<[u8]>>,
}

impl Seen {
    fn header(&mut self, header: &Header<'_>) {
        let is = |name: http::HeaderName| header.name.eq_ignore_ascii_case(name.as_str());
        // By length first: most headers are none of these.
        match header.name.len() {
            14 if is(CONTENT_LENGTH) => self.content_length(header.value),
            17 if is(TRANSFER_ENCODING) => {
                self.is_encoded = true;
                self.is_chunked = tokens(header.value)
                    .next_back()
                    .is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
            }
            10 if is(CONNECTION) => {
                for token in tokens(header.value) {
                    self.says_close |= token.eq_ignore_ascii_case(b"close");
                    self.says_keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            11 if is(RETRY_AFTER) => self.retry_after = Some(header.value.into()),
            8 if is(LOCATION) => self.location = Some(header.value.into()),
            _ => {}
        }
    }

    /// The same length twice is one length; different ones are an attack or a mistake.
    fn content_length(&mut self, value: &[u8]) {
        let digits = value.trim_ascii();
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let length =
            std::str::from_utf8(digits).ok().filter(|_| is_number).and_then(|text| text.parse().ok());
        self.is_length_bad |= length.is_none() || self.length.is_some_and(|before| Some(before) != length);
        self.length = length;
    }

    /// RFC 9112 section 6.3, for a response to a POST. A length that is none matters only where it is used.
    fn framing(&self, status: u16, is_http11: bool) -> Result<Framing, Malformed> {
        Ok(match self.length {
            _ if status < 200 || status == 204 || status == 304 => Framing::Length(0),
            _ if self.is_encoded && !is_http11 => return Err(Malformed::Encoding),
            _ if self.is_chunked => Framing::Chunked(Chunked::START),
            _ if self.is_encoded => Framing::UntilClose,
            _ if self.is_length_bad => return Err(Malformed::Length),
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        })
    }
}

/// The members of a comma-separated list (RFC 9110 section 5.6.1).
fn tokens(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> ParsedHead {
        parse(text.as_bytes(), 1_024).unwrap().unwrap()
    }

    #[track_caller]
    fn check(head: &str, framing: Framing, keeps_alive: bool) {
        let parsed = parsed(&format!("HTTP/1.{head}\r\n\r\n"));
        assert_eq!((parsed.framing, parsed.keeps_alive), (framing, keeps_alive), "{head:?}");
    }

    #[test]
    fn the_end_of_a_body_is_found_by_the_rules_of_the_rfc() {
        const CHUNKED: Framing = Framing::Chunked(Chunked::START);
        check("1 200 OK\r\nContent-Length: 7", Framing::Length(7), true);
        check("1 200 OK\r\nContent-Length: 7\r\ncontent-length: 7", Framing::Length(7), true);
        check("1 200 OK", Framing::UntilClose, false);
        check("1 204 No Content\r\nContent-Length: 0", Framing::Length(0), true);
        check("1 304 Not Modified\r\nContent-Length: 7", Framing::Length(0), true);
        check("1 304 Not Modified\r\nTransfer-Encoding: chunked", Framing::Length(0), true);
        check("1 101 Switching Protocols", Framing::Length(0), false);
        check("1 200 OK\r\nTransfer-Encoding: chunked", CHUNKED, true);
        check("1 200 OK\r\nTransfer-Encoding: gzip, Chunked", CHUNKED, true);
        check("1 200 OK\r\nTransfer-Encoding: gzip", Framing::UntilClose, false);
        check("1 200 OK\r\nTransfer-Encoding: chunked, gzip", Framing::UntilClose, false);
    }

    #[test]
    fn a_head_that_contradicts_itself_costs_the_connection() {
        const CHUNKED: Framing = Framing::Chunked(Chunked::START);
        check("1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 7", CHUNKED, false);
        let outdated = b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(parse(outdated, 0).unwrap_err(), Malformed::Encoding);
        check("1 204 x\r\nContent-Length: 4\r\nContent-Length: 5", Framing::Length(0), false);
        check("1 204 No Content\r\nContent-Length: 7", Framing::Length(0), false);
        check("1 204 No Content\r\nTransfer-Encoding: chunked", Framing::Length(0), false);
    }

    #[test]
    fn who_wants_to_close_is_believed() {
        check("1 204 x\r\nConnection: close", Framing::Length(0), false);
        check("1 204 x\r\nConnection: foo, Close", Framing::Length(0), false);
        check("0 204 x", Framing::Length(0), false);
        check("0 204 x\r\nConnection: keep-alive", Framing::Length(0), true);
        check("0 204 x\r\nConnection: keep-alive, close", Framing::Length(0), false);
    }

    #[test]
    fn a_length_that_is_none_is_refused() {
        for length in ["", "x", "-1", "+1", "1, 2", "0x10", "99999999999999999999", "1\r\nContent-Length: 2"]
        {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            assert_eq!(parse(head.as_bytes(), 0).unwrap_err(), Malformed::Length, "{length}");
        }
    }

    #[test]
    fn a_status_below_100_is_none() {
        let refused = parse(b"HTTP/1.1 099 x\r\n\r\n", 0).unwrap_err();
        assert_eq!(refused, Malformed::Head(httparse::Error::Status));
    }

    #[test]
    fn what_a_person_may_want_to_know_is_kept() {
        let parsed = parsed("HTTP/1.1 503 x\r\nRetry-After: 30\r\nLocation: /b\r\nX-Id: \u{e9}\r\n\r\nrest");
        let head = parsed.head;
        assert_eq!(
            (head.status, &*head.retry_after.unwrap(), &*head.location.unwrap()),
            (503, &b"30"[..], &b"/b"[..])
        );
        assert_eq!(head.text, "retry-after: 30\r\nlocation: /b\r\nx-id: \u{e9}\r\n");
        assert_eq!(
            parsed.bytes,
            "HTTP/1.1 503 x\r\nRetry-After: 30\r\nLocation: /b\r\nX-Id: \u{e9}\r\n\r\n".len()
        );
    }

    #[test]
    fn a_head_that_is_not_there_as_a_whole_is_waited_for() {
        let whole = "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n";
        for bytes in 0..whole.len() {
            assert!(parse(&whole.as_bytes()[..bytes], 0).unwrap().is_none(), "{bytes}");
        }
    }
}
