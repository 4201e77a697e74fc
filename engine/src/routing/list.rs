//! A sorted list of endpoints whose copies share what has not changed.
//!
//! A list may hold a million endpoints, and every change of one makes a new snapshot. So the list is cut
//! into chunks: a copy clones the references to them, and a change copies one chunk.
//!
//! Invariants
//! - Ids grow from chunk to chunk and within each; no id is there twice.
//! - No chunk is empty or longer than `CHUNK_ENDPOINTS_MAX`.

use std::sync::Arc;

use crate::core::ids::EndpointId;

/// The most endpoints of a chunk: 4 KiB to copy for a change.
const CHUNK_ENDPOINTS_MAX: usize = 512;

/// See the head of this file.
#[derive(Debug, Clone, Default)]
pub(super) struct EndpointList {
    chunks: Vec<Arc<Vec<EndpointId>>>,
}

impl EndpointList {
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Adds an endpoint; nothing happens if it is there.
    pub(super) fn insert(&mut self, id: EndpointId) {
        let after_all = self.chunks.last().and_then(|chunk| chunk.last()).is_none_or(|last| *last < id);
        if after_all {
            return self.push(id);
        }
        let at = self.chunk_of(id);
        if let Err(place) = self.chunks[at].binary_search(&id) {
            let chunk = Arc::make_mut(&mut self.chunks[at]);
            chunk.insert(place, id);
            if chunk.len() > CHUNK_ENDPOINTS_MAX {
                let upper = chunk.split_off(chunk.len() / 2);
                self.chunks.insert(at + 1, Arc::new(upper));
            }
        }
    }

    /// Takes an endpoint out; nothing happens if it is not there.
    pub(super) fn remove(&mut self, id: EndpointId) {
        let at = self.chunk_of(id);
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        if let Ok(place) = chunk.binary_search(&id) {
            Arc::make_mut(chunk).remove(place);
            if chunk.is_empty() {
                self.chunks.remove(at);
            }
        }
    }

    /// Writes the endpoints to the end of `out`, in the order of their ids.
    pub(super) fn write_to(&self, out: &mut Vec<EndpointId>) {
        for chunk in &self.chunks {
            out.extend_from_slice(chunk);
        }
    }

    /// New endpoints have the highest ids, so that chunks fill up instead of being split in half.
    fn push(&mut self, id: EndpointId) {
        match self.chunks.last_mut().filter(|chunk| chunk.len() < CHUNK_ENDPOINTS_MAX) {
            Some(chunk) => Arc::make_mut(chunk).push(id),
            None => self.chunks.push(Arc::new(vec![id])),
        }
    }

    /// The first chunk that could hold the id; the number of chunks if none could.
    fn chunk_of(&self, id: EndpointId) -> usize {
        self.chunks.partition_point(|chunk| chunk.last().is_none_or(|last| *last < id))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn id(number: u64) -> EndpointId {
        EndpointId::from_u64(number)
    }

    fn members(list: &EndpointList) -> Vec<EndpointId> {
        let mut out = Vec::new();
        list.write_to(&mut out);
        out
    }

    #[test]
    fn a_change_of_a_long_list_copies_one_chunk_and_shares_the_others() {
        let mut list = EndpointList::default();
        (0..100_000).for_each(|number| list.insert(id(number * 2)));
        let before = list.clone();
        list.insert(id(50_001));
        let shared = list.chunks.iter().filter(|new| before.chunks.iter().any(|old| Arc::ptr_eq(old, new)));
        assert_eq!(shared.count(), before.chunks.len() - 1);
        assert_eq!(members(&before).len() + 1, members(&list).len());
    }

    proptest! {
        #[test]
        fn a_list_holds_what_a_sorted_set_holds(steps in prop::collection::vec((any::<bool>(), 0u64..2_000), 0..3_000)) {
            let (mut list, mut set) = (EndpointList::default(), BTreeSet::new());
            for (add, number) in steps {
                if add {
                    list.insert(id(number));
                    set.insert(id(number));
                } else {
                    list.remove(id(number));
                    set.remove(&id(number));
                }
            }
            prop_assert_eq!(members(&list), set.iter().copied().collect::<Vec<_>>());
            prop_assert!(list.chunks.iter().all(|chunk| (1..=CHUNK_ENDPOINTS_MAX).contains(&chunk.len())));
            prop_assert_eq!(list.is_empty(), set.is_empty());
        }
    }
}
