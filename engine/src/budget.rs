//! Budget: how many bytes of messages may be in memory on their way to the log, over all connections of both doors.
//!
//! ```text
//!   request arrives --arriving--> whole --unacknowledged--> stored, answered
//! ```
//!
//! Two budgets of the same size, so that requests that never become whole cannot keep those from the log that are:
//! who waits for the second holds nothing of the first that a slow client could keep (`ingest` reads no further;
//! `api` holds its own body). What is held of the first comes back at the latest when a request has taken too long
//! to arrive.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long somebody who could be told to come back waits for room.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the head of this file.
#[derive(Clone)]
pub(crate) struct Budget {
    arriving: Arc<Semaphore>,
    unacknowledged: Arc<Semaphore>,
    max: u32,
}

/// A part of the budget, until this is dropped.
#[derive(Debug)]
pub(crate) struct Held(Option<OwnedSemaphorePermit>);

impl Held {
    /// Nothing at all.
    pub(crate) const NOTHING: Self = Self(None);

    pub(crate) fn is_nothing(&self) -> bool {
        self.0.is_none()
    }
}

/// The largest budget: what is taken from a semaphore at a time is counted in 32 bits.
pub(crate) const BUDGET_BYTES_MAX: u64 = 4_095 << 20;

impl Budget {
    /// This many bytes for each of the two.
    pub(crate) fn new(bytes: u64) -> Self {
        debug_assert!(bytes <= BUDGET_BYTES_MAX);
        let max = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
        let semaphore = || Arc::new(Semaphore::new((max as usize).min(Semaphore::MAX_PERMITS)));
        Self { arriving: semaphore(), unacknowledged: semaphore(), max }
    }

    /// Waits until a request of this size may arrive.
    pub(crate) async fn arrive(&self, bytes: usize) -> Held {
        self.take(&self.arriving, bytes).await
    }

    /// As [`Self::arrive`], but not for long; `None` if there is no room.
    pub(crate) async fn arrive_soon(&self, bytes: usize) -> Option<Held> {
        tokio::time::timeout(PATIENCE, self.arrive(bytes)).await.ok()
    }

    /// Waits until payloads of this size may be handed to the writer.
    pub(crate) async fn publish(&self, bytes: usize) -> Held {
        self.take(&self.unacknowledged, bytes).await
    }

    /// As [`Self::publish`], but not for long; `None` if there is no room.
    pub(crate) async fn publish_soon(&self, bytes: usize) -> Option<Held> {
        tokio::time::timeout(PATIENCE, self.publish(bytes)).await.ok()
    }

    /// What is larger than all there is takes all.
    async fn take(&self, of: &Arc<Semaphore>, bytes: usize) -> Held {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.max);
        // It is never closed.
        Held(of.clone().acquire_many_owned(bytes).await.ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_is_told_after_a_while_and_room_comes_back() {
        let budget = Budget::new(100);
        let held = budget.publish(60).await;
        assert!(budget.publish_soon(60).await.is_none());
        drop(held);
        assert!(budget.publish_soon(60).await.is_some());
    }

    #[tokio::test]
    async fn requests_that_never_become_whole_keep_nobody_from_the_log() {
        let budget = Budget::new(100);
        let _arriving = budget.arrive(100).await;
        assert!(budget.publish_soon(100).await.is_some());
    }

    #[tokio::test]
    async fn what_is_larger_than_the_budget_goes_alone() {
        let budget = Budget::new(100);
        drop(budget.publish(1_000).await);
        assert_eq!(budget.unacknowledged.available_permits(), 100);
    }
}
