//! Where Posthaste keeps what it promised: the log, and what is derived from it.
#![warn(missing_docs)]

pub mod catalog;
mod checksum;
pub mod disk;
pub mod entry;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod ledger;
pub mod log;
pub mod position;
pub mod record;
pub mod shelf;
pub mod trust;

pub use entry::{EntryId, EntryIdError};
pub use position::Position;
