//! Reports that a shard has handed to the writer and that are not stored yet: their number, and the wake-up when there
//! are fewer.
//!
//!   shard:   too many? -> say that it waits -> still too many? -> sleep
//!   writer:  fewer -> does it wait? -> wake it
//!
//! Each says its part before it looks at the other's, in one order for both (`SeqCst`): so one of the two always sees
//! what the other said, and no shard sleeps while there is room.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::core::word::Word;

/// See the head of this file.
pub(super) type Unstored = UnstoredOn<AtomicU64>;

/// [`Unstored`] on any words.
#[derive(Debug, Default)]
pub(super) struct UnstoredOn<W> {
    count: W,
    /// 1 while the shard waits for some of them to be stored.
    held_back: W,
}

impl<W: Word> UnstoredOn<W> {
    /// The shard hands so many over.
    pub(super) fn add(&self, reports: usize) {
        self.count.fetch_add(reports as u64, Ordering::SeqCst);
    }

    /// Whether there are `max` or more, those included that the shard has still to hand over. After `true` the shard
    /// is woken once there are fewer.
    pub(super) fn is_too_much(&self, to_come: usize, max: usize) -> bool {
        let too_much = || self.count.load(Ordering::SeqCst) + to_come as u64 >= max as u64;
        if !too_much() {
            return false;
        }
        self.held_back.store(1, Ordering::SeqCst);
        too_much()
    }

    /// The writer has stored so many. Whether the shard has to be woken.
    pub(super) fn stored(&self, reports: usize) -> bool {
        self.count.fetch_sub(reports as u64, Ordering::SeqCst);
        self.held_back.swap(0, Ordering::SeqCst) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_no_order_of_steps_does_a_shard_sleep_while_there_is_room() {
        loom::model(|| {
            let unstored = loom::sync::Arc::new(UnstoredOn::<loom::sync::atomic::AtomicU64>::default());
            unstored.add(2);
            let other = unstored.clone();
            let writer = loom::thread::spawn(move || other.stored(1) | other.stored(1));
            let sleeps = unstored.is_too_much(0, 2);
            let wakes = writer.join().expect("it does not panic");
            assert!(!sleeps || wakes, "it sleeps and nobody wakes it");
            assert!(!unstored.is_too_much(1, 2));
        });
    }
}
