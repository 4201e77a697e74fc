//! Pace of requests, or of messages: so many a second, and a second's worth of them at once.
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
pub(crate) struct Pace {
    interval_ns: u64,
    /// When the next request is due, in unix nanoseconds.
    next_ns: AtomicU64,
}

impl Pace {
    /// At most so many requests a second.
    pub(crate) fn new(rate_max: u32) -> Self {
        Self { interval_ns: AHEAD_NS / u64::from(rate_max.max(1)), next_ns: AtomicU64::new(0) }
    }

    /// Takes a request in, or says how long it should wait.
    pub(crate) fn take(&self, now: Tick) -> Result<(), Duration> {
        let now_ns = now.as_ms().saturating_mul(NS_PER_MS);
        let after = |next_ns: u64| next_ns.max(now_ns) + self.interval_ns;
        let latest_ns = now_ns + AHEAD_NS;
        let taken = self.next_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next_ns| {
            Some(after(next_ns)).filter(|after_ns| *after_ns <= latest_ns)
        });
        taken.map(drop).map_err(|next_ns| Duration::from_nanos(after(next_ns) - latest_ns))
    }

    /// Takes as many of them in as may come now; or, if there is none, says how long the next one should wait.
    pub(crate) fn take_up_to(&self, wanted: u32, now: Tick) -> Result<u32, Duration> {
        let now_ns = now.as_ms().saturating_mul(NS_PER_MS);
        let latest_ns = now_ns + AHEAD_NS;
        let room = |next_ns: u64| latest_ns.saturating_sub(next_ns.max(now_ns)) / self.interval_ns;
        let granted = |next_ns: u64| room(next_ns).min(wanted.into());
        let taken = self.next_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next_ns| {
            Some(granted(next_ns))
                .filter(|count| *count > 0)
                .map(|count| next_ns.max(now_ns) + count * self.interval_ns)
        });
        match taken {
            Ok(next_ns) => Ok(u32::try_from(granted(next_ns)).unwrap_or(wanted)),
            Err(next_ns) => Err(Duration::from_nanos((next_ns.max(now_ns) + self.interval_ns) - latest_ns)),
        }
    }

    /// Whether it is as if nobody had ever asked.
    pub(crate) fn is_fresh(&self, now: Tick) -> bool {
        self.next_ns.load(Ordering::Relaxed) <= now.as_ms().saturating_mul(NS_PER_MS)
    }

    /// How many a second.
    pub(crate) const fn rate(&self) -> u64 {
        AHEAD_NS / self.interval_ns
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
    fn several_at_once_are_as_many_as_one_by_one() {
        let pace = Pace::new(20);
        assert_eq!(pace.take_up_to(15, START), Ok(15));
        assert_eq!(pace.take_up_to(15, START), Ok(5));
        assert_eq!(pace.take_up_to(15, START), Err(Duration::from_millis(50)));
        assert_eq!(pace.take_up_to(15, START + Duration::from_millis(120)), Ok(2));
        assert_eq!(pace.take_up_to(u32::MAX, START + Duration::from_secs(3_600)), Ok(20));
        assert_eq!(pace.rate(), 20);
    }

    #[test]
    fn one_a_second_is_allowed() {
        let pace = Pace::new(1);
        assert_eq!(taken(&pace, START), 1);
        assert_eq!(pace.take(START), Err(Duration::from_secs(1)));
    }
}
