//! The verdict: is everything that was acknowledged accounted for?
//!
//! Deliveries to healthy endpoints are looked for one by one at the receiver. For the others the engine's own account
//! has to add up: what it accepted has ended, or is pending. An engine that counts more as accepted than was
//! acknowledged here is no fault: an answer may be lost with its connection.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::account::Account;
use super::layout::Layout;
use crate::engine::{Counters, Engine};

/// Counters are read while the engine works; for a moment they need not fit together.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Deliveries that are named, of those that are missing.
const NAMED_MAX: usize = 5;

/// See the head of this file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    /// Messages acknowledged.
    pub(crate) acknowledged: u64,
    /// Deliveries that these make at healthy endpoints.
    pub(crate) expected: u64,
    /// Deliveries received at healthy endpoints.
    pub(crate) received: u64,
    /// Receipts beyond the first.
    pub(crate) again: u64,
    /// Requests at endpoints that are not healthy.
    pub(crate) unhealthy: u64,
    /// Deliveries of acknowledged messages that no healthy endpoint has received.
    pub(crate) missing: u64,
    /// Some of them: message and slot.
    pub(crate) missing_first: Vec<(u64, u32)>,
    /// Requests with a message for another endpoint, or a body that nobody published.
    pub(crate) astray: u64,
    /// What the engine says itself.
    pub(crate) engine: EngineSays,
}

/// The engine's own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EngineSays {
    /// Its counters are of no use: it was killed meanwhile, or has messages of others too.
    NotAsked,
    /// It is not there any more.
    Silent,
    /// What it accepted, in deliveries, and what became of them.
    Counts { accepted: u64, delivered: u64, exhausted: u64, cancelled: u64, pending: u64 },
}

impl EngineSays {
    /// Deliveries that it accepted and does not account for, or the other way round.
    fn gap(self) -> u64 {
        match self {
            Self::NotAsked => 0,
            Self::Silent => 1,
            Self::Counts { accepted, delivered, exhausted, cancelled, pending } => {
                accepted.abs_diff(delivered + exhausted + cancelled + pending)
            }
        }
    }
}

impl Verdict {
    pub(super) fn find(
        account: &Account,
        layout: &Layout,
        end: u64,
        engine: &Engine,
        counted: Option<Counters>,
    ) -> Self {
        let engine = counted.map_or(EngineSays::NotAsked, |before| ask(engine, before, layout.fan_out()));
        let totals = account.totals();
        Self {
            acknowledged: totals.acknowledged,
            expected: totals.expected,
            received: totals.once,
            again: totals.again,
            unhealthy: totals.unhealthy,
            missing: account.missing(end).count() as u64,
            missing_first: account.missing(end).take(NAMED_MAX).collect(),
            astray: totals.astray,
            engine,
        }
    }

    /// Deliveries that nobody can account for.
    pub(crate) fn unaccounted(&self) -> u64 {
        self.missing + self.astray + self.engine.gap()
    }

    /// Both verdicts in one, for several runs.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.acknowledged += other.acknowledged;
        self.expected += other.expected;
        self.received += other.received;
        self.again += other.again;
        self.unhealthy += other.unhealthy;
        self.missing += other.missing;
        self.missing_first.extend(other.missing_first);
        self.missing_first.truncate(NAMED_MAX);
        self.astray += other.astray;
        self.engine = both(self.engine, other.engine);
        self
    }

    /// In one sentence.
    pub(crate) fn sentence(&self) -> String {
        let unaccounted = match self.unaccounted() {
            0 => "zero unaccounted".to_owned(),
            some => format!("{some} UNACCOUNTED"),
        };
        let mut text = format!(
            "{} messages acknowledged, {} deliveries received at healthy endpoints, {} of them again; {unaccounted}",
            self.acknowledged, self.received, self.again
        );
        if self.missing > 0 {
            let named =
                self.missing_first.iter().map(|(message, slot)| format!("message {message} at slot {slot}"));
            text += &format!("; {} missing, such as {}", self.missing, named.collect::<Vec<_>>().join(", "));
        }
        if self.astray > 0 {
            text += &format!("; {} at the wrong endpoint", self.astray);
        }
        text + &self.engine_sentence()
    }

    fn engine_sentence(&self) -> String {
        match self.engine {
            EngineSays::NotAsked => String::new(),
            EngineSays::Silent => "; the engine does not answer".to_owned(),
            EngineSays::Counts { accepted, delivered, exhausted, cancelled, pending } => format!(
                "; the engine accepted {accepted} deliveries: {delivered} delivered, {exhausted} exhausted, \
                 {cancelled} cancelled, {pending} pending"
            ),
        }
    }
}

/// Asks until it adds up.
fn ask(engine: &Engine, before: Counters, fan_out: u32) -> EngineSays {
    let until = Instant::now() + PATIENCE;
    loop {
        let says = engine.counters().map_or(EngineSays::Silent, |now| since(before, now, fan_out));
        if says.gap() == 0 || Instant::now() >= until {
            return says;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn since(before: Counters, now: Counters, fan_out: u32) -> EngineSays {
    EngineSays::Counts {
        accepted: now.accepted.saturating_sub(before.accepted) * u64::from(fan_out),
        delivered: now.delivered.saturating_sub(before.delivered),
        exhausted: now.exhausted.saturating_sub(before.exhausted),
        cancelled: now.cancelled.saturating_sub(before.cancelled),
        pending: now.pending.saturating_sub(before.pending),
    }
}

fn both(one: EngineSays, other: EngineSays) -> EngineSays {
    use EngineSays::{Counts, NotAsked, Silent};
    match (one, other) {
        (Silent, _) | (_, Silent) => Silent,
        (NotAsked, counts) | (counts, NotAsked) => counts,
        (
            Counts { accepted: a, delivered: d, exhausted: e, cancelled: c, pending: p },
            Counts { accepted, delivered, exhausted, cancelled, pending },
        ) => Counts {
            accepted: a + accepted,
            delivered: d + delivered,
            exhausted: e + exhausted,
            cancelled: c + cancelled,
            pending: p + pending,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean() -> Verdict {
        let engine =
            EngineSays::Counts { accepted: 10, delivered: 6, exhausted: 1, cancelled: 1, pending: 2 };
        Verdict {
            acknowledged: 10,
            expected: 6,
            received: 6,
            again: 0,
            unhealthy: 4,
            missing: 0,
            missing_first: vec![],
            astray: 0,
            engine,
        }
    }

    #[test]
    fn what_has_ended_or_is_pending_is_accounted_for() {
        assert_eq!(clean().unaccounted(), 0);
        assert!(clean().sentence().contains("zero unaccounted"));
    }

    #[test]
    fn one_delivery_that_is_missing_is_named() {
        let verdict = Verdict { missing: 1, missing_first: vec![(42, 3)], ..clean() };
        assert_eq!(verdict.unaccounted(), 1);
        assert!(verdict.sentence().contains("1 UNACCOUNTED; 1 missing, such as message 42 at slot 3"));
    }

    #[test]
    fn an_engine_whose_account_does_not_add_up_is_not_believed() {
        let engine =
            EngineSays::Counts { accepted: 10, delivered: 6, exhausted: 0, cancelled: 1, pending: 2 };
        assert_eq!(Verdict { engine, ..clean() }.unaccounted(), 1);
        assert_eq!(Verdict { engine: EngineSays::Silent, ..clean() }.unaccounted(), 1);
        assert_eq!(Verdict { engine: EngineSays::NotAsked, ..clean() }.unaccounted(), 0);
    }

    #[test]
    fn of_two_runs_everything_is_added() {
        let lost = Verdict { missing: 2, missing_first: vec![(1, 1), (2, 2)], ..clean() };
        let both = clean().and(lost);
        assert_eq!((both.acknowledged, both.unaccounted(), both.missing_first.len()), (20, 2, 2));
    }
}
