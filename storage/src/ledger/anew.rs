//! Beginning again: the shelf failed while shards hold deliveries, and everything is filed anew from the log.
//!
//! A start knows that nobody holds anything. Here shards do, and nothing may be handed out to them twice. What they
//! hold follows from what the failed ledger knows in memory: all that falls due before the cursor, and of the minute at
//! which the cursor stands what was loaded or kept.
//!
//! ```text
//!   failed ledger --begin_again--> empty ledger, cursor where it was --replay of the whole log--> finish_again
//! ```
//!
//! Not here: when to try, and reading the log.

use std::collections::HashSet;
use std::path::Path;

use super::chunk::ChunkKey;
use super::pending::DeliveryKey;
use super::{Ledger, LedgerError, Pending};
use crate::shelf::MemoryShelf;

/// What shards hold, as the failed ledger knew it.
#[derive(Debug)]
pub(super) struct InHand {
    before_ms: u64,
    also: HashSet<DeliveryKey>,
}

impl InHand {
    pub(super) fn has(&self, pending: &Pending) -> bool {
        pending.due_ms < self.before_ms || self.also.contains(&pending.key())
    }
}

impl Ledger {
    /// An empty ledger in `folder` in place of this one, whose files are set aside. All of the log is to go through
    /// [`Self::apply_replayed`] next, then [`Self::finish_again`] is called; shards hold what they held.
    ///
    /// This one is of no further use but to be asked again, should it fail.
    ///
    /// # Errors
    /// When the files cannot be set aside or new ones cannot be made: the disk fails still.
    pub fn begin_again(&mut self, folder: &Path, now_ms: u64) -> Result<Self, LedgerError> {
        // sled writes some of its files by name: it must be gone before the name is another's.
        self.shelf = Box::new(MemoryShelf::new());
        self.failed = true;
        let set_aside = Self::set_aside(folder, now_ms);
        set_aside.map_err(|source| crate::shelf::ShelfError::Io {
            doing: "set aside",
            folder: folder.to_owned(),
            source,
        })?;
        let mut anew = Self::open(folder, self.options)?;
        anew.cursor = ChunkKey { minute: self.cursor.minute, number: 0 };
        anew.in_hand = Some(self.in_hand());
        Ok(anew)
    }

    /// The replay is through: from now on updates come from those who hold deliveries.
    pub fn finish_again(&mut self) {
        self.in_hand = None;
    }

    fn in_hand(&self) -> InHand {
        let also = self.young.held().chain(self.loaded.keys());
        InHand { before_ms: self.loaded_until(), also: also.collect() }
    }
}
