//! Who holds how much: keys in the order in which they came, and bytes of answers, by caller.
//!
//! When there is too much, something of whoever has the most goes. Equal shares are what it tends to, and who has less
//! than that loses nothing.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;

use super::Digest;
use crate::core::tick::Tick;

/// A key's place in the order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) key: Digest,
    pub(super) turn: u64,
    pub(super) begun: Tick,
}

/// What there is too much of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Measure {
    Keys,
    Bytes,
}

#[derive(Debug)]
struct Share {
    /// Oldest first.
    order: VecDeque<Place>,
    bytes: usize,
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Shares<C> {
    shares: HashMap<C, Share>,
    by_keys: BTreeSet<(usize, C)>,
    by_bytes: BTreeSet<(usize, C)>,
    /// By when the oldest key of each was begun.
    by_age: BTreeSet<(Tick, C)>,
    keys: usize,
    bytes: usize,
}

impl<C> Default for Shares<C> {
    fn default() -> Self {
        Self {
            shares: HashMap::new(),
            by_keys: BTreeSet::new(),
            by_bytes: BTreeSet::new(),
            by_age: BTreeSet::new(),
            keys: 0,
            bytes: 0,
        }
    }
}

impl<C: Clone + Eq + Hash + Ord> Shares<C> {
    /// How many keys there are in all.
    pub(super) fn keys(&self) -> usize {
        self.keys
    }

    /// How many bytes there are in all.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, caller: &C, place: Place) {
        self.change(caller, |share| share.order.push_back(place));
    }

    pub(super) fn add_bytes(&mut self, caller: &C, bytes: usize) {
        self.change(caller, |share| share.bytes += bytes);
    }

    pub(super) fn remove_bytes(&mut self, caller: &C, bytes: usize) {
        self.change(caller, |share| share.bytes = share.bytes.saturating_sub(bytes));
    }

    /// Takes out a key that was begun before this moment, if there is one.
    pub(super) fn pop_before(&mut self, moment: Tick) -> Option<Place> {
        let (oldest, caller) = self.by_age.first()?;
        if *oldest >= moment {
            return None;
        }
        let caller = caller.clone();
        self.change(&caller, |share| share.order.pop_front())
    }

    /// Takes out the oldest key that may go, of whoever has the most; of the next one, if none of theirs may go.
    pub(super) fn pop_of_largest(
        &mut self,
        measure: Measure,
        may_go: impl Fn(&Place) -> bool,
    ) -> Option<Place> {
        let order = match measure {
            Measure::Keys => &self.by_keys,
            Measure::Bytes => &self.by_bytes,
        };
        let (caller, at) = order.iter().rev().find_map(|(_, caller)| {
            let at = self.shares.get(caller)?.order.iter().position(&may_go)?;
            Some((caller.clone(), at))
        })?;
        self.change(&caller, |share| share.order.remove(at))
    }

    /// Changes a share, and where it stands among the others.
    fn change<T>(&mut self, caller: &C, change: impl FnOnce(&mut Share) -> T) -> T {
        let mut share =
            self.shares.remove(caller).unwrap_or_else(|| Share { order: VecDeque::new(), bytes: 0 });
        self.by_keys.remove(&(share.order.len(), caller.clone()));
        self.by_bytes.remove(&(share.bytes, caller.clone()));
        share.order.front().map(|place| self.by_age.remove(&(place.begun, caller.clone())));
        self.keys -= share.order.len();
        self.bytes -= share.bytes;

        let result = change(&mut share);

        self.keys += share.order.len();
        self.bytes += share.bytes;
        if share.order.is_empty() && share.bytes == 0 {
            return result;
        }
        self.by_keys.insert((share.order.len(), caller.clone()));
        self.by_bytes.insert((share.bytes, caller.clone()));
        share.order.front().map(|place| self.by_age.insert((place.begun, caller.clone())));
        self.shares.insert(caller.clone(), share);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: u8, begun_ms: u64) -> Place {
        Place { key: [key; 32], turn: key.into(), begun: Tick::from_ms(begun_ms) }
    }

    #[test]
    fn the_oldest_of_whoever_has_the_most_goes_first() {
        let mut shares = Shares::default();
        for (caller, key) in [("a", 1), ("b", 2), ("b", 3), ("b", 4)] {
            shares.push(&caller, place(key, key.into()));
        }
        shares.add_bytes(&"a", 100);
        let mut pop = |measure| shares.pop_of_largest(measure, |_| true).map(|place| place.turn);
        assert_eq!(pop(Measure::Keys), Some(2));
        assert_eq!(pop(Measure::Bytes), Some(1));
        assert_eq!(pop(Measure::Keys), Some(3));
    }

    #[test]
    fn what_may_not_go_stays_and_somebody_elses_goes() {
        let mut shares = Shares::default();
        for (caller, key) in [("a", 1), ("b", 2), ("b", 3)] {
            shares.push(&caller, place(key, key.into()));
        }
        let popped = shares.pop_of_largest(Measure::Keys, |place| place.turn == 1);
        assert_eq!(popped.map(|place| place.turn), Some(1));
        assert!(shares.pop_of_largest(Measure::Keys, |_| false).is_none());
        assert_eq!(shares.keys(), 2);
    }

    #[test]
    fn what_is_too_old_is_found_whoever_has_it_and_nothing_is_kept_of_who_has_nothing() {
        let mut shares = Shares::default();
        for (caller, key) in [("a", 1), ("b", 2), ("a", 3)] {
            shares.push(&caller, place(key, key.into()));
        }
        let mut popped = Vec::new();
        while let Some(place) = shares.pop_before(Tick::from_ms(3)) {
            popped.push(place.turn);
        }
        assert_eq!((popped, shares.keys()), (vec![1, 2], 1));
        assert!(shares.pop_before(Tick::from_ms(9)).is_some());
        assert!(shares.shares.is_empty() && shares.by_keys.is_empty() && shares.by_age.is_empty());
    }
}
