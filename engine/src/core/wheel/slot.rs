//! A slot of the wheel: entries that come up together, in no order, eight bytes each.
//!
//! They lie in blocks of equal size, so that a slot of a million entries grows without copying them and
//! gives its memory back block by block as it empties. One long vector per slot would hold up to twice
//! what it needs and keep it.
//!
//! Invariants
//! - Every block but the last is full.
//! - A block is only empty if it is the only one: it stays for the next entry, because a wheel under light
//!   load would otherwise allocate for each of them.

/// Entries in a block of 512 bytes: less than one percent of overhead in a slot of many, and at most
/// 160 KiB in a wheel whose 320 slots hold one each.
const BLOCK_ENTRIES: usize = 64;

/// One thing that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// The low bits of the step at which it is due; the high ones are those of the wheel's position.
    pub(super) due: u32,
    /// What the owner knows it by.
    pub(super) token: u32,
}

// The memory of ten million retries follows from this.
const _: () = assert!(size_of::<Entry>() == 8);

/// Entries that come up together.
#[derive(Debug, Default)]
pub(super) struct Slot {
    blocks: Vec<Vec<Entry>>,
}

impl Slot {
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.first().is_none_or(Vec::is_empty)
    }

    pub(super) fn push(&mut self, entry: Entry) {
        match self.blocks.last_mut() {
            Some(block) if block.len() < BLOCK_ENTRIES => block.push(entry),
            _ => {
                let mut block = Vec::with_capacity(BLOCK_ENTRIES);
                block.push(entry);
                self.blocks.push(block);
            }
        }
    }

    /// Takes the youngest entry.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let block = self.blocks.last_mut()?;
        let entry = block.pop();
        if block.is_empty() && self.blocks.len() > 1 {
            self.blocks.pop();
            if self.blocks.len() == 1 {
                self.blocks.shrink_to(1);
            }
        }
        entry
    }

    /// Takes out one entry equal to this. Looks at all of them if need be.
    pub(super) fn remove(&mut self, entry: Entry) -> bool {
        let Some(last) = self.pop() else { return false };
        if last == entry {
            return true;
        }
        match self.blocks.iter_mut().flatten().find(|other| **other == entry) {
            Some(place) => {
                *place = last;
                true
            }
            None => {
                self.push(last);
                false
            }
        }
    }

    /// Takes all entries out; each block is freed as soon as it has been read.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Entry> + use<> {
        std::mem::take(&mut self.blocks).into_iter().flatten()
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Vec<Entry>>()
            + self.blocks.len() * BLOCK_ENTRIES * size_of::<Entry>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(token: u32) -> Entry {
        Entry { due: 1, token }
    }

    #[test]
    fn a_slot_gives_back_what_was_put_in() {
        let mut slot = Slot::default();
        (0..1_000).for_each(|token| slot.push(entry(token)));
        let mut tokens: Vec<u32> = std::iter::from_fn(|| slot.pop()).map(|entry| entry.token).collect();
        tokens.sort_unstable();
        assert!(tokens.into_iter().eq(0..1_000));
        assert!(slot.is_empty());
        assert!(slot.bytes() < 1_000, "{} bytes are kept", slot.bytes());
    }

    #[test]
    fn one_entry_is_removed_and_the_others_stay() {
        let mut slot = Slot::default();
        (0..200).for_each(|token| slot.push(entry(token)));
        for token in [0, 199, 63, 64, 100] {
            assert!(slot.remove(entry(token)));
            assert!(!slot.remove(entry(token)));
        }
        assert!(!slot.remove(Entry { due: 2, token: 7 }));
        assert_eq!(slot.drain().count(), 195);
        assert!(slot.is_empty());
    }
}
