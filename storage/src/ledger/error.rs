//! Why the ledger cannot go on.

use crate::shelf::ShelfError;

/// Why the ledger cannot go on. All but [`Self::OptionOutOfRange`] are cured by setting the ledger aside and
/// rebuilding it from the log.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store beneath does not open, or failed.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// Something on the shelf is not what was put there.
    #[error("the ledger is damaged at {place}: {why}")]
    Damaged {
        /// What is damaged.
        place: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Another version of Posthaste wrote it.
    #[error("the ledger has format version {found}; this program reads version {known}")]
    OtherVersion {
        /// The version it has.
        found: u8,
        /// The version that is read.
        known: u8,
    },
    /// It failed before, and what it has in memory is no longer sure.
    #[error("the ledger failed before and must be opened again")]
    Failed,
    /// An option is out of its range.
    #[error("ledger option {option} is {value}; it must be from {min} to {max}")]
    OptionOutOfRange {
        /// Its name.
        option: &'static str,
        /// The value given.
        value: u64,
        /// The least it may be.
        min: u64,
        /// The most it may be.
        max: u64,
    },
}
