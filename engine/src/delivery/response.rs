//! What a receiver's answer means, and how much of it is read and kept.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{LOCATION, RETRY_AFTER};
use http::response;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use crate::core::outcome::Outcome;

use super::failure::shown;
use super::http1::HEAD_BYTES_MAX;
use super::retry_after::wait_asked_for;
use super::target::SuccessRule;
use crate::core::retry::RetryAfterLimits;

/// How much of a response is read and kept, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct ResponseLimits {
    /// Of the body, read; when there is more the connection is closed instead of reading on.
    pub body_bytes_read_max: usize,
    /// Of the body, kept; an endpoint may have its own limit.
    pub body_bytes_kept_max: usize,
    /// Of the headers, kept; 0 keeps none and costs nothing.
    pub headers_bytes_kept_max: usize,
}

impl ResponseLimits {
    /// The most bytes of one exchange, framing included: head and body, and as much again three times for
    /// interim responses, chunk sizes and trailers, of which a usual response has a few percent.
    pub(super) fn exchange_bytes_max(&self) -> u64 {
        4 * (HEAD_BYTES_MAX as u64).saturating_add(self.body_bytes_read_max as u64)
    }
}

/// The head of a response: of its headers, what matters to an attempt and the text that is kept.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) retry_after: Option<Box<[u8]>>,
    pub(super) location: Option<Box<[u8]>>,
    pub(super) text: Bytes,
}

impl Head {
    /// The head of a response over HTTP/2.
    pub(super) fn from_http2(parts: &response::Parts, headers_bytes_kept_max: usize) -> Self {
        let value = |name| parts.headers.get(name).map(|value: &http::HeaderValue| value.as_bytes().into());
        let headers = || parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        Self {
            status: parts.status.as_u16(),
            retry_after: value(RETRY_AFTER),
            location: value(LOCATION),
            text: headers_text(headers, headers_bytes_kept_max),
        }
    }
}

/// Headers as `name: value\r\n`, names in lower case: the first of them, whole lines up to `max` bytes.
pub(super) fn headers_text<'a, H>(headers: impl Fn() -> H, max: usize) -> Bytes
where
    H: Iterator<Item = (&'a str, &'a [u8])>,
{
    let line_bytes = |name: &str, value: &[u8]| name.len() + ": ".len() + value.len() + "\r\n".len();
    let mut bytes = 0;
    let lines = headers().take_while(|(name, value)| {
        let fits = bytes + line_bytes(name, value) <= max;
        bytes += if fits { line_bytes(name, value) } else { 0 };
        fits
    });
    let count = lines.count();
    if count == 0 {
        return Bytes::new();
    }
    // Kept with each attempt: one allocation, and not a byte too large.
    let mut text = Vec::with_capacity(bytes);
    for (name, value) in headers().take(count) {
        text.extend_from_slice(name.as_bytes());
        let start = text.len() - name.len();
        text[start..].make_ascii_lowercase();
        for part in [b": ", value, b"\r\n"] {
            text.extend_from_slice(part);
        }
    }
    text.into()
}

/// Reads a body to its end or to the reading limit.
pub(super) async fn read_body(mut body: Incoming, limits: ResponseLimits) -> Result<Bytes, hyper::Error> {
    let kept_max = limits.body_bytes_kept_max;
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut kept = Vec::with_capacity(announced.min(kept_max));
    let mut read = 0usize;
    while let Some(frame) = body.frame().await {
        // Trailers are of no interest.
        let Ok(bytes) = frame?.into_data() else { continue };
        read = read.saturating_add(bytes.len());
        let fits = bytes.len().min(kept_max - kept.len());
        kept.extend_from_slice(&bytes[..fits]);
        if read > limits.body_bytes_read_max {
            return Ok(kept.into());
        }
    }
    Ok(kept.into())
}

/// The outcome that the head of a response stands for, and the same in words.
pub(super) fn judge(
    head: &Head,
    success: SuccessRule,
    unix_secs: u64,
    limits: &RetryAfterLimits,
) -> (Outcome, Cow<'static, str>) {
    let status = head.status;
    if success.accepts(status) {
        return (Outcome::Success { status }, Cow::Borrowed(""));
    }
    match status {
        410 => (Outcome::Gone, "the receiver wants nothing more at this URL".into()),
        429 | 503 => {
            let asked = head.retry_after.as_deref();
            match asked.and_then(|value| wait_asked_for(value, unix_secs, limits)) {
                Some(wait) => {
                    let detail =
                        format!("the receiver answered {status} and asks to wait {} s", wait.as_secs());
                    (Outcome::RetryAfter { status, wait }, detail.into())
                }
                None => bad_status(status),
            }
        }
        300..400 => {
            let detail = match &head.location {
                Some(location) => format!("redirect to {} not followed", shown(location)),
                None => format!("redirect ({status}) not followed"),
            };
            (Outcome::Redirect { status }, detail.into())
        }
        _ => bad_status(status),
    }
}

fn bad_status(status: u16) -> (Outcome, Cow<'static, str>) {
    (Outcome::BadStatus { status }, format!("the receiver answered {status}").into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)]) -> (Outcome, String) {
        let value = |wanted| {
            let found = headers.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.as_bytes().into())
        };
        let (retry_after, location) = (value("retry-after"), value("location"));
        let head = Head { status, retry_after, location, text: Bytes::new() };
        let limits = RetryAfterLimits { min: Duration::from_secs(1), max: Duration::from_secs(3_600) };
        let (outcome, detail) = judge(&head, SuccessRule::Any2xx, 1_700_000_000, &limits);
        (outcome, detail.into_owned())
    }

    #[test]
    fn a_status_becomes_its_outcome() {
        assert_eq!(answer(200, &[]), (Outcome::Success { status: 200 }, String::new()));
        assert_eq!(answer(299, &[]).0, Outcome::Success { status: 299 });
        assert_eq!(answer(410, &[]).0, Outcome::Gone);
        for status in [101, 400, 404, 429, 500, 503, 599, 999] {
            assert_eq!(answer(status, &[]).0, Outcome::BadStatus { status });
        }
    }

    #[test]
    fn where_200_alone_counts_204_is_a_failure() {
        assert!(SuccessRule::Only200.accepts(200));
        assert!(!SuccessRule::Only200.accepts(204));
    }

    #[test]
    fn a_redirect_names_its_target() {
        let (outcome, detail) = answer(301, &[("location", "http://10.0.0.1/")]);
        assert_eq!(outcome, Outcome::Redirect { status: 301 });
        assert_eq!(detail, "redirect to http://10.0.0.1/ not followed");
        assert_eq!(answer(304, &[]).1, "redirect (304) not followed");
    }

    #[test]
    fn only_429_and_503_may_ask_for_patience() {
        let wait = Duration::from_secs(30);
        for status in [429, 503] {
            let outcome = answer(status, &[("retry-after", "30")]).0;
            assert_eq!(outcome, Outcome::RetryAfter { status, wait });
        }
        assert_eq!(answer(500, &[("retry-after", "30")]).0, Outcome::BadStatus { status: 500 });
        assert_eq!(answer(429, &[("retry-after", "soon")]).0, Outcome::BadStatus { status: 429 });
    }

    #[test]
    fn headers_are_kept_in_whole_lines() {
        let headers = [("A", &b"1"[..]), ("long", b"12345"), ("b", b"2")];
        let text = |max| headers_text(|| headers.into_iter(), max);
        assert_eq!(text(100), "a: 1\r\nlong: 12345\r\nb: 2\r\n");
        assert_eq!(text(18), "a: 1\r\n");
        assert_eq!(text(0), "");
    }
}
