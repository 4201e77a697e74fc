//! Overrides: deliveries of which some chunk, nobody knows which, may still hold an old entry.
//!
//! A delivery that is in a shard's hands is found in its chunk at once. But after a restart the replay
//! brings news of deliveries whose chunks were not loaded yet, and looking for each would mean reading
//! everything. So the news is noted here, with the number that the next chunk will get: any entry of that
//! delivery in an older chunk is stale, and dropped when it is met.
//!
//! ```text
//!   insert --> waiting --a round begins--> sweeping --the round has passed every chunk--> forgotten
//! ```
//!
//! A round visits the chunks that are not loaded, a few at every flush, and drops what is stale. When it
//! has seen them all, the overrides it began with have no more to say.
//!
//! Invariant: until an override is forgotten, the ledger must be replayed from its update at the latest;
//! else a crash would bring the stale entry back.

use std::collections::HashMap;

use super::chunk::ChunkKey;
use super::pending::DeliveryKey;
use crate::Position;

/// Deliveries of which an unknown chunk may still hold an old entry.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    waiting: Generation,
    sweeping: Generation,
    /// Where the round goes on; `None` between rounds.
    round: Option<ChunkKey>,
}

/// Overrides that are forgotten together.
#[derive(Debug, Default)]
struct Generation {
    /// Entries in chunks with a smaller number are stale.
    fresh_from: HashMap<DeliveryKey, u64>,
    oldest: Option<Position>,
}

impl Generation {
    fn is_stale(&self, key: &DeliveryKey, number: u64) -> bool {
        self.fresh_from.get(key).is_some_and(|&fresh_from| number < fresh_from)
    }
}

impl Overrides {
    pub(crate) fn len(&self) -> usize {
        self.waiting.fresh_from.len() + self.sweeping.fresh_from.len()
    }

    /// The position of the oldest update that an override stands for, or an earlier one.
    pub(crate) fn oldest(&self) -> Option<Position> {
        self.waiting.oldest.into_iter().chain(self.sweeping.oldest).min()
    }

    /// Notes that the update at `at` makes stale every entry of `key` in a chunk before `next_chunk`.
    pub(crate) fn insert(&mut self, key: DeliveryKey, at: Position, next_chunk: u64) {
        self.waiting.fresh_from.insert(key, next_chunk);
        self.waiting.oldest = Some(self.waiting.oldest.map_or(at, |oldest| oldest.min(at)));
    }

    /// Whether the entry of `key` in chunk `number` is stale.
    pub(crate) fn is_stale(&self, key: &DeliveryKey, number: u64) -> bool {
        self.waiting.is_stale(key, number) || self.sweeping.is_stale(key, number)
    }

    /// The chunk at which the round goes on, or a new round begins; `None` when there is nothing to sweep.
    pub(crate) fn round(&mut self) -> Option<ChunkKey> {
        if self.round.is_none() && !self.waiting.fresh_from.is_empty() {
            self.sweeping = std::mem::take(&mut self.waiting);
            self.round = Some(ChunkKey::FIRST);
        }
        self.round
    }

    /// The round has passed every chunk before `next` and rests.
    pub(crate) fn rest_at(&mut self, next: ChunkKey) {
        self.round = Some(next);
    }

    /// The round has passed every chunk.
    pub(crate) fn end_round(&mut self) {
        self.sweeping = Generation::default();
        self.round = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EntryId;

    const KEY: DeliveryKey = DeliveryKey { message: EntryId::MIN, endpoint: 1 };

    fn at(offset: u32) -> Position {
        Position { segment: 1, offset }
    }

    #[test]
    fn only_entries_in_older_chunks_are_stale() {
        let mut overrides = Overrides::default();
        overrides.insert(KEY, at(5), 7);
        assert!(overrides.is_stale(&KEY, 6));
        assert!(!overrides.is_stale(&KEY, 7));
        assert!(!overrides.is_stale(&DeliveryKey { endpoint: 2, ..KEY }, 6));
    }

    #[test]
    fn a_round_forgets_those_it_began_with_and_no_others() {
        let mut overrides = Overrides::default();
        overrides.insert(KEY, at(5), 7);
        assert_eq!(overrides.round(), Some(ChunkKey::FIRST));
        overrides.insert(KEY, at(9), 8);
        assert_eq!(overrides.oldest(), Some(at(5)));
        overrides.end_round();
        assert_eq!(overrides.oldest(), Some(at(9)));
        assert!(overrides.is_stale(&KEY, 7));
        assert!(overrides.round().is_some());
        overrides.end_round();
        assert_eq!((overrides.oldest(), overrides.len()), (None, 0));
        assert!(overrides.round().is_none());
    }

    #[test]
    fn a_round_goes_on_where_it_rested() {
        let mut overrides = Overrides::default();
        overrides.insert(KEY, at(5), 7);
        overrides.round();
        let next = ChunkKey { minute: 3, number: 4 };
        overrides.rest_at(next);
        assert_eq!(overrides.round(), Some(next));
    }
}
