//! A delivery that waits, and the news about one.

use crate::{EntryId, Position};

/// Milliseconds in a minute: deliveries are kept together by the minute in which they fall due.
pub(crate) const MINUTE_MS: u64 = 60_000;

/// A delivery that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pending {
    /// The message to be brought.
    pub message: EntryId,
    /// Whose endpoint it is.
    pub application: u64,
    /// The endpoint to bring it to.
    pub endpoint: u64,
    /// Where the log keeps the message.
    pub message_at: Position,
    /// Attempts made so far.
    pub attempts: u16,
    /// When the next attempt falls due, in unix milliseconds.
    pub due_ms: u64,
    /// Where the log keeps the record that says all this.
    pub updated_at: Position,
}

impl Pending {
    pub(crate) fn key(&self) -> DeliveryKey {
        DeliveryKey { message: self.message, endpoint: self.endpoint }
    }

    /// The minute in which it falls due, counted from 1970.
    pub(crate) fn minute(&self) -> u64 {
        self.due_ms / MINUTE_MS
    }
}

/// What the log says about one delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Update {
    /// The message.
    pub message: EntryId,
    /// The endpoint.
    pub endpoint: u64,
    /// Where the log keeps the record that says so.
    pub at: Position,
    /// Where the delivery stands from here on.
    pub to: Standing,
}

/// Where a delivery stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It waits for its next attempt.
    Pending {
        /// Whose endpoint it is.
        application: u64,
        /// Where the log keeps the message.
        message_at: Position,
        /// Attempts made so far.
        attempts: u16,
        /// When the next attempt falls due, in unix milliseconds.
        due_ms: u64,
        /// Whether nobody but the ledger knows of it, so that a load must hand it out when it falls due.
        /// If not, the shard that reports it also keeps it in its wheel.
        forgotten: bool,
    },
    /// It is delivered, exhausted or cancelled.
    Settled,
}

impl Update {
    pub(crate) fn key(&self) -> DeliveryKey {
        DeliveryKey { message: self.message, endpoint: self.endpoint }
    }

    /// The delivery as it now waits, and whether it is forgotten; `None` when it is settled.
    pub(crate) fn pending(&self) -> Option<(Pending, bool)> {
        let Standing::Pending { application, message_at, attempts, due_ms, forgotten } = self.to else {
            return None;
        };
        let Self { message, endpoint, at: updated_at, .. } = *self;
        let pending = Pending { message, application, endpoint, message_at, attempts, due_ms, updated_at };
        Some((pending, forgotten))
    }
}

/// What names a delivery.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct DeliveryKey {
    pub(crate) message: EntryId,
    pub(crate) endpoint: u64,
}
