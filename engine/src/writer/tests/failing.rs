//! Shelves of which one operation fails on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use posthaste_storage::shelf::{Pair, Shelf, ShelfBatch, ShelfError};

use crate::recovery::{Derived, Folders, Shelves};

/// Shelves in folders; the n-th operation on a ledger fails, once.
#[derive(Clone)]
pub(crate) struct Failing {
    folders: Folders,
    left: Arc<AtomicU64>,
}

struct FailingShelf {
    shelf: Box<dyn Shelf>,
    left: Arc<AtomicU64>,
}

fn operate(left: &AtomicU64) -> Result<(), ShelfError> {
    if left.fetch_sub(1, Ordering::Relaxed) == 0 {
        return Err(ShelfError::Failed {
            doing: "use",
            folder: "/test".into(),
            why: "it was told to".into(),
        });
    }
    Ok(())
}

impl Failing {
    pub(crate) fn new(folders: Folders) -> Self {
        Self { folders, left: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// After so many operations one fails.
    pub(crate) fn after(&self, operations: u64) {
        self.left.store(operations, Ordering::Relaxed);
    }

    /// From now on none fails. Returns whether the one that was to fail has.
    pub(crate) fn stop_failing(&self) -> bool {
        self.left.swap(u64::MAX, Ordering::Relaxed) > u64::MAX / 2
    }
}

impl Shelves for Failing {
    fn is_missing(&self, what: Derived) -> bool {
        self.folders.is_missing(what)
    }

    fn open(&self, what: Derived, cache_bytes: u64) -> Result<Box<dyn Shelf>, ShelfError> {
        let shelf = self.folders.open(what, cache_bytes)?;
        if what == Derived::Catalog {
            return Ok(shelf);
        }
        operate(&self.left)?;
        Ok(Box::new(FailingShelf { shelf, left: self.left.clone() }))
    }

    fn set_aside(&self, what: Derived, now_ms: u64) -> std::io::Result<()> {
        self.folders.set_aside(what, now_ms)
    }

    fn discard(&self, what: Derived) -> std::io::Result<()> {
        self.folders.discard(what)
    }
}

impl Shelf for FailingShelf {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ShelfError> {
        operate(&self.left)?;
        self.shelf.read(key)
    }

    fn next(&self, from: &[u8]) -> Result<Option<Pair>, ShelfError> {
        operate(&self.left)?;
        self.shelf.next(from)
    }

    fn write(&mut self, batch: ShelfBatch) -> Result<(), ShelfError> {
        operate(&self.left)?;
        self.shelf.write(batch)
    }

    fn hand_over(&mut self) -> Result<(), ShelfError> {
        operate(&self.left)?;
        self.shelf.hand_over()
    }

    fn close(self: Box<Self>) -> Result<(), ShelfError> {
        operate(&self.left)?;
        self.shelf.close()
    }
}
