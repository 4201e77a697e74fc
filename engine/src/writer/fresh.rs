//! Messages that only the log remembers: published, and not yet attempted at every endpoint.
//!
//! A delivery that succeeds at its first attempt never touches the ledger. Until then the log must be
//! replayed from its message on, should the process end. This list knows the oldest such message, in the
//! order of the log: a message goes in with the number of its deliveries, each delivery that was attempted
//! or handed to the ledger is counted down, and what is at zero at the front leaves. A few nanoseconds for a
//! message, instead of a map of all that is under way.

use std::collections::VecDeque;

use posthaste_storage::Position;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    messages: VecDeque<Entry>,
    /// The place of the first in `messages`; places wrap around.
    first: u32,
}

#[derive(Debug)]
struct Entry {
    at: Position,
    deliveries: u32,
}

impl Fresh {
    /// Takes a message in. Returns its place, under which its deliveries are counted down.
    pub(super) fn push(&mut self, at: Position, deliveries: u32) -> u32 {
        debug_assert!(deliveries > 0, "a message without deliveries has nothing to wait for");
        debug_assert!(self.messages.back().is_none_or(|last| last.at < at), "in the order of the log");
        let place = self.first.wrapping_add(self.messages.len() as u32);
        self.messages.push_back(Entry { at, deliveries });
        place
    }

    /// One delivery of the message at this place is remembered elsewhere, or done.
    pub(super) fn count_down(&mut self, place: u32) {
        let index = place.wrapping_sub(self.first) as usize;
        let Some(entry) = self.messages.get_mut(index) else {
            debug_assert!(false, "place {place} was counted down too often");
            return;
        };
        debug_assert!(entry.deliveries > 0);
        entry.deliveries = entry.deliveries.saturating_sub(1);
        while self.messages.front().is_some_and(|entry| entry.deliveries == 0) {
            self.messages.pop_front();
            self.first = self.first.wrapping_add(1);
        }
    }

    /// Where the oldest stands in the log.
    pub(super) fn oldest(&self) -> Option<Position> {
        self.messages.front().map(|entry| entry.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u32) -> Position {
        Position { segment: 1, offset }
    }

    #[test]
    fn the_oldest_stays_until_all_its_deliveries_are_counted_down() {
        let mut fresh = Fresh::default();
        let first = fresh.push(at(10), 2);
        let second = fresh.push(at(20), 1);
        fresh.count_down(second);
        fresh.count_down(first);
        assert_eq!(fresh.oldest(), Some(at(10)));
        fresh.count_down(first);
        assert_eq!(fresh.oldest(), None);
    }

    #[test]
    fn places_may_wrap_around() {
        let mut fresh = Fresh { first: u32::MAX, ..Fresh::default() };
        let places: Vec<u32> = (0..3).map(|n| fresh.push(at(n + 1), 1)).collect();
        assert_eq!(places, [u32::MAX, 0, 1]);
        fresh.count_down(places[0]);
        fresh.count_down(places[1]);
        assert_eq!(fresh.oldest(), Some(at(3)));
    }
}
