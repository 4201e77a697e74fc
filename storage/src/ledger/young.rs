//! The young: deliveries whose last update is too recent to be worth a place on the shelf.
//!
//! Most deliveries that fail once are delivered a few seconds later. They come and go here, in memory, and
//! the shelf never hears of them; the log remembers them if the process dies.
//!
//! Invariants
//! - A delivery is here at most once, and then in no chunk that counts.
//! - `by_position` has every one of them; `waiting` has those that nobody holds.

use std::collections::{BTreeSet, HashMap};

use super::pending::{DeliveryKey, Pending};
use crate::Position;

/// A delivery whose last update is recent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recent {
    pub(crate) pending: Pending,
    /// When that update was applied, in unix milliseconds; zero when it was replayed.
    pub(crate) updated_ms: u64,
    /// Whether a shard has it in its wheel, so that a load must not hand it out.
    pub(crate) held: bool,
}

/// The deliveries whose last update is recent.
#[derive(Debug, Default)]
pub(crate) struct Young {
    entries: HashMap<DeliveryKey, Recent>,
    by_position: BTreeSet<(Position, DeliveryKey)>,
    waiting: BTreeSet<(u64, DeliveryKey)>,
}

impl Young {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn contains(&self, key: &DeliveryKey) -> bool {
        self.entries.contains_key(key)
    }

    /// Those that a shard holds.
    pub(crate) fn held(&self) -> impl Iterator<Item = DeliveryKey> {
        self.entries.iter().filter(|(_, recent)| recent.held).map(|(key, _)| *key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Pending> {
        self.entries.values().map(|recent| &recent.pending)
    }

    /// The log position of the oldest update that is here and nowhere else.
    pub(crate) fn oldest(&self) -> Option<Position> {
        self.by_position.first().map(|&(at, _)| at)
    }

    /// Takes a delivery in; the one of the same key that was here is forgotten.
    pub(crate) fn insert(&mut self, recent: Recent) {
        let key = recent.pending.key();
        self.remove(&key);
        self.by_position.insert((recent.pending.updated_at, key));
        if !recent.held {
            self.waiting.insert((recent.pending.due_ms, key));
        }
        self.entries.insert(key, recent);
    }

    pub(crate) fn remove(&mut self, key: &DeliveryKey) -> Option<Recent> {
        let recent = self.entries.remove(key)?;
        self.by_position.remove(&(recent.pending.updated_at, *key));
        if !recent.held {
            self.waiting.remove(&(recent.pending.due_ms, *key));
        }
        Some(recent)
    }

    /// Hands out up to `count` deliveries that nobody holds and that fall due before `before_ms`, those due
    /// first first. They stay here, held.
    pub(crate) fn hand_out(&mut self, before_ms: u64, count: usize) -> Vec<Pending> {
        let mut out = Vec::new();
        while out.len() < count
            && let Some(&(due_ms, key)) = self.waiting.first()
            && due_ms < before_ms
        {
            self.waiting.pop_first();
            if let Some(recent) = self.entries.get_mut(&key) {
                recent.held = true;
                out.push(recent.pending);
            }
        }
        out
    }

    /// Takes out those whose update is `age_ms` old at `now_ms`, and more until at most `keep` are left;
    /// oldest update first, so that what is left is the newest part of the log.
    ///
    /// A clock that was set back makes an update old as well: waiting for the clock could take years.
    pub(crate) fn take_old(&mut self, now_ms: u64, age_ms: u64, keep: usize) -> Vec<Recent> {
        let mut old = Vec::new();
        while let Some(&(_, key)) = self.by_position.first()
            && let Some(recent) = self.entries.get(&key)
            && (self.entries.len() > keep || now_ms.abs_diff(recent.updated_ms) >= age_ms)
        {
            old.extend(self.remove(&key));
        }
        old
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EntryId;

    fn recent(endpoint: u64, offset: u32, updated_ms: u64) -> Recent {
        let at = Position { segment: 1, offset };
        let pending = Pending {
            message: EntryId::new(1, 0),
            application: 1,
            endpoint,
            message_at: Position::START,
            attempts: 1,
            due_ms: 1_000 * endpoint,
            updated_at: at,
        };
        Recent { pending, updated_ms, held: false }
    }

    fn endpoints(pending: &[Pending]) -> Vec<u64> {
        pending.iter().map(|pending| pending.endpoint).collect()
    }

    #[test]
    fn the_oldest_position_is_that_of_the_oldest_update_still_here() {
        let mut young = Young::default();
        assert_eq!(young.oldest(), None);
        young.insert(recent(1, 10, 0));
        young.insert(recent(2, 20, 0));
        young.insert(recent(1, 30, 0));
        assert_eq!(young.oldest(), Some(Position { segment: 1, offset: 20 }));
    }

    #[test]
    fn what_was_handed_out_once_is_not_handed_out_again() {
        let mut young = Young::default();
        for endpoint in 1..=4 {
            young.insert(recent(endpoint, endpoint as u32, 0));
        }
        assert_eq!(endpoints(&young.hand_out(4_000, 2)), [1, 2]);
        assert_eq!(endpoints(&young.hand_out(4_000, 9)), [3]);
        assert_eq!(young.len(), 4);
    }

    #[test]
    fn the_old_leave_in_log_order_and_the_rest_stays() {
        let mut young = Young::default();
        for (endpoint, updated_ms) in [(1, 5_000), (2, 6_000), (3, 7_000)] {
            young.insert(recent(endpoint, 9 + endpoint as u32, updated_ms));
        }
        let old: Vec<_> =
            young.take_old(16_000, 10_000, 9).iter().map(|recent| recent.pending.endpoint).collect();
        assert_eq!(old, [1, 2]);
        assert_eq!(young.len(), 1);
    }

    #[test]
    fn too_many_leave_early() {
        let mut young = Young::default();
        for endpoint in 1..=4 {
            young.insert(recent(endpoint, endpoint as u32, 5_000));
        }
        assert_eq!(young.take_old(5_000, 10_000, 1).len(), 3);
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_here() {
        let mut young = Young::default();
        young.insert(recent(1, 1, 1_000_000));
        assert_eq!(young.take_old(1_000, 10_000, 9).len(), 1);
    }
}
