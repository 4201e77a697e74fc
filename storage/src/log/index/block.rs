//! Blocks: a segment in stretches of some hundred kilobytes, with what may be found in each.

use super::marks::Marks;
use super::note::Note;
use crate::EntryId;
use crate::checksum::mix;

/// A stretch of a segment, from the beginning of a batch to the next block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::log) struct Block {
    pub(in crate::log) at: u32,
    /// The largest id drawn for a record in it.
    pub(in crate::log) id_max: EntryId,
    pub(in crate::log) applications: ApplicationSet,
    pub(in crate::log) marks: Marks,
}

impl Block {
    pub(in crate::log) const fn new(at: u32) -> Self {
        Self {
            at,
            id_max: EntryId::MIN,
            applications: ApplicationSet { bits: [0; 8] },
            marks: Marks { endpoints: [0; 16], traits: 0 },
        }
    }

    pub(super) fn add(&mut self, note: &Note) {
        self.id_max = self.id_max.max(note.own_id.unwrap_or(EntryId::MIN));
        if let Some(application) = note.application {
            self.applications.insert(application);
        }
    }

    /// From now on the block may hold anything.
    pub(super) fn add_any(&mut self) {
        (self.id_max, self.applications) = (EntryId::MAX, ApplicationSet { bits: [u64::MAX; 8] });
        self.marks = Marks::ALL;
    }
}

/// Which applications may have records here: one bit of 512 for each, shared by those with the same hash. With a
/// hundred applications in a block, one in six of the others is looked for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::log) struct ApplicationSet {
    pub(super) bits: [u64; 8],
}

impl ApplicationSet {
    fn place(application: u64) -> (usize, u64) {
        let hash = mix(application);
        ((hash >> 6) as usize % 8, 1 << (hash % 64))
    }

    fn insert(&mut self, application: u64) {
        let (word, bit) = Self::place(application);
        self.bits[word] |= bit;
    }

    pub(in crate::log) fn may_hold(&self, application: u64) -> bool {
        let (word, bit) = Self::place(application);
        self.bits[word] & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_never_denies_an_application_that_is_in_it() {
        let mut set = Block::new(64).applications;
        assert!(!(0..1_000).any(|application| set.may_hold(application)));
        for application in 0..100 {
            set.insert(application);
        }
        assert!((0..100).all(|application| set.may_hold(application)));
        let wrong = (100..1_100).filter(|application| set.may_hold(*application)).count();
        assert!(wrong < 250, "{wrong} of 1000 in vain");
    }
}
