//! Times as the API writes and reads them: RFC 3339.

use jiff::Timestamp;

pub(super) use crate::clock::rfc3339;

/// Unix milliseconds of a text; times before 1970 become its start.
pub(super) fn parse_rfc3339(text: &str) -> Option<u64> {
    let timestamp: Timestamp = text.parse().ok()?;
    Some(u64::try_from(timestamp.as_millisecond()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_as_they_were_written() {
        assert_eq!(rfc3339(1_732_300_000_123), "2024-11-22T18:26:40.123Z");
        assert_eq!(parse_rfc3339("2024-11-22T18:26:40.123Z"), Some(1_732_300_000_123));
        assert_eq!(parse_rfc3339("2024-11-22T19:26:40.123+01:00"), Some(1_732_300_000_123));
        assert_eq!(parse_rfc3339("1969-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_rfc3339("yesterday"), None);
        assert!(rfc3339(u64::MAX).starts_with("9999-"));
    }
}
