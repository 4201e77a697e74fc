//! The loaded: deliveries in chunks that a shard holds in its wheel, and in which chunk each is.
//!
//! When such a delivery is settled or gets a new time, it leaves its chunk: the chunk becomes dirty, and the
//! next flush rewrites it with those that are left. Only keys are kept here, tens of bytes each; the
//! deliveries themselves are read back from the shelf for that.
//!
//! Invariants
//! - A delivery is in `places` at most once; `live` of a chunk counts those that are.
//! - A chunk in which `live < stored` is dirty.

use std::collections::{BTreeSet, HashMap};

use super::chunk::ChunkKey;
use super::pending::DeliveryKey;

/// A chunk whose deliveries were handed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadedChunk {
    pub(crate) minute: u64,
    /// Entries of it on the shelf.
    pub(crate) stored: usize,
    /// Those of them that still count.
    pub(crate) live: usize,
}

/// The deliveries in chunks that a shard holds.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    chunks: HashMap<u64, LoadedChunk>,
    places: HashMap<DeliveryKey, u64>,
    dirty: BTreeSet<u64>,
    gone: u64,
}

impl Loaded {
    /// How many deliveries are loaded.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Entries on the shelf that no longer count.
    pub(crate) fn gone(&self) -> u64 {
        self.gone
    }

    /// All of them.
    pub(crate) fn keys(&self) -> impl Iterator<Item = DeliveryKey> {
        self.places.keys().copied()
    }

    pub(crate) fn contains(&self, key: &DeliveryKey) -> bool {
        self.places.contains_key(key)
    }

    pub(crate) fn contains_chunk(&self, number: u64) -> bool {
        self.chunks.contains_key(&number)
    }

    /// Whether the entry of `key` in chunk `number` is the one that counts.
    pub(crate) fn counts_in(&self, key: &DeliveryKey, number: u64) -> bool {
        self.places.get(key) == Some(&number)
    }

    /// Takes in a chunk that has `stored` entries on the shelf, of which `live` count.
    pub(crate) fn insert(&mut self, chunk: ChunkKey, stored: usize, live: impl Iterator<Item = DeliveryKey>) {
        let before = self.places.len();
        self.places.extend(live.map(|key| (key, chunk.number)));
        let live = self.places.len() - before;
        self.gone += (stored - live) as u64;
        if live < stored {
            self.dirty.insert(chunk.number);
        }
        self.chunks.insert(chunk.number, LoadedChunk { minute: chunk.minute, stored, live });
    }

    /// Removes a delivery from its chunk. Returns whether it was in one.
    pub(crate) fn remove(&mut self, key: &DeliveryKey) -> bool {
        let Some(number) = self.places.remove(key) else { return false };
        if let Some(chunk) = self.chunks.get_mut(&number) {
            chunk.live -= 1;
            self.gone += 1;
            self.dirty.insert(number);
        }
        true
    }

    /// Takes the next dirty chunk. The caller rewrites it with those that count, or removes it when none do;
    /// from here on it is what it will be then.
    pub(crate) fn take_dirty(&mut self) -> Option<(ChunkKey, LoadedChunk)> {
        let number = self.dirty.pop_first()?;
        let chunk = *self.chunks.get(&number)?;
        self.gone -= (chunk.stored - chunk.live) as u64;
        if chunk.live == 0 {
            self.chunks.remove(&number);
        } else {
            self.chunks.insert(number, LoadedChunk { stored: chunk.live, ..chunk });
        }
        Some((ChunkKey { minute: chunk.minute, number }, chunk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EntryId;

    fn key(endpoint: u64) -> DeliveryKey {
        DeliveryKey { message: EntryId::new(1, 0), endpoint }
    }

    const CHUNK: ChunkKey = ChunkKey { minute: 3, number: 7 };

    #[test]
    fn a_chunk_that_loses_a_delivery_is_dirty_once() {
        let mut loaded = Loaded::default();
        loaded.insert(CHUNK, 3, (1..=3).map(key));
        assert!(loaded.take_dirty().is_none());
        assert!(loaded.remove(&key(1)) && loaded.remove(&key(2)));
        assert_eq!(loaded.gone(), 2);
        let (chunk, was) = loaded.take_dirty().unwrap();
        assert_eq!((chunk, was.stored, was.live), (CHUNK, 3, 1));
        assert!(loaded.take_dirty().is_none());
        assert_eq!(loaded.gone(), 0);
        assert!(loaded.counts_in(&key(3), 7) && !loaded.contains(&key(1)));
    }

    #[test]
    fn an_empty_chunk_is_dropped() {
        let mut loaded = Loaded::default();
        loaded.insert(CHUNK, 2, std::iter::once(key(1)));
        assert!(loaded.remove(&key(1)));
        assert!(!loaded.remove(&key(1)));
        assert_eq!(loaded.take_dirty().unwrap().1.live, 0);
        assert!(!loaded.contains_chunk(7));
        assert_eq!((loaded.len(), loaded.gone()), (0, 0));
    }
}
