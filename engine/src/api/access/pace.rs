//! Pace of requests: so many a second, and a second's worth of them at once.
//!
//! The generic cell rate algorithm, as in `core::pace`, with two differences: whoever comes too early is turned away
//! instead of waiting, so that asking and spending are one step; and what was not used is saved up for a second,
//! since clients come in bursts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::core::tick::Tick;

const NS_PER_MS: u64 = 1_000_000;
/// How far ahead of its moment a request may be.
const AHEAD_NS: u64 = 1_000 * NS_PER_MS;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Pace {
    interval_ns: u64,
    /// When the next request is due, in unix nanoseconds.
    next_ns: AtomicU64,
}

impl Pace {
    /// At most so many requests a second.
    pub(super) fn new(rate_max: u32) -> Self {
        Self { interval_ns: AHEAD_NS / u64::from(rate_max.max(1)), next_ns: AtomicU64::new(0) }
    }

    /// Takes a request in, or says how long it should wait.
    pub(super) fn take(&self, now: Tick) -> Result<(), Duration> {
        let now_ns = now.as_ms().saturating_mul(NS_PER_MS);
        let after = |next_ns: u64| next_ns.max(now_ns) + self.interval_ns;
        let latest_ns = now_ns + AHEAD_NS;
        let taken = self.next_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next_ns| {
            Some(after(next_ns)).filter(|after_ns| *after_ns <= latest_ns)
        });
        taken.map(drop).map_err(|next_ns| Duration::from_nanos(after(next_ns) - latest_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Tick = Tick::from_ms(1_732_300_000_123);

    fn taken(pace: &Pace, now: Tick) -> usize {
        (0..).take_while(|_| pace.take(now).is_ok()).count()
    }

    #[test]
    fn a_seconds_worth_may_come_at_once_and_then_as_many_as_time_allows() {
        let pace = Pace::new(20);
        assert_eq!(taken(&pace, START), 20);
        assert_eq!(pace.take(START), Err(Duration::from_millis(50)));
        assert_eq!(taken(&pace, START + Duration::from_millis(100)), 2);
        assert_eq!(taken(&pace, START + Duration::from_secs(3_600)), 20);
    }

    #[test]
    fn one_a_second_is_allowed() {
        let pace = Pace::new(1);
        assert_eq!(taken(&pace, START), 1);
        assert_eq!(pace.take(START), Err(Duration::from_secs(1)));
    }
}
