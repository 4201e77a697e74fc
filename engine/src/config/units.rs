//! Durations and sizes as people write them: `5s`, `12h`, `64MiB`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use crate::core::duration::DurationText;
use serde::{Deserialize, Deserializer, de::Error};

/// A duration as the configuration holds it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(DurationText);

/// A number of bytes: a number with `B`, `KiB`, `MiB`, `GiB` or `TiB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

/// An address to listen on, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub Option<SocketAddr>);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self(None));
        }
        let wrong =
            |_| D::Error::custom(format!("'{text}' is neither empty nor an address such as 0.0.0.0:7443"));
        text.parse().map(|address| Self(Some(address))).map_err(wrong)
    }
}

const SIZE_UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Span {
    /// This many milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(DurationText(Duration::from_millis(ms)))
    }

    /// As the standard library has it.
    pub const fn duration(self) -> Duration {
        self.0.0
    }

    /// Milliseconds.
    pub fn ms(self) -> u64 {
        u64::try_from(self.0.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Size {
    /// This many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Bytes, as a length in memory.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: crate::core::duration::DurationTextError| error.to_string())
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let (number, unit) = text.split_at(digits);
            let (_, scale) = SIZE_UNITS.into_iter().find(|(name, _)| *name == unit)?;
            number.parse::<u64>().ok()?.checked_mul(scale)
        };
        parse().map(Self).ok_or_else(|| format!("'{text}' is not a size such as 512B, 64KiB, 1MiB or 20GiB"))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact =
            SIZE_UNITS.into_iter().find(|(_, scale)| self.0 >= *scale && self.0.is_multiple_of(*scale));
        let (name, scale) = exact.unwrap_or(("B", 1));
        write!(f, "{}{name}", self.0 / scale)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_read_as_they_are_written() {
        for text in ["250ms", "5s", "2m", "12h", "7d", "0ms"] {
            assert_eq!(text.parse::<DurationText>().expect(text).to_string(), text);
        }
        for text in ["0B", "512B", "64KiB", "1MiB", "20GiB"] {
            assert_eq!(text.parse::<Size>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in
            ["", "5", "s", "5 s", "-5s", "5.5s", "5S", "99999999999999999999s", "18446744073709551615d"]
        {
            assert!(text.parse::<DurationText>().is_err(), "{text}");
        }
        for text in ["", "5", "5mb", "1e3B", "99999999TiB9", "18446744073709551615TiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
