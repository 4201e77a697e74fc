//! Ages: since when the delivery that has been pending longest has been owed, to ten seconds.
//!
//! Deliveries are counted by the stretch of time in which their message was accepted: up when they are handed out, down
//! when they end. The first stretch that still has some is the answer. There are at most a few hundred thousand, however
//! many deliveries: as many as fit into the longest retry policy. Those that a start finds in the ledger are read from there,
//! unless they are too many; then it is known only that they are older than the start.
//!
//! Not here: when they are due (the ledger, the wheels).

use std::collections::BTreeMap;

use posthaste_storage::EntryId;
use posthaste_storage::ledger::{Ledger, LedgerError};

const STRETCH_MS: u64 = 10_000;
/// Beyond so many, a start does not read the ledger for their ages: it would take seconds.
const READ_MAX: u64 = 200_000;

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Ages {
    stretches: BTreeMap<u64, u64>,
    /// Pending since before the start, nobody knows since when.
    older: u64,
    /// When the process began, unix milliseconds.
    since_ms: u64,
}

impl Ages {
    /// With what a start finds in the ledger.
    pub(crate) fn read(ledger: &Ledger, in_ledger: u64, since_ms: u64) -> Result<Self, LedgerError> {
        let mut ages = Self { since_ms, ..Self::default() };
        if in_ledger > READ_MAX {
            ages.older = in_ledger;
        } else {
            ledger.for_each(|pending| ages.add(pending.message, 1))?;
        }
        Ok(ages)
    }

    /// So many deliveries of this message are pending now.
    pub(crate) fn add(&mut self, message: EntryId, deliveries: u64) {
        *self.stretches.entry(message.ms() / STRETCH_MS).or_default() += deliveries;
    }

    /// One of them has ended.
    pub(super) fn end(&mut self, message: EntryId) {
        let stretch = message.ms() / STRETCH_MS;
        match self.stretches.get_mut(&stretch) {
            Some(1) => {
                self.stretches.remove(&stretch);
            }
            Some(pending) => *pending -= 1,
            None => self.older = self.older.saturating_sub(1),
        }
    }

    /// When the message of the oldest one was accepted, unix milliseconds; of those that nobody knows more of, when the
    /// process began. `None` if nothing is pending.
    pub(super) fn oldest_ms(&self) -> Option<u64> {
        let known = self.stretches.first_key_value().map(|(stretch, _)| stretch * STRETCH_MS);
        let older = (self.older > 0).then_some(self.since_ms);
        known.into_iter().chain(older).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(stretch: u64) -> EntryId {
        EntryId::new(stretch * STRETCH_MS + 7, 1)
    }

    #[test]
    fn the_oldest_is_the_first_stretch_that_still_owes_something() {
        let mut ages = Ages::default();
        assert_eq!(ages.oldest_ms(), None);
        ages.add(at(10), 2);
        ages.add(at(12), 1);
        ages.end(at(10));
        assert_eq!(ages.oldest_ms(), Some(10 * STRETCH_MS));
        ages.end(at(10));
        assert_eq!(ages.oldest_ms(), Some(12 * STRETCH_MS));
        ages.end(at(12));
        assert_eq!(ages.oldest_ms(), None);
    }

    #[test]
    fn what_was_not_read_is_as_old_as_the_process_until_all_of_it_has_ended() {
        let mut ages = Ages { older: 2, since_ms: 20 * STRETCH_MS, ..Ages::default() };
        ages.add(at(25), 1);
        ages.end(at(3));
        assert_eq!(ages.oldest_ms(), Some(20 * STRETCH_MS));
        ages.end(at(4));
        assert_eq!(ages.oldest_ms(), Some(25 * STRETCH_MS));
    }
}
