//! What a receiver's answer means, and how much of it is read and kept.

use std::borrow::Cow;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode, response};
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

/// A body, as far as it was read.
pub(super) struct ReadBody {
    pub(super) kept: Bytes,
    /// Whether it was read to its end.
    pub(super) is_complete: bool,
}

impl ReadBody {
    /// The body of a response that has none.
    pub(super) const EMPTY: Self = Self { kept: Bytes::new(), is_complete: true };
}

/// Reads a body to its end or to `read_max` bytes, and keeps the first `kept_max`.
pub(super) async fn read_body(
    mut body: Incoming,
    read_max: usize,
    kept_max: usize,
) -> Result<ReadBody, hyper::Error> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut kept = BytesMut::with_capacity(announced.min(kept_max));
    let mut read = 0usize;
    while let Some(frame) = body.frame().await {
        // Trailers are of no interest.
        let Ok(bytes) = frame?.into_data() else { continue };
        read = read.saturating_add(bytes.len());
        let fits = bytes.len().min(kept_max - kept.len());
        kept.put_slice(&bytes[..fits]);
        if read > read_max {
            return Ok(ReadBody { kept: kept.freeze(), is_complete: false });
        }
    }
    Ok(ReadBody { kept: kept.freeze(), is_complete: true })
}

/// The outcome that the head of a response stands for, and the same in words.
pub(super) fn judge(
    head: &response::Parts,
    success: SuccessRule,
    unix_secs: u64,
    limits: &RetryAfterLimits,
) -> (Outcome, Cow<'static, str>) {
    let status = head.status.as_u16();
    if success.accepts(status) {
        return (Outcome::Success { status }, Cow::Borrowed(""));
    }
    match head.status {
        StatusCode::GONE => (Outcome::Gone, "the receiver wants nothing more at this URL".into()),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            let asked = head.headers.get(RETRY_AFTER);
            match asked.and_then(|value| wait_asked_for(value, unix_secs, limits)) {
                Some(wait) => {
                    let detail =
                        format!("the receiver answered {status} and asks to wait {} s", wait.as_secs());
                    (Outcome::RetryAfter { status, wait }, detail.into())
                }
                None => bad_status(status),
            }
        }
        code if code.is_redirection() => {
            let detail = match head.headers.get(LOCATION) {
                Some(location) => format!("redirect to {} not followed", shown(location.as_bytes())),
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

/// Headers as `name: value\r\n`, whole lines up to `max` bytes.
pub(super) fn headers_text(headers: &HeaderMap, max: usize) -> Bytes {
    if max == 0 {
        return Bytes::new();
    }
    let mut text = Vec::with_capacity(max.min(512));
    for (name, value) in headers {
        let line = name.as_str().len() + value.len() + ": \r\n".len();
        if text.len() + line > max {
            break;
        }
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            text.extend_from_slice(part);
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)]) -> (Outcome, String) {
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let (head, ()) = response.body(()).unwrap().into_parts();
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
        let mut headers = HeaderMap::new();
        headers.insert("a", "1".parse().unwrap());
        headers.insert("b", "2".parse().unwrap());
        assert_eq!(headers_text(&headers, 100), "a: 1\r\nb: 2\r\n");
        assert_eq!(headers_text(&headers, 11), "a: 1\r\n");
        assert_eq!(headers_text(&headers, 0), "");
    }
}
