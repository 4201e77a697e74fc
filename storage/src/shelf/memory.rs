//! A shelf that keeps nothing: for tests, and for simulations that crash and come back.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Pair, Shelf, ShelfBatch, ShelfError};

/// A shelf in memory. Clones share what is on it, so that it outlives the ledger that uses it.
#[derive(Debug, Clone, Default)]
pub struct MemoryShelf {
    pairs: Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>,
}

impl MemoryShelf {
    /// A shelf with nothing on it.
    pub fn new() -> Self {
        Self::default()
    }

    /// A shelf of its own with what is on this one now: what a crash at this moment would leave behind.
    pub fn snapshot(&self) -> Self {
        Self { pairs: Arc::new(Mutex::new(self.pairs.lock().clone())) }
    }

    /// How many keys are on it.
    pub fn len(&self) -> usize {
        self.pairs.lock().len()
    }

    /// Whether nothing is on it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Shelf for MemoryShelf {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ShelfError> {
        Ok(self.pairs.lock().get(key).cloned())
    }

    fn next(&self, from: &[u8]) -> Result<Option<Pair>, ShelfError> {
        let pairs = self.pairs.lock();
        Ok(pairs.range(from.to_vec()..).next().map(|(key, value)| (key.clone(), value.clone())))
    }

    fn write(&mut self, batch: ShelfBatch) -> Result<(), ShelfError> {
        let mut pairs = self.pairs.lock();
        for (key, value) in batch {
            match value {
                Some(value) => pairs.insert(key, value),
                None => pairs.remove(&key),
            };
        }
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), ShelfError> {
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), ShelfError> {
        Ok(())
    }
}
