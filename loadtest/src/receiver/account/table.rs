//! A set of hashes with two marks each, eight bytes an entry: open addressing, linear probing.
//!
//! ```text
//!   63                             2  1          0
//!   | hash                          | repeated | accepted |      0: free
//! ```

const ACCEPTED: u64 = 1;
const REPEATED: u64 = 2;
const MARKS: u64 = ACCEPTED | REPEATED;
const SLOTS_MIN: usize = 64;

/// The set. It grows by doubling, once it is seven eighths full.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Box<[u64]>,
    len: usize,
}

/// What was known of an entry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Marks {
    pub(super) repeated: bool,
    pub(super) accepted: bool,
}

/// How an entry was met.
#[derive(Debug, PartialEq)]
pub(super) enum Meeting {
    First,
    Again { before: Marks },
    NoRoom,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Marks the entry of `hash`, and makes one where there is none and `room` for it.
    pub(super) fn meet(&mut self, hash: u64, accepted: bool, room: bool) -> Meeting {
        // Zero is a free slot; the hash that would be zero shares its entry with a neighbour.
        let key = (hash & !MARKS).max(MARKS + 1);
        if self.len * 8 >= self.slots.len() * 7 {
            self.grow();
        }
        let slot = find(&mut self.slots, key);
        if *slot != 0 {
            let before = Marks { repeated: *slot & REPEATED != 0, accepted: *slot & ACCEPTED != 0 };
            *slot |= REPEATED | u64::from(accepted);
            return Meeting::Again { before };
        }
        if !room {
            return Meeting::NoRoom;
        }
        *slot = key | u64::from(accepted);
        self.len += 1;
        Meeting::First
    }

    fn grow(&mut self) {
        let mut slots = vec![0; (self.slots.len() * 2).max(SLOTS_MIN)].into_boxed_slice();
        for entry in self.slots.iter().filter(|entry| **entry != 0) {
            *find(&mut slots, entry & !MARKS) = *entry;
        }
        self.slots = slots;
    }
}

/// The slot of a key, or the free one where it belongs. There is always a free one.
fn find(slots: &mut [u64], key: u64) -> &mut u64 {
    let mask = slots.len() - 1;
    // From the top: the bits at the bottom have chosen the shard, or are marks.
    let mut at = (key >> 24) as usize & mask;
    while slots[at] != 0 && slots[at] & !MARKS != key {
        at = (at + 1) & mask;
    }
    &mut slots[at]
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};

    use super::*;

    #[test]
    fn the_table_knows_what_a_map_knows() {
        let (mut table, mut map) = (Table::default(), HashMap::new());
        for step in 0u64..50_000 {
            let mut hasher = DefaultHasher::new();
            step.hash(&mut hasher);
            let (number, accepted) = (hasher.finish() % 20_000, hasher.finish() >> 63 == 1);
            // Few of the bits that choose a slot, so that entries crowd.
            let meeting = table.meet((number + 1) << 20, accepted, true);
            let expected = match map.get(&number) {
                None => Meeting::First,
                Some(before) => Meeting::Again { before: *before },
            };
            assert_eq!(meeting, expected, "step {step}");
            let seen = map.get(&number).copied();
            let accepted = accepted || seen.is_some_and(|marks| marks.accepted);
            map.insert(number, Marks { repeated: seen.is_some(), accepted });
            assert_eq!(table.len(), map.len());
        }
    }

    #[test]
    fn the_hash_that_would_be_free_is_an_entry_like_any_other() {
        let mut table = Table::default();
        assert_eq!(table.meet(0, false, true), Meeting::First);
        let before = Marks { repeated: false, accepted: false };
        assert_eq!(table.meet(0, false, true), Meeting::Again { before });
    }

    #[test]
    fn without_room_the_old_entries_are_still_known() {
        let mut table = Table::default();
        assert_eq!(table.meet(1 << 40, true, true), Meeting::First);
        assert_eq!(table.meet(2 << 40, true, false), Meeting::NoRoom);
        let before = Marks { repeated: false, accepted: true };
        assert_eq!(table.meet(1 << 40, false, false), Meeting::Again { before });
    }
}
