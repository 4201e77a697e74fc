//! When something happened to a message, for the newest million of them.
//!
//! A ring of single words, so that one thread may write while another reads: the upper bits say which round of
//! the ring wrote it, the lower ones hold nanoseconds since the beginning.

use std::sync::atomic::{AtomicU64, Ordering};

/// Messages whose times are remembered.
const PLACES: u64 = 1 << 20;
/// 2^44 ns are almost five hours.
const NS_BITS: u32 = 44;
const NS_MAX: u64 = (1 << NS_BITS) - 1;

/// What the ring knows about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    /// It has not happened.
    NotYet,
    /// It happened so many nanoseconds after the beginning.
    At(u64),
    /// It is too long ago.
    Forgotten,
}

/// See the head of this file.
pub(crate) struct Times {
    places: Vec<AtomicU64>,
}

impl Times {
    pub(crate) fn new() -> Self {
        Self { places: (0..PLACES).map(|_| AtomicU64::new(0)).collect() }
    }

    /// It happens to `message` now.
    pub(crate) fn set(&self, message: u64, ns: u64) {
        let word = round(message) << NS_BITS | ns.min(NS_MAX);
        self.places[(message % PLACES) as usize].store(word, Ordering::Release);
    }

    /// When it happened to `message`.
    pub(crate) fn of(&self, message: u64) -> Time {
        let word = self.places[(message % PLACES) as usize].load(Ordering::Acquire);
        match (word >> NS_BITS).cmp(&round(message)) {
            std::cmp::Ordering::Less => Time::NotYet,
            std::cmp::Ordering::Equal => Time::At(word & NS_MAX),
            std::cmp::Ordering::Greater => Time::Forgotten,
        }
    }
}

/// Zero stands for "never", so rounds begin at one.
fn round(message: u64) -> u64 {
    message / PLACES + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_known_until_the_ring_has_gone_round() {
        let times = Times::new();
        assert_eq!(times.of(0), Time::NotYet);
        times.set(0, 0);
        times.set(7, 5_000);
        assert_eq!((times.of(0), times.of(7)), (Time::At(0), Time::At(5_000)));
        assert_eq!(times.of(7 + PLACES), Time::NotYet);
        times.set(7 + PLACES, 6_000);
        assert_eq!((times.of(7), times.of(7 + PLACES)), (Time::Forgotten, Time::At(6_000)));
    }

    #[test]
    fn a_time_that_does_not_fit_is_the_last_that_does_and_no_other_message() {
        let times = Times::new();
        times.set(3, u64::MAX);
        assert_eq!(times.of(3), Time::At(NS_MAX));
    }
}
