//! The inbox of a shard: other threads put batches in, the shard takes all at once.
//!
//! A mutex around a vector, held for the time of a few moves, and one wake-up per batch. Putting never
//! blocks: what bounds the inbox is that publishers are held back while it is long (`waiting`), and that
//! everything else comes in answer to the shard's own, bounded, work.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    waiting: Mutex<Vec<T>>,
    len: AtomicUsize,
    arrived: Notify,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self { waiting: Mutex::new(Vec::new()), len: AtomicUsize::new(0), arrived: Notify::new() }
    }
}

impl<T> Inbox<T> {
    /// Puts one in.
    pub(crate) fn put(&self, item: T) {
        self.put_all(std::iter::once(item));
    }

    /// Puts a batch in and wakes the shard once.
    pub(crate) fn put_all(&self, items: impl IntoIterator<Item = T>) {
        let mut waiting = self.waiting.lock();
        waiting.extend(items);
        self.len.store(waiting.len(), Ordering::Relaxed);
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Takes everything, into `taken`, which must be empty; its allocation is left for the next batch.
    pub(crate) fn take(&self, taken: &mut Vec<T>) {
        debug_assert!(taken.is_empty());
        let mut waiting = self.waiting.lock();
        std::mem::swap(&mut *waiting, taken);
        self.len.store(0, Ordering::Relaxed);
    }

    /// Wakes the shard without putting anything in.
    pub(crate) fn wake(&self) {
        self.arrived.notify_one();
    }

    /// How many wait (a moment ago).
    pub(crate) fn waiting(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Ends when something was put in since the last call, or the shard was woken.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }
}
