//! Durations as people write them: `250ms`, `5s`, `2m`, `12h`, `30d`.
//!
//! One whole number and one unit, in the config, in retry policies and in the API alike. Written back with
//! the largest unit that says it exactly, so that what is read and written again stays as it was meant.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The units, largest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A duration of whole milliseconds and its written form. What is finer is cut off in writing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationText(pub Duration);

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a duration; write a whole number with its unit: 250ms, 5s, 2m, 12h or 30d")]
pub struct DurationTextError {
    /// What was given, cut to 64 characters.
    pub text: String,
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let exact = UNITS.into_iter().find(|(_, unit_ms)| ms >= *unit_ms && ms.is_multiple_of(*unit_ms));
        let (unit, unit_ms) = exact.unwrap_or(("ms", 1));
        write!(f, "{}{unit}", ms / unit_ms)
    }
}

impl fmt::Debug for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DurationText {
    type Err = DurationTextError;

    fn from_str(text: &str) -> Result<Self, DurationTextError> {
        let parse = || {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let (number, unit) = text.split_at(digits);
            let (_, unit_ms) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
            let ms = number.parse::<u64>().ok()?.checked_mul(unit_ms)?;
            Some(Self(Duration::from_millis(ms)))
        };
        parse().ok_or_else(|| DurationTextError { text: text.chars().take(64).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_back_as_it_was_written() {
        for text in ["0ms", "250ms", "1500ms", "5s", "90s", "2m", "12h", "36h", "30d"] {
            assert_eq!(text.parse::<DurationText>().map(|duration| duration.to_string()), Ok(text.into()));
        }
    }

    #[test]
    fn the_largest_exact_unit_is_written() {
        for (ms, text) in [(60_000, "1m"), (61_000, "61s"), (86_400_000, "1d"), (1_001, "1001ms")] {
            assert_eq!(DurationText(Duration::from_millis(ms)).to_string(), text);
        }
    }

    #[test]
    fn text_of_another_form_is_refused() {
        for text in
            ["", "5", "s", "-5s", "+5s", "1.5s", "5 s", "5S", "5s ", "1h30m", "99999999999999999999s", "ä"]
        {
            assert!(text.parse::<DurationText>().is_err(), "{text}");
        }
        let huge = format!("{}d", u64::MAX);
        assert!(huge.parse::<DurationText>().is_err());
    }
}
