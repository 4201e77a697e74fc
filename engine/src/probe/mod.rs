//! Probes: one attempt at an endpoint, saved or not, whose end is told at once.
//!
//! ```text
//!   API --order--> waiting (bounded) --> thread of the prober: one sender for each probe --> answer
//! ```
//!
//! For people who set an endpoint up: is anybody there, and do they take what we would send? The request is the one
//! that a delivery would make (same form, signature, deadlines, egress guard, limits on the response), but it is no
//! delivery. (The probe at the end of a lockout is something else: that one is an attempt of a delivery.)
//!
//! Invariants
//! - Nothing learns from a probe: no health, no lockout, no pace, no history, no outcome stream; a 410 disables nobody.
//! - Nothing is kept for the next one: every probe looks the name up and opens a connection of its own, so that
//!   the whole way is tested.
//! - Whoever asks for too many is told to come back; deliveries do not feel it.
//! - What a receiver answers that is not on the public internet is not shown, unless `probe.show_private` allows it:
//!   a URL to be tested must not become a way to read what only this machine can reach.

mod noting;
#[cfg(test)]
mod tests;
mod thread;

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use bytes::Bytes;
use posthaste_storage::EntryId;
use tokio::sync::{mpsc, oneshot};

use crate::catalog::{BoxFuture, Endpoint};
use crate::clock::unix_ms;
use crate::core::ids::MessageId;
use crate::delivery::Ended;
pub(crate) use thread::{ProbeSettings, spawn};

/// Sequence numbers of probes begin here. The log counts upwards from 0 within a millisecond and never comes so far,
/// so no receiver takes a probe for a message it has had.
const SEQUENCE_FIRST: u16 = 0x8000;

/// What is to be tried.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Where and how.
    pub endpoint: Arc<Endpoint>,
    /// What is sent.
    pub payload: Bytes,
}

/// What came of it.
#[derive(Debug)]
pub struct Probed {
    /// The `webhook-id` that it was sent with. Nothing is stored under it.
    pub message: MessageId,
    /// The headers of the request by name, with everything secret that is in them.
    pub request_headers: Vec<(String, String)>,
    /// How it ended.
    pub ended: Ended,
    /// Whether the receiver is not on the public internet, and what it answered was taken out of `ended`.
    pub is_hidden: bool,
}

/// Why nothing was tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// Too many want the same.
    #[error("{waiting} tests are waiting already (probe.waiting_max); try again in a second")]
    Busy {
        /// How many may wait.
        waiting: usize,
    },
    /// The server stops.
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// Makes probes.
pub trait Probes: Send + Sync {
    /// Tries it, and answers when it has ended. Dropped before, it is given up.
    fn probe(&self, probe: Probe) -> BoxFuture<'_, Result<Probed, ProbeError>>;
}

/// A probe that waits for its turn, and who wants to know.
struct Order {
    probe: Probe,
    message: MessageId,
    answer: oneshot::Sender<Probed>,
}

/// The way to the prober's thread.
pub(crate) struct Prober {
    orders: mpsc::Sender<Order>,
    sequence: AtomicU16,
}

impl Prober {
    fn next_id(&self) -> MessageId {
        let count = self.sequence.fetch_add(1, Ordering::Relaxed);
        MessageId(EntryId::new(unix_ms(), count | SEQUENCE_FIRST))
    }
}

impl Probes for Prober {
    fn probe(&self, probe: Probe) -> BoxFuture<'_, Result<Probed, ProbeError>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let order = Order { probe, message: self.next_id(), answer };
            self.orders.try_send(order).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => {
                    ProbeError::Busy { waiting: self.orders.max_capacity() }
                }
                mpsc::error::TrySendError::Closed(_) => ProbeError::ShuttingDown,
            })?;
            answered.await.map_err(|_| ProbeError::ShuttingDown)
        })
    }
}
