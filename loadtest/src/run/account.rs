//! The account: which messages were acknowledged, and what became of each at every endpoint that wants it.
//!
//! ```text
//!   sent ──> acknowledged ──> received, once or again          by number of message and slot of endpoint
//!      └───> refused, lost                                      a lost one may be stored or not
//! ```
//!
//! Everything is a bit or a counter: ten million messages cost a few megabytes. Latencies and rates are kept for the
//! current play only; what was published before it began is left out of them, and stays in the account.
//!
//! Invariants
//! - A delivery counts as received when it was answered with success, and once, however often it comes.
//! - What arrives with the mark of another run is nobody's here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::bitmap::Bitmap;
use super::gate::Gate;
use super::latency::Latency;
use super::layout::{Behaviour, Layout};
use super::payload;
use super::series::Series;
use super::times::{Time, Times};
use crate::receiver::{Arrival, Observer};

/// See the head of this file.
pub(crate) struct Account {
    layout: Arc<Layout>,
    /// What the query of every URL begins with.
    mark: String,
    began: Instant,
    acknowledged: Bitmap,
    received: Bitmap,
    sent_at: Times,
    acknowledged_at: Times,
    /// Deliveries to healthy endpoints between publishing and receipt.
    pub(crate) backlog: Gate,
    counts: Counts,
    acknowledgements: Mutex<Acknowledgements>,
    receipts: Mutex<Receipts>,
}

#[derive(Default)]
struct Counts {
    acknowledged: AtomicU64,
    expected: AtomicU64,
    once: AtomicU64,
    again: AtomicU64,
    unhealthy: AtomicU64,
    astray: AtomicU64,
}

/// Acknowledgements of the current play.
#[derive(Clone, Default)]
pub(crate) struct Acknowledgements {
    began_ns: u64,
    pub(crate) series: Series,
    pub(crate) since_publish: Latency,
}

/// Receipts at healthy endpoints in the current play, of messages that were published in it.
#[derive(Clone, Default)]
pub(crate) struct Receipts {
    first: u64,
    began_ns: u64,
    pub(crate) series: Series,
    pub(crate) since_acknowledged: Latency,
    pub(crate) since_publish: Latency,
}

/// The account in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Messages acknowledged.
    pub(crate) acknowledged: u64,
    /// Deliveries that these make at healthy endpoints.
    pub(crate) expected: u64,
    /// Deliveries received at healthy endpoints.
    pub(crate) once: u64,
    /// Receipts beyond the first.
    pub(crate) again: u64,
    /// Requests at other endpoints.
    pub(crate) unhealthy: u64,
    /// Requests with a message for another endpoint, or with a body that is none of ours.
    pub(crate) astray: u64,
}

impl Account {
    /// `mark` tells this run's requests from those of others; `backlog_max` is the limit of `backlog`.
    pub(crate) fn new(layout: Arc<Layout>, mark: &str, backlog_max: u64) -> Self {
        Self {
            layout,
            mark: format!("run={mark}&slot="),
            began: Instant::now(),
            acknowledged: Bitmap::new(),
            received: Bitmap::new(),
            sent_at: Times::new(),
            acknowledged_at: Times::new(),
            backlog: Gate::new(backlog_max),
            counts: Counts::default(),
            acknowledgements: Mutex::default(),
            receipts: Mutex::default(),
        }
    }

    /// The query of the URL of an endpoint.
    pub(crate) fn query(&self, slot: u32) -> String {
        format!("{}{slot}", self.mark)
    }

    /// Nanoseconds since this account began.
    pub(crate) fn now_ns(&self) -> u64 {
        self.ns(Instant::now())
    }

    fn ns(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.began).as_nanos() as u64
    }

    /// A play begins: latencies and rates are those of messages from `first` on.
    pub(crate) fn begin(&self, first: u64) {
        let began_ns = self.now_ns();
        *self.acknowledgements.lock() = Acknowledgements { began_ns, ..Acknowledgements::default() };
        *self.receipts.lock() = Receipts { first, began_ns, ..Receipts::default() };
    }

    /// A message is about to be sent, and was due at `due_ns`.
    pub(crate) fn sent(&self, message: u64, due_ns: u64) {
        self.sent_at.set(message, due_ns);
        self.backlog.enter(self.layout.healthy_of_message(message).into());
    }

    /// Messages were acknowledged.
    pub(crate) fn acknowledged(&self, messages: &[u64]) {
        let now = self.now_ns();
        let mut expected = 0;
        for message in messages {
            self.acknowledged_at.set(*message, now);
            self.acknowledged.set(*message);
            expected += u64::from(self.layout.healthy_of_message(*message));
        }
        self.counts.acknowledged.fetch_add(messages.len() as u64, Ordering::SeqCst);
        self.counts.expected.fetch_add(expected, Ordering::SeqCst);
        let mut window = self.acknowledgements.lock();
        let after = Duration::from_nanos(now.saturating_sub(window.began_ns));
        window.series.add(after, messages.len() as u32);
        for message in messages {
            if let Time::At(due) = self.sent_at.of(*message) {
                window.since_publish.record(now.saturating_sub(due));
            }
        }
    }

    /// A message was refused, or its connection ended before the answer: nobody waits for its deliveries.
    pub(crate) fn given_up(&self, message: u64) {
        self.backlog.leave(self.layout.healthy_of_message(message).into());
    }

    /// What there is so far.
    pub(crate) fn totals(&self) -> Totals {
        let of = |count: &AtomicU64| count.load(Ordering::SeqCst);
        let counts = &self.counts;
        Totals {
            acknowledged: of(&counts.acknowledged),
            expected: of(&counts.expected),
            once: of(&counts.once),
            again: of(&counts.again),
            unhealthy: of(&counts.unhealthy),
            astray: of(&counts.astray),
        }
    }

    /// The figures of the current play.
    pub(crate) fn play(&self) -> (Acknowledgements, Receipts) {
        (self.acknowledgements.lock().clone(), self.receipts.lock().clone())
    }

    /// Deliveries of acknowledged messages that no healthy endpoint has received, among messages below `end`: each
    /// with its message and slot.
    pub(crate) fn missing(&self, end: u64) -> impl Iterator<Item = (u64, u32)> {
        let acknowledged = (0..end).filter(|message| self.acknowledged.has(*message));
        let deliveries = acknowledged.flat_map(|message| {
            let slots = self.layout.slots_of(self.layout.group_of_message(message));
            slots.map(move |slot| (message, slot))
        });
        deliveries.filter(|(message, slot)| {
            self.layout.behaviour_of(*slot) == Behaviour::Healthy
                && !self.received.has(self.bit(*message, *slot))
        })
    }

    /// Messages that can be told apart.
    pub(crate) fn messages_max(&self) -> u64 {
        Bitmap::BITS_MAX / u64::from(self.layout.fan_out())
    }

    fn bit(&self, message: u64, slot: u32) -> u64 {
        let fan_out = u64::from(self.layout.fan_out());
        message * fan_out + u64::from(slot) % fan_out
    }

    fn slot(&self, target: &str) -> Option<u32> {
        let slot = target.split_once('?')?.1.strip_prefix(&self.mark)?.parse().ok()?;
        (slot < self.layout.endpoints()).then_some(slot)
    }

    fn received(&self, message: u64, slot: u32, at: Instant) {
        if !self.received.set(self.bit(message, slot)) {
            self.counts.again.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let at = self.ns(at);
        let mut window = self.receipts.lock();
        if message >= window.first {
            let after = Duration::from_nanos(at.saturating_sub(window.began_ns));
            window.series.add(after, 1);
            match self.acknowledged_at.of(message) {
                Time::At(acknowledged) => window.since_acknowledged.record(at.saturating_sub(acknowledged)),
                // Received before the acknowledgement was read.
                Time::NotYet => window.since_acknowledged.record(0),
                Time::Forgotten => {}
            }
            if let Time::At(due) = self.sent_at.of(message) {
                window.since_publish.record(at.saturating_sub(due));
            }
        }
        drop(window);
        self.counts.once.fetch_add(1, Ordering::SeqCst);
        self.backlog.leave(1);
    }
}

impl Observer for Account {
    fn arrived(&self, arrival: Arrival<'_>) {
        let Some(slot) = self.slot(arrival.target) else { return };
        let message = payload::number_of(arrival.body).filter(|message| {
            *message < self.messages_max()
                && self.layout.group_of_message(*message) == self.layout.group_of_slot(slot)
        });
        let Some(message) = message else {
            self.counts.astray.fetch_add(1, Ordering::SeqCst);
            return;
        };
        if self.layout.behaviour_of(slot) != Behaviour::Healthy {
            self.counts.unhealthy.fetch_add(1, Ordering::SeqCst);
        } else if arrival.status.is_some_and(|status| (200..300).contains(&status)) {
            self.received(message, slot, arrival.at);
        }
    }
}

#[cfg(test)]
mod tests;
