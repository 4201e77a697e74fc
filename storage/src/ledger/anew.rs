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

use super::chunk::ChunkKey;
use super::pending::DeliveryKey;
use super::{Ledger, LedgerError, Pending};
use crate::shelf::{MemoryShelf, Shelf};

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
    /// An empty ledger in place of this one, on the shelf that `shelf` opens once this one has let go of its own. All of
    /// the log is to go through [`Self::apply_replayed`] next, then [`Self::finish_again`] is called; shards hold what
    /// they held.
    ///
    /// This one is of no further use but to be asked again, should it fail.
    ///
    /// # Errors
    /// When there is no new shelf: the disk fails still.
    pub fn begin_again<E: From<LedgerError>>(
        &mut self,
        shelf: impl FnOnce() -> Result<Box<dyn Shelf>, E>,
    ) -> Result<Self, E> {
        // sled writes some of its files by name: it must be gone before the name is another's.
        self.shelf = Box::new(MemoryShelf::new());
        self.failed = true;
        let mut anew = Self::on_shelf(shelf()?, self.options)?;
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
