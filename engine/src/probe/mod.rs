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
//! - Nothing is kept for the next one but what name servers said, for as long as they said, and of failures for half a
//!   minute: every probe opens a connection of its own, so that the whole way is tested.
//! - One application has so many of them at most, so that its people cannot keep all others waiting.
//! - Whoever asks for too many is told to come back; deliveries do not feel it.
//! - What a receiver answers that is not on the public internet is not shown, unless `probe.show_private` allows it:
//!   a URL to be tested must not become a way to read what only this machine can reach.

mod noting;
#[cfg(test)]
mod tests;
mod thread;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use posthaste_storage::EntryId;
use tokio::sync::{mpsc, oneshot};

use crate::catalog::{BoxFuture, Endpoint};
use crate::clock::unix_ms;
use crate::core::ids::{ApplicationId, MessageId};
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
    /// The same application has as many as one may have.
    #[error(
        "{count} tests of this application wait or are under way already (probe.per_application_max); try again in a second"
    )]
    ApplicationBusy {
        /// How many it may have.
        count: usize,
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
    /// Probes of each application that wait or are under way; none where there is none.
    of_application: Mutex<HashMap<ApplicationId, usize>>,
    per_application_max: usize,
}

/// One of the probes that an application may have. Dropping it makes room for another.
struct Place<'p> {
    prober: &'p Prober,
    application: ApplicationId,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut counts = self.prober.of_application.lock();
        if let Entry::Occupied(mut count) = counts.entry(self.application) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

impl Prober {
    fn new(orders: mpsc::Sender<Order>, per_application_max: usize) -> Self {
        Self { orders, sequence: AtomicU16::new(0), of_application: Mutex::default(), per_application_max }
    }

    /// So that one application's people cannot keep all others waiting.
    fn place(&self, application: ApplicationId) -> Result<Place<'_>, ProbeError> {
        let mut counts = self.of_application.lock();
        let count = counts.entry(application).or_default();
        if *count >= self.per_application_max {
            return Err(ProbeError::ApplicationBusy { count: *count });
        }
        *count += 1;
        Ok(Place { prober: self, application })
    }

    fn next_id(&self) -> MessageId {
        let count = self.sequence.fetch_add(1, Ordering::Relaxed);
        MessageId(EntryId::new(unix_ms(), count | SEQUENCE_FIRST))
    }
}

impl Probes for Prober {
    fn probe(&self, probe: Probe) -> BoxFuture<'_, Result<Probed, ProbeError>> {
        Box::pin(async move {
            let _place = self.place(probe.endpoint.application)?;
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
