//! Stream ids: when an entry was written, and which of that millisecond it is.
//!
//! A message is known to a producer by its stream id, `<unix ms>-<sequence>`; everywhere else it is
//! `msg_<unix ms>-<sequence>`. An entry of an outcome stream is known by the id of its attempt, which has
//! the same form. Ids sort by time, and within one millisecond by order of writing.

use std::fmt;
use std::str::FromStr;

use crate::decimal;

/// The longest text of a stream id: two 20-digit numbers and a dash.
const TEXT_BYTES_MAX: usize = 2 * decimal::DIGITS_MAX + 1;

/// The id of a stream entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StreamId {
    /// Unix milliseconds.
    pub ms: u64,
    /// Order within that millisecond.
    pub seq: u64,
}

/// Why a text is not a stream id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form <unix ms>-<sequence>")]
pub struct StreamIdError;

/// A stream id as bytes on the stack, so that answering a publish allocates nothing.
#[derive(Clone, Copy)]
pub struct StreamIdText {
    bytes: [u8; TEXT_BYTES_MAX],
    len: usize,
}

impl StreamId {
    /// Before every entry.
    pub const MIN: Self = Self { ms: 0, seq: 0 };
    /// After every entry.
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// The id `<ms>-<seq>`.
    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// Reads `<ms>-<seq>`, or `<ms>` alone, for which the sequence is `seq_default`.
    ///
    /// # Errors
    /// When the bytes are not one or two decimal numbers below 2^64 joined by a dash.
    pub fn parse(text: &[u8], seq_default: u64) -> Result<Self, StreamIdError> {
        let (ms, seq) = match memchr::memchr(b'-', text) {
            Some(dash) => (&text[..dash], Some(&text[dash + 1..])),
            None => (text, None),
        };
        let ms = decimal::parse_unsigned(ms).ok_or(StreamIdError)?;
        let seq = seq.map_or(Some(seq_default), decimal::parse_unsigned).ok_or(StreamIdError)?;
        Ok(Self { ms, seq })
    }

    /// The smallest id after this one; `None` after [`Self::MAX`].
    pub const fn next(self) -> Option<Self> {
        match (self.seq.checked_add(1), self.ms.checked_add(1)) {
            (Some(seq), _) => Some(Self { ms: self.ms, seq }),
            (None, Some(ms)) => Some(Self { ms, seq: 0 }),
            (None, None) => None,
        }
    }

    /// The largest id before this one; `None` before [`Self::MIN`].
    pub const fn previous(self) -> Option<Self> {
        match (self.seq.checked_sub(1), self.ms.checked_sub(1)) {
            (Some(seq), _) => Some(Self { ms: self.ms, seq }),
            (None, Some(ms)) => Some(Self { ms, seq: u64::MAX }),
            (None, None) => None,
        }
    }

    /// The id as text, without allocating.
    pub fn to_text(self) -> StreamIdText {
        let mut text = StreamIdText { bytes: [0; TEXT_BYTES_MAX], len: 0 };
        text.push(decimal::Digits::of(self.ms).as_bytes());
        text.push(b"-");
        text.push(decimal::Digits::of(self.seq).as_bytes());
        text
    }
}

impl StreamIdText {
    fn push(&mut self, part: &[u8]) {
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
    }

    /// The text: ASCII digits and one dash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for StreamId {
    type Err = StreamIdError;

    fn from_str(text: &str) -> Result<Self, StreamIdError> {
        Self::parse(text.as_bytes(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_was_written() {
        for id in [StreamId::MIN, StreamId::new(1_732_300_000_000, 7), StreamId::MAX] {
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(id.to_text().as_bytes(), id.to_string().as_bytes());
        }
    }

    #[test]
    fn a_time_alone_takes_the_sequence_it_is_given() {
        assert_eq!(StreamId::parse(b"5", 0), Ok(StreamId::new(5, 0)));
        assert_eq!(StreamId::parse(b"5", u64::MAX), Ok(StreamId::new(5, u64::MAX)));
    }

    #[test]
    fn text_of_another_form_is_refused() {
        for text in ["", "-", "1-", "-1", "1-1-1", "a", "1-b", "+1-1", " 1-1", "18446744073709551616-0"] {
            assert_eq!(text.parse::<StreamId>(), Err(StreamIdError), "{text}");
        }
    }

    #[test]
    fn neighbours_cross_the_millisecond() {
        assert_eq!(StreamId::new(5, u64::MAX).next(), Some(StreamId::new(6, 0)));
        assert_eq!(StreamId::new(6, 0).previous(), Some(StreamId::new(5, u64::MAX)));
        assert_eq!((StreamId::MAX.next(), StreamId::MIN.previous()), (None, None));
    }
}
