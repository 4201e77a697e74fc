//! What has arrived, once or again, in memory that is bounded.
//!
//! A delivery is known by its `webhook-id` and the target it was sent to, since two endpoints get the same message.
//! Of each, 62 bits of a hash are remembered: among ten million, two are taken for one with a probability of
//! one in 90,000. Beyond what may be remembered, arrivals are counted as forgotten instead of being guessed about.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use parking_lot::Mutex;
use serde::Serialize;

use super::{Arrival, Observer};

mod table;

use table::{Meeting, Table};

/// Few enough to cost nothing, enough that threads rarely wait for each other and that growth is a short pause.
const SHARDS: usize = 64;
/// Deliveries that can be remembered at most, at 8 to 16 bytes each.
pub(super) const REMEMBER_MAX: usize = 1 << 30;

/// Remembers deliveries.
#[derive(Debug)]
pub(crate) struct Ledger {
    shards: Vec<Mutex<Shard>>,
    remember_per_shard: usize,
    expected: Option<u64>,
}

#[derive(Debug, Default)]
struct Shard {
    table: Table,
    repeated: u64,
    accepted: u64,
    again: u64,
    again_after_accepted: u64,
    forgotten: u64,
}

/// What a [`Ledger`] can say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Account {
    /// Different deliveries that have arrived.
    pub(crate) deliveries: u64,
    /// Of these, how many arrived exactly once.
    pub(crate) once: u64,
    /// Of these, how many were answered with a 2xx.
    pub(crate) accepted: u64,
    /// Requests beyond the first of a delivery: retries and duplicates.
    pub(crate) again: u64,
    /// Requests of a delivery that had been answered with a 2xx before: duplicates.
    pub(crate) again_after_accepted: u64,
    /// Requests of which is not known whether they were the first: there was no room to remember them.
    pub(crate) forgotten: u64,
    /// Deliveries that were expected and have not arrived; at least so many where some are forgotten.
    pub(crate) never: Option<u64>,
}

impl Ledger {
    /// Remembers at least `remember` deliveries. `expected` is how many there are going to be.
    pub(crate) fn new(remember: usize, expected: Option<u64>) -> Self {
        // A hash does not fill its shards evenly; the fullest of 64 is within a few deviations of the mean.
        let mean = remember.div_ceil(SHARDS);
        let remember_per_shard = mean + 6 * (mean as f64).sqrt() as usize + 1;
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, remember_per_shard, expected }
    }

    fn arrived(&self, webhook_id: &str, target: &str, accepted: bool) {
        let hash = hash_of(webhook_id, target);
        let mut shard = self.shards[hash as usize % SHARDS].lock();
        let room = shard.table.len() < self.remember_per_shard;
        match shard.table.meet(hash, accepted, room) {
            Meeting::First => shard.accepted += u64::from(accepted),
            Meeting::Again { before } => {
                shard.again += 1;
                shard.repeated += u64::from(!before.repeated);
                shard.accepted += u64::from(accepted && !before.accepted);
                shard.again_after_accepted += u64::from(before.accepted);
            }
            Meeting::NoRoom => shard.forgotten += 1,
        }
    }

    /// The account so far.
    pub(crate) fn account(&self) -> Account {
        let mut sum = Account {
            deliveries: 0,
            once: 0,
            accepted: 0,
            again: 0,
            again_after_accepted: 0,
            forgotten: 0,
            never: None,
        };
        for shard in &self.shards {
            let shard = shard.lock();
            let deliveries = shard.table.len() as u64;
            sum.deliveries += deliveries;
            sum.once += deliveries - shard.repeated;
            sum.accepted += shard.accepted;
            sum.again += shard.again;
            sum.again_after_accepted += shard.again_after_accepted;
            sum.forgotten += shard.forgotten;
        }
        sum.never = self.expected.map(|expected| expected.saturating_sub(sum.deliveries + sum.forgotten));
        sum
    }
}

impl Observer for Ledger {
    fn arrived(&self, arrival: Arrival<'_>) {
        let accepted = arrival.status.is_some_and(|status| (200..300).contains(&status));
        self.arrived(arrival.webhook_id, arrival.target, accepted);
    }
}

impl Account {
    pub(super) fn rows(&self) -> Vec<(&'static str, u64)> {
        let mut rows = vec![
            ("deliveries", self.deliveries),
            ("  received once", self.once),
            ("  accepted with 2xx", self.accepted),
            ("received again", self.again),
            ("  after it was accepted", self.again_after_accepted),
            ("forgotten", self.forgotten),
        ];
        rows.extend(self.never.map(|never| ("never received", never)));
        rows
    }
}

fn hash_of(webhook_id: &str, target: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (webhook_id, target).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_is_told_from_a_duplicate() {
        let ledger = Ledger::new(100, Some(4));
        ledger.arrived("msg_1", "/ok", false);
        ledger.arrived("msg_1", "/ok", true);
        ledger.arrived("msg_1", "/ok", true);
        ledger.arrived("msg_1", "/ok?slot=2", true);
        ledger.arrived("msg_2", "/ok", false);
        let expected = Account {
            deliveries: 3,
            once: 2,
            accepted: 2,
            again: 2,
            again_after_accepted: 1,
            forgotten: 0,
            never: Some(1),
        };
        assert_eq!(ledger.account(), expected);
    }

    #[test]
    fn as_many_as_promised_are_remembered_and_the_rest_is_counted_as_forgotten() {
        let ledger = Ledger::new(10_000, None);
        for number in 0..10_000 {
            ledger.arrived(&format!("msg_{number}"), "/ok", true);
        }
        let account = ledger.account();
        assert_eq!((account.deliveries, account.forgotten, account.never), (10_000, 0, None));

        for number in 10_000..100_000 {
            ledger.arrived(&format!("msg_{number}"), "/ok", true);
        }
        let account = ledger.account();
        assert_eq!(account.deliveries + account.forgotten, 100_000);
        assert!(account.deliveries < 20_000, "{account:?}");
        assert_eq!(account.again, 0);
    }
}
