//! Pace: how many attempts a second somebody wants at most.
//!
//! Attempts are spread evenly: each one moves the moment at which the next is due by one interval, and whoever comes
//! earlier waits until then. This is the generic cell rate algorithm (ITU-T I.371, annex A) with one number as its
//! state, so that shards share the pace of an application without a lock.
//!
//! Invariants
//! - In any span of time begin at most `span x rate` attempts, and as many more as fit into [`AHEAD`] (at least one).
//!   Shards that ask in the same moment may all go, one each; the next one then waits for all of them.
//! - Nobody waits longer than one interval, even if the clock goes back.

use std::num::NonZeroU16;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::tick::Tick;
use super::wheel::WHEEL_STEP_MS;
use super::word::Word;

/// How much earlier than its moment an attempt may begin: two steps of the wheel. Who is woken up to a step too late
/// would otherwise lose what it did not use meanwhile.
const AHEAD: Duration = Duration::from_millis(2 * WHEEL_STEP_MS);
const AHEAD_NS: u64 = AHEAD.as_nanos() as u64;
const NS_PER_MS: u64 = 1_000_000;
const NS_PER_SECOND: u64 = 1_000_000_000;

/// See the head of this file. The default sets no limit.
pub type PaceCell = PaceCellOn<AtomicU64>;

/// A [`PaceCell`] on any words.
#[derive(Debug, Default)]
pub struct PaceCellOn<W> {
    /// Nanoseconds from one attempt to the next; 0: no limit.
    interval_ns: W,
    /// When the next attempt is due, in unix nanoseconds.
    next_ns: W,
}

impl<W: Word> PaceCellOn<W> {
    /// At most so many attempts a second; `None`: no limit.
    pub fn new(rate: Option<NonZeroU16>) -> Self {
        let cell = Self::default();
        cell.set(rate);
        cell
    }

    /// From now on at most so many attempts a second.
    pub fn set(&self, rate: Option<NonZeroU16>) {
        let interval_ns = rate.map_or(0, |rate| NS_PER_SECOND / u64::from(rate.get()));
        self.interval_ns.store(interval_ns, Ordering::Relaxed);
    }

    /// How long an attempt has to wait; zero means that it may begin.
    pub fn wait(&self, now: Tick) -> Duration {
        let interval_ns = self.interval_ns.load(Ordering::Relaxed);
        if interval_ns == 0 {
            return Duration::ZERO;
        }
        let ready_ns = now.as_ms() * NS_PER_MS + AHEAD_NS;
        let wait_ns = self.next_ns.load(Ordering::Relaxed).saturating_sub(ready_ns).min(interval_ns);
        Duration::from_millis(wait_ns.div_ceil(NS_PER_MS))
    }

    /// How many attempts may begin now; none while there is something to wait for.
    pub fn room(&self, now: Tick) -> usize {
        let interval_ns = self.interval_ns.load(Ordering::Relaxed);
        if interval_ns == 0 {
            return usize::MAX;
        }
        let now_ns = now.as_ms() * NS_PER_MS;
        let next_ns = self.next_ns.load(Ordering::Relaxed).max(now_ns);
        let ahead_ns = (now_ns + AHEAD_NS).checked_sub(next_ns);
        ahead_ns.map_or(0, |ahead_ns| 1 + (ahead_ns / interval_ns) as usize)
    }

    /// An attempt begins.
    pub fn spend(&self, now: Tick) {
        let interval_ns = self.interval_ns.load(Ordering::Relaxed);
        if interval_ns == 0 {
            return;
        }
        let now_ns = now.as_ms() * NS_PER_MS;
        let latest_ns = now_ns + AHEAD_NS + interval_ns;
        let mut next_ns = self.next_ns.load(Ordering::Relaxed);
        while let Err(current) =
            self.next_ns.exchange(next_ns, next_ns.clamp(now_ns, latest_ns) + interval_ns, Ordering::Relaxed)
        {
            next_ns = current;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Tick = Tick::from_ms(1_732_300_000_123);

    fn pace(rate: u16) -> PaceCell {
        PaceCell::new(NonZeroU16::new(rate))
    }

    /// When attempts begin within `span`, by somebody who always has one to make.
    fn greedy(pace: &PaceCell, from: Tick, span: Duration) -> Vec<Tick> {
        let (mut now, mut begun) = (from, Vec::new());
        while now.since(from) < span {
            match pace.wait(now) {
                Duration::ZERO => {
                    pace.spend(now);
                    begun.push(now);
                }
                wait => now = now + wait,
            }
        }
        begun
    }

    #[test]
    fn in_no_order_of_steps_is_an_attempt_not_counted() {
        loom::model(|| {
            let cell = loom::sync::Arc::new(PaceCellOn::<loom::sync::atomic::AtomicU64>::default());
            cell.set(NonZeroU16::new(10));
            let other = cell.clone();
            let there = loom::thread::spawn(move || other.spend(START));
            cell.spend(START);
            there.join().expect("it does not panic");
            // Two attempts: the next one is due two intervals on, of which the first part may be gone ahead of.
            assert_eq!(cell.wait(START), Duration::from_millis(100));
            assert_eq!(cell.wait(START + Duration::from_millis(200)), Duration::ZERO);
            assert!(cell.wait(START + Duration::from_millis(150)) > Duration::ZERO);
        });
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let pace = pace(0);
        for _ in 0..1_000_000 {
            pace.spend(START);
        }
        assert_eq!(pace.wait(START), Duration::ZERO);
    }

    #[test]
    fn three_a_second_are_a_third_of_a_second_apart() {
        let begun = greedy(&pace(3), START, Duration::from_secs(2));
        let ms: Vec<u128> = begun.iter().map(|at| at.since(START).as_millis()).collect();
        assert_eq!(ms, [0, 302, 635, 968, 1_302, 1_635, 1_968]);
    }

    #[test]
    fn time_without_attempts_cannot_be_saved_up() {
        let pace = pace(100);
        greedy(&pace, START, Duration::from_secs(1));
        let later = START + Duration::from_secs(3_600);
        assert_eq!(greedy(&pace, later, Duration::from_secs(1)).len(), 104);
    }

    #[test]
    fn a_clock_that_goes_back_keeps_nobody_waiting_for_more_than_an_interval() {
        let pace = pace(2);
        greedy(&pace, START, Duration::from_secs(1));
        assert_eq!(pace.wait(START - Duration::from_secs(86_400)), Duration::from_millis(500));
    }

    #[test]
    fn a_lifted_limit_is_lifted_at_once_and_a_new_one_holds_at_once() {
        let pace = pace(1);
        greedy(&pace, START, Duration::from_secs(1));
        pace.set(NonZeroU16::new(1_000));
        assert!(pace.wait(START) <= Duration::from_millis(1));
        pace.set(None);
        assert_eq!(pace.wait(START), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn any_second_has_as_many_attempts_as_it_should(rate in 1_u16..5_000, pauses in prop::collection::vec(0_u64..2_000, 0..5)) {
            let (pace, mut from, mut begun) = (pace(rate), START, Vec::new());
            for pause in pauses {
                begun.extend(greedy(&pace, from, Duration::from_millis(500)));
                from = from + Duration::from_millis(500 + pause);
            }
            let most = usize::from(rate) + usize::from(rate) / 31 + 2;
            for more in begun.windows(most + 1) {
                prop_assert!(more[most].since(more[0]) >= Duration::from_secs(1), "{more:?}");
            }
        }
    }
}
