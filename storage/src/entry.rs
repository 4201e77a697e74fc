//! Ids that grow: one clock-like number for everything the log remembers.
//!
//! A message and the attempts made for it draw their ids from the same source, the log, in the order in
//! which they are written. So an id is a time, a name and a place at once: sorting by id is sorting by
//! log order, and finding an id is a binary search.
//!
//! An id is written `<unix ms>-<sequence>`, the form of Redis stream ids, so that every client library
//! parses it.

use std::fmt;
use std::str::FromStr;

/// Bits of an [`EntryId`] that count entries within one millisecond.
const SEQUENCE_BITS: u32 = 16;

/// The id of a message or an attempt: 48 bits of unix milliseconds, 16 bits of sequence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EntryId(u64);

/// Why a text is not an entry id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not an id of the form <unix ms>-<sequence>")]
pub struct EntryIdError {
    /// What was given, cut to 64 characters.
    pub text: String,
}

impl EntryId {
    /// Smaller than every id that is ever handed out.
    pub const MIN: Self = Self(0);
    /// Larger than every id that is ever handed out.
    pub const MAX: Self = Self(u64::MAX);
    /// The last millisecond (unix) an id can hold: the year 10889.
    pub const MS_MAX: u64 = u64::MAX >> SEQUENCE_BITS;
    /// The last sequence number within one millisecond.
    pub const SEQUENCE_MAX: u16 = u16::MAX;

    /// The id `<ms>-<sequence>`; `ms` beyond [`Self::MS_MAX`] is cut to it.
    pub const fn new(ms: u64, sequence: u16) -> Self {
        let ms = if ms > Self::MS_MAX { Self::MS_MAX } else { ms };
        Self(ms << SEQUENCE_BITS | sequence as u64)
    }

    /// The id stored as this number.
    pub const fn from_u64(raw: u64) -> Self {
        Self(raw)
    }

    /// The number under which the id is stored; numbers sort as ids do.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Unix milliseconds at which the id was handed out (or a little later, when ids outran the clock).
    pub const fn ms(self) -> u64 {
        self.0 >> SEQUENCE_BITS
    }

    /// The place within that millisecond.
    pub const fn sequence(self) -> u16 {
        self.0 as u16
    }

    /// The smallest id after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The id to hand out after `self` at `now_ms`: the clock's time, unless ids have outrun the clock.
    pub fn following(self, now_ms: u64) -> Self {
        Self::new(now_ms, 0).max(self.next())
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms(), self.sequence())
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EntryId {
    type Err = EntryIdError;

    fn from_str(text: &str) -> Result<Self, EntryIdError> {
        let parse = || {
            let (ms, sequence) = text.split_once('-')?;
            let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            if !digits(ms) || !digits(sequence) {
                return None;
            }
            let ms: u64 = ms.parse().ok()?;
            (ms <= Self::MS_MAX).then_some(Self::new(ms, sequence.parse().ok()?))
        };
        parse().ok_or_else(|| EntryIdError { text: text.chars().take(64).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_was_written() {
        for id in [EntryId::MIN, EntryId::new(1_732_300_000_000, 7), EntryId::MAX] {
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(EntryId::from_u64(id.as_u64()), id);
        }
    }

    #[test]
    fn text_of_another_form_is_refused() {
        for text in ["", "-", "1-", "-1", "1", "1-65536", "a-1", "+1-1", "281474976710656-0", "1-1-1"] {
            assert!(text.parse::<EntryId>().is_err(), "{text}");
        }
    }

    #[test]
    fn ids_grow_even_when_the_clock_goes_back() {
        let first = EntryId::MIN.following(1_000);
        let second = first.following(999);
        let third = second.following(1_001);
        assert_eq!(
            (first.to_string(), second.to_string(), third.to_string()),
            ("1000-0".into(), "1000-1".into(), "1001-0".into())
        );
    }

    #[test]
    fn more_ids_than_fit_in_a_millisecond_run_into_the_next() {
        assert_eq!(EntryId::new(5, u16::MAX).following(5), EntryId::new(6, 0));
    }
}
