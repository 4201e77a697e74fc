//! `Retry-After`: how long a receiver asks to be left alone (RFC 9110 section 10.2.3).
//!
//! Either whole seconds or a date. What is neither, or lies in the past, is as good as absent.

use std::time::{Duration, SystemTime};

use crate::core::retry::{RetryAfterLimits, clamp_retry_after};

/// The wait that is asked for, within the limits; `None` where none is readable.
pub(super) fn wait_asked_for(value: &[u8], unix_secs: u64, limits: &RetryAfterLimits) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let wait = delta_seconds(text).or_else(|| until_date(text, unix_secs))?;
    Some(clamp_retry_after(wait, limits))
}

fn delta_seconds(text: &str) -> Option<Duration> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than a u64 holds still mean "very long".
    Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

fn until_date(text: &str, unix_secs: u64) -> Option<Duration> {
    let date = httpdate::parse_http_date(text).ok()?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_secs);
    date.duration_since(now).ok().filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT, the date of the RFC's examples.
    const NOW: u64 = 784_111_777;

    #[track_caller]
    fn check(value: &str, expected_secs: Option<u64>) {
        let limits = RetryAfterLimits { min: Duration::from_secs(1), max: Duration::from_secs(86_400) };
        let wait = wait_asked_for(value.as_bytes(), NOW, &limits);
        assert_eq!(wait, expected_secs.map(Duration::from_secs), "{value}");
    }

    #[test]
    fn seconds_are_read_and_kept_within_the_limits() {
        check("120", Some(120));
        check(" 7 ", Some(7));
        check("0", Some(1));
        check("999999", Some(86_400));
        check("99999999999999999999999999", Some(86_400));
    }

    #[test]
    fn every_form_of_a_date_is_read() {
        check("Sun, 06 Nov 1994 08:50:37 GMT", Some(60));
        check("Sunday, 06-Nov-94 08:50:37 GMT", Some(60));
        check("Sun Nov  6 08:50:37 1994", Some(60));
        check("Fri, 01 Jan 2100 00:00:00 GMT", Some(86_400));
    }

    #[test]
    fn the_past_and_the_unreadable_are_as_good_as_absent() {
        check("Sun, 06 Nov 1994 08:49:37 GMT", None);
        check("Sat, 05 Nov 1994 08:49:37 GMT", None);
        for value in ["", "-5", "+5", "1.5", "5s", "soon", "1e3", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            check(value, None);
        }
    }
}
