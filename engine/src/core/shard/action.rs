//! What a shard wants done: attempts made, and what became of deliveries recorded.

use posthaste_storage::Position;

use super::input::Home;
use crate::core::delivery::{DeliveryKey, DeliveryState, Progress};
use crate::core::health::HealthChange;
use crate::core::ids::{ApplicationId, EndpointId};
use crate::core::outcome::Outcome;
use crate::core::tick::Tick;

/// Make this attempt.
#[derive(Debug)]
pub struct Start<B> {
    /// To be given back in [`Input::Ended`].
    pub token: u32,
    /// Which delivery.
    pub key: DeliveryKey,
    /// Where the message stands in the log.
    pub message_at: Position,
    /// The payload; `None` means it is to be read from the log.
    pub body: Option<B>,
}

/// An attempt has ended, or was refused: record it.
#[derive(Debug)]
pub struct AttemptEnded<R> {
    /// Which delivery.
    pub key: DeliveryKey,
    /// Whose message it is.
    pub application: ApplicationId,
    /// Where the message stands in the log.
    pub message_at: Position,
    /// Which attempt of its delivery; the first is 1.
    pub number: u16,
    /// The endpoint's revision at the time.
    pub revision: u32,
    /// When it started.
    pub started: Tick,
    /// How it ended.
    pub outcome: Outcome,
    /// Where the delivery stands now.
    pub state: DeliveryState,
    /// When it is tried again.
    pub next_attempt: Option<Tick>,
    /// How far it has come, this attempt included.
    pub progress: Progress,
    /// Who remembered it until now.
    pub home: Home,
    /// Whether from now on the ledger alone knows it.
    pub forgotten: bool,
    /// What came with [`Input::Ended`]; `None` when the attempt was refused.
    pub report: Option<R>,
}

/// A delivery is handed to the ledger without an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parked {
    /// Which delivery.
    pub key: DeliveryKey,
    /// Whose message it is.
    pub application: ApplicationId,
    /// Where the message stands in the log.
    pub message_at: Position,
    /// How far it has come.
    pub progress: Progress,
    /// When it may be attempted.
    pub due: Tick,
    /// Who remembered it until now.
    pub home: Home,
    /// Whether from now on the ledger alone knows it.
    pub forgotten: bool,
}

/// A delivery ended without an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Which delivery.
    pub key: DeliveryKey,
    /// Whose message it is.
    pub application: ApplicationId,
    /// Where the message stands in the log.
    pub message_at: Position,
    /// How far it had come.
    pub progress: Progress,
    /// How it stands.
    pub state: DeliveryState,
    /// Who remembered it until now.
    pub home: Home,
}

/// What is to be done. Drain [`Shard::poll_action`] after every input.
#[derive(Debug)]
pub enum Action<B, R> {
    /// Make an attempt.
    Start(Start<B>),
    /// Record an attempt.
    Ended(AttemptEnded<R>),
    /// Record that the ledger takes a delivery.
    Park(Parked),
    /// Record that a delivery has ended.
    Settle(Settled),
    /// The receiver wants nothing more at this URL (410): disable the endpoint.
    Disable(EndpointId),
    /// A lockout began or ended: for people to hear of.
    Health {
        /// The endpoint whose attempt brought it about.
        endpoint: EndpointId,
        /// Its URL, or the host.
        door: Door,
        /// What happened.
        change: HealthChange,
    },
}

/// What can be locked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The URL of one endpoint.
    Url,
    /// A host, with all URLs on it.
    Host,
}
