//! The shelf: all that the ledger and the catalog ask of the store beneath them.
//!
//! Keys in order, values, and batches that happen whole or not at all. Nothing on a shelf is a promise: it
//! is derived from the log, may come back older than it was left, and is thrown away when in doubt. So
//! there is no way here to wait for the disk, and nobody misses it.
//!
//! Two shelves: [`SledShelf`] keeps files, [`MemoryShelf`] keeps nothing and serves tests and simulations.

use std::path::PathBuf;

mod memory;
mod on_sled;

pub use memory::MemoryShelf;
pub use on_sled::{SledShelf, hush_caught_panics};

/// The largest value a shelf takes. sled grows slow, and once broke, on values of some MiB.
pub const VALUE_BYTES_MAX: usize = 1024 * 1024;

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Keys in order, and batches that happen whole or not at all.
pub trait Shelf: Send {
    /// The value of `key`.
    ///
    /// # Errors
    /// When the store failed; it is of no further use.
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ShelfError>;

    /// The first key at or after `from`, and its value.
    ///
    /// # Errors
    /// When the store failed; it is of no further use.
    fn next(&self, from: &[u8]) -> Result<Option<Pair>, ShelfError>;

    /// Makes all changes of `batch`, or none of them. Later batches never outlive earlier ones.
    ///
    /// # Errors
    /// When the store failed; nothing is known about the batch, and the store is of no further use.
    fn write(&mut self, batch: ShelfBatch) -> Result<(), ShelfError>;

    /// Waits until the operating system has every batch, so that they survive the death of this process
    /// (not of the machine).
    ///
    /// # Errors
    /// When the store failed; it is of no further use.
    fn hand_over(&mut self) -> Result<(), ShelfError>;

    /// Closes the store so that it is believed after any restart of the machine.
    ///
    /// # Errors
    /// When the store or the disk failed; the files are then believed in this boot only.
    fn close(self: Box<Self>) -> Result<(), ShelfError>;
}

/// Changes that belong together; of two changes to one key the later counts.
#[derive(Debug, Default)]
pub struct ShelfBatch {
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    bytes: usize,
}

impl ShelfBatch {
    /// Stores `value` under `key`.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: Vec<u8>) {
        debug_assert!(value.len() <= VALUE_BYTES_MAX);
        let key = key.into();
        self.bytes += key.len() + value.len();
        self.changes.push((key, Some(value)));
    }

    /// Removes `key`.
    pub fn remove(&mut self, key: impl Into<Vec<u8>>) {
        let key = key.into();
        self.bytes += key.len();
        self.changes.push((key, None));
    }

    /// Bytes of keys and values in it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl IntoIterator for ShelfBatch {
    type Item = (Vec<u8>, Option<Vec<u8>>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.changes.into_iter()
    }
}

/// Why a shelf cannot be used. Every one of these is cured by setting it aside and rebuilding from the log.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// Its files may be torn or old.
    #[error("{} is not trusted: {why}", folder.display())]
    NotTrusted {
        /// The folder of the store.
        folder: PathBuf,
        /// The reason, for the operator.
        why: String,
    },
    /// The store reported an error, or panicked.
    #[error("sled failed to {doing} {}: {why}", folder.display())]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// The folder of the store.
        folder: PathBuf,
        /// What sled said.
        why: String,
    },
    /// The folder or its marker cannot be read or written.
    #[error("failed to {doing} {}: {source}", folder.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The folder of the store.
        folder: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}
