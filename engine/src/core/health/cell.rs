//! A health that all threads share, and none waits for.

use std::sync::atomic::{AtomicU64, Ordering};

use super::rule::LockoutRule;
use super::state::{HealthPhase, HealthState};
use super::{Admit, HealthChange, HealthView};
use crate::core::tick::Tick;
use crate::core::word::Word;

/// The health of one URL or host. Reading is one load; a step is a compare-and-swap, and one that changes
/// nothing does not write, so that a locked-out host refuses millions without moving its cache line.
///
/// `Relaxed` everywhere: the state is all there is, nobody reads other memory on the strength of it.
pub type HealthCell = HealthCellOn<AtomicU64>;

/// A [`HealthCell`] on any word.
#[derive(Debug, Default)]
pub struct HealthCellOn<W>(W);

impl<W: Word> HealthCellOn<W> {
    /// What [`Self::admit`] would answer.
    pub fn peek(&self, now: Tick) -> Admit {
        super::peek(self.state(), now)
    }

    /// Whether an attempt may be made at `now`. [`Admit::GoAsProbe`] is answered to one caller only; it then
    /// owes [`Self::on_outcome`] or [`Self::release_probe`].
    pub fn admit(&self, now: Tick, rule: &LockoutRule) -> Admit {
        let mut before = self.state();
        loop {
            let (answer, after) = super::admit(before, now, rule);
            match self.swap(before, after) {
                Ok(()) => return answer,
                Err(current) => before = current,
            }
        }
    }

    /// Learns how an attempt ended. `was_probe`: it was admitted with [`Admit::GoAsProbe`].
    pub fn on_outcome(
        &self,
        now: Tick,
        success: bool,
        was_probe: bool,
        rule: &LockoutRule,
    ) -> Option<HealthChange> {
        let step = |state| super::on_outcome(state, now, success, was_probe, rule);
        let (before, after) = self.step(step);
        super::change(before, after, now)
    }

    /// Takes back a probe that was admitted but never sent.
    pub fn release_probe(&self, now: Tick) {
        self.step(|state| super::release_probe(state, now));
    }

    /// Whether a probe is out and not yet written off: its result is worth waiting for.
    pub fn is_probing(&self, now: Tick) -> bool {
        let state = self.state();
        state.parts().phase == HealthPhase::Probing && matches!(super::peek(state, now), Admit::Refuse { .. })
    }

    /// What it says at this moment.
    pub fn view(&self, now: Tick) -> HealthView {
        super::view(self.state(), now)
    }

    /// The state at this moment.
    pub fn state(&self) -> HealthState {
        HealthState::from_u64(self.0.load(Ordering::Relaxed))
    }

    fn step(&self, next: impl Fn(HealthState) -> HealthState) -> (HealthState, HealthState) {
        let mut before = self.state();
        loop {
            let after = next(before);
            match self.swap(before, after) {
                Ok(()) => return (before, after),
                Err(current) => before = current,
            }
        }
    }

    /// Replaces `before` by `after`, or says what is there instead.
    fn swap(&self, before: HealthState, after: HealthState) -> Result<(), HealthState> {
        if before == after {
            return Ok(());
        }
        self.0
            .exchange(before.as_u64(), after.as_u64(), Ordering::Relaxed)
            .map(drop)
            .map_err(HealthState::from_u64)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::time::Duration;

    use super::super::rule::LockoutSettings;
    use super::*;

    const START: Tick = Tick::from_ms(1_732_300_000_123);

    fn rule(consecutive_failures: u32) -> LockoutRule {
        let settings = LockoutSettings { consecutive_failures, ..LockoutSettings::default() };
        LockoutRule::new(settings).expect("a fine rule")
    }

    #[test]
    fn people_hear_of_a_lockout_of_a_probe_that_failed_and_of_the_recovery() {
        let cell = HealthCell::default();
        let rule = rule(3);
        let heard: Vec<_> = (0..4).map(|_| cell.on_outcome(START, false, false, &rule)).collect();
        let until = Tick::from_ms(1_732_300_031_000);
        assert_eq!(heard, [None, None, Some(HealthChange::LockedOut { until }), None]);
        assert_eq!(cell.admit(until, &rule), Admit::GoAsProbe);
        assert!(cell.is_probing(until));
        let next = until + Duration::from_secs(60);
        assert_eq!(
            cell.on_outcome(until, false, true, &rule),
            Some(HealthChange::StaysLockedOut { until: next })
        );
        assert!(!cell.is_probing(until));
        assert_eq!(cell.admit(next, &rule), Admit::GoAsProbe);
        assert_eq!(cell.on_outcome(next, true, true, &rule), Some(HealthChange::Recovered));
        assert_eq!(cell.view(next).phase, HealthPhase::Healthy);
    }

    /// A cell on which a model checker tries every order of steps.
    type Checked = HealthCellOn<loom::sync::atomic::AtomicU64>;

    /// A cell that is locked out, the first moment at which it may be probed, and the rule.
    fn locked_out() -> (loom::sync::Arc<Checked>, Tick, LockoutRule) {
        let (cell, rule) = (loom::sync::Arc::new(Checked::default()), rule(1));
        assert!(cell.on_outcome(START, false, false, &rule).is_some());
        (cell, Tick::from_ms(1_732_300_031_000), rule)
    }

    #[test]
    fn in_no_order_of_steps_do_two_threads_get_the_probe() {
        loom::model(|| {
            let (cell, now, rule) = locked_out();
            let other = cell.clone();
            let there = loom::thread::spawn(move || other.admit(now, &rule) == Admit::GoAsProbe);
            let here = cell.admit(now, &rule) == Admit::GoAsProbe;
            assert!(here ^ there.join().expect("it does not panic"));
        });
    }

    #[test]
    fn in_no_order_of_steps_is_a_probe_that_was_taken_back_lost() {
        loom::model(|| {
            let (cell, now, rule) = locked_out();
            assert_eq!(cell.admit(now, &rule), Admit::GoAsProbe);
            let other = cell.clone();
            // A late failure of an attempt from before the lockout comes meanwhile.
            let late = loom::thread::spawn(move || other.on_outcome(now, false, false, &rule));
            cell.release_probe(now);
            late.join().expect("it does not panic");
            assert_eq!(cell.admit(now, &rule), Admit::GoAsProbe);
        });
    }

    #[test]
    fn in_no_order_of_steps_is_a_result_lost_or_a_lockout_told_twice() {
        loom::model(|| {
            let (cell, rule) = (loom::sync::Arc::new(Checked::default()), rule(2));
            let other = cell.clone();
            let there = loom::thread::spawn(move || other.on_outcome(START, false, false, &rule));
            let here = cell.on_outcome(START, false, false, &rule);
            let there = there.join().expect("it does not panic");
            assert!(here.is_some() ^ there.is_some(), "{here:?} {there:?}");
            assert!(matches!(cell.peek(START), Admit::Refuse { .. }));
        });
    }

    #[test]
    fn of_many_threads_exactly_one_gets_the_probe() {
        let rule = LockoutRule::default();
        for round in 0..200 {
            let cell = HealthCell::default();
            for _ in 0..10 {
                cell.on_outcome(START, false, false, &rule);
            }
            let now = START + Duration::from_secs(40 + round);
            let barrier = Barrier::new(4);
            let asks = || {
                barrier.wait();
                (0..50).filter(|_| cell.admit(now, &rule) == Admit::GoAsProbe).count()
            };
            let probes: usize = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(asks)).collect();
                threads.into_iter().map(|thread| thread.join().expect("it does not panic")).sum()
            });
            assert_eq!(probes, 1);
        }
    }

    #[test]
    fn no_result_is_lost_between_threads() {
        let rule = rule(255);
        let cell = HealthCell::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..250 {
                        cell.on_outcome(START, number % 5 > 0, false, &rule);
                    }
                });
            }
        });
        let parts = cell.state().parts();
        assert_eq!((parts.failures, parts.results), (200, 1_000));
    }
}
