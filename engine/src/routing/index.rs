//! A map by text whose copies share what has not changed.
//!
//! The same idea as in `list`: the map is spread over small maps, a copy clones the references to them, and
//! a change copies one of them (references again, not values). The number of small maps doubles as the map
//! grows, so that neither part of the work grows faster than the square root of what is held.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

/// The average number of entries of a small map beyond which their number doubles.
const SHELF_ENTRIES_MAX: usize = 256;

/// Whether nothing is left of a value, so that its entry can go.
pub(super) trait Vacant {
    /// See the trait.
    fn is_vacant(&self) -> bool;
}

type Shelf<V> = HashMap<Arc<str>, Arc<V>>;

/// See the head of this file.
#[derive(Debug, Clone)]
pub(super) struct Index<V> {
    /// Empty, or a power of two.
    shelves: Vec<Arc<Shelf<V>>>,
    len: usize,
    hasher: RandomState,
}

impl<V> Default for Index<V> {
    fn default() -> Self {
        Self { shelves: Vec::new(), len: 0, hasher: RandomState::new() }
    }
}

impl<V: Clone + Default + Vacant> Index<V> {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn find(&self, key: &str) -> Option<&V> {
        if self.is_empty() {
            return None;
        }
        self.shelves[self.shelf_of(key)].get(key).map(Arc::as_ref)
    }

    /// Changes the value under `key`, beginning with an empty one; an entry that ends up vacant goes.
    pub(super) fn edit(&mut self, key: &str, change: impl FnOnce(&mut V)) {
        self.make_room();
        let at = self.shelf_of(key);
        let shelf = Arc::make_mut(&mut self.shelves[at]);
        let before = shelf.len();
        match shelf.get_mut(key) {
            Some(value) => {
                change(Arc::make_mut(value));
                if value.is_vacant() {
                    shelf.remove(key);
                }
            }
            None => {
                let mut value = V::default();
                change(&mut value);
                if !value.is_vacant() {
                    shelf.insert(key.into(), Arc::new(value));
                }
            }
        }
        self.len = self.len + shelf.len() - before;
    }

    fn shelf_of(&self, key: &str) -> usize {
        if self.shelves.len() == 1 {
            return 0;
        }
        // The small maps use the low and the highest bits of the hash; these are others.
        (self.hasher.hash_one(key) >> 32) as usize & (self.shelves.len() - 1)
    }

    fn make_room(&mut self) {
        if self.len < self.shelves.len() * SHELF_ENTRIES_MAX {
            return;
        }
        let count = (self.shelves.len() * 2).max(1);
        let old = std::mem::take(&mut self.shelves);
        let empty = Arc::new(HashMap::with_hasher(self.hasher.clone()));
        self.shelves = vec![empty; count];
        for (key, value) in old.iter().flat_map(|shelf| shelf.iter()) {
            let at = self.shelf_of(key);
            Arc::make_mut(&mut self.shelves[at]).insert(Arc::clone(key), Arc::clone(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Vacant for u32 {
        fn is_vacant(&self) -> bool {
            *self == 0
        }
    }

    #[test]
    fn a_large_map_finds_every_entry_and_none_that_was_emptied() {
        let mut index = Index::<u32>::default();
        assert_eq!(index.find("1"), None);
        (1..=5_000u32).for_each(|number| index.edit(&number.to_string(), |value| *value = number));
        (1..=2_500u32).for_each(|number| index.edit(&number.to_string(), |value| *value = 0));
        for number in 1..=5_000u32 {
            assert_eq!(index.find(&number.to_string()).copied(), (number > 2_500).then_some(number));
        }
        assert_eq!(index.len, 2_500);
        index.edit("nothing", |_| ());
        assert_eq!(index.len, 2_500);
    }

    #[test]
    fn a_change_of_a_copy_leaves_the_original_and_shares_the_other_shelves() {
        let mut index = Index::<u32>::default();
        (1..=5_000u32).for_each(|number| index.edit(&number.to_string(), |value| *value = number));
        let before = index.clone();
        index.edit("77", |value| *value = 1);
        assert_eq!((before.find("77"), index.find("77")), (Some(&77), Some(&1)));
        let shared = index.shelves.iter().zip(&before.shelves).filter(|(new, old)| Arc::ptr_eq(new, old));
        assert_eq!(shared.count(), before.shelves.len() - 1);
    }
}
