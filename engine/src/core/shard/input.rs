//! What is told to a shard, and what it must know to be told: settings, deliveries, ends.

use std::sync::Arc;
use std::time::Duration;

use posthaste_storage::Position;

use crate::core::delivery::{DeliveryKey, DeliveryState, Progress};
use crate::core::health::{HealthCell, LockoutRule};
use crate::core::ids::{ApplicationId, EndpointId, MessageId};
use crate::core::outcome::Outcome;
use crate::core::pace::PaceCell;
use crate::core::retry::RetryPolicy;
use crate::core::tick::Tick;

/// A payload held in memory, as far as the core cares.
pub trait Body {
    /// Bytes it keeps in memory.
    fn bytes(&self) -> usize;
}

/// What bounds a shard.
#[derive(Debug, Clone)]
pub struct ShardSettings {
    /// Attempts in flight in the whole shard.
    pub in_flight_max: u32,
    /// Attempts in flight towards one host.
    pub host_in_flight_max: u32,
    /// Deliveries queued for one endpoint; further ones are parked in the ledger.
    pub queue_max: u32,
    /// Deliveries held: queued, waiting and in flight; further ones are parked in the ledger.
    pub deliveries_max: usize,
    /// Bytes of payload held for queued deliveries; beyond it payloads are read back from the log.
    pub body_bytes_max: usize,
    /// How long a delivery is parked when its endpoint's queue is full, beyond the horizon.
    pub park_for: Duration,
    /// When a URL is locked out.
    pub url_lockout: LockoutRule,
    /// When a host is locked out.
    pub host_lockout: LockoutRule,
}

/// Everything the core needs to know of an endpoint.
#[derive(Debug, Clone)]
pub struct EndpointSettings {
    /// Which endpoint.
    pub id: EndpointId,
    /// Whose it is.
    pub application: ApplicationId,
    /// The host its URL leads to, by hash.
    pub host: u64,
    /// Grows with every change of the endpoint; attempts are recorded with it.
    pub revision: u32,
    /// When to try again.
    pub retry: Arc<RetryPolicy>,
    /// The widest its window of attempts in flight may grow.
    pub in_flight_max: u16,
    /// How many attempts a second it wants at most, where it says so.
    pub pace: Option<Arc<PaceCell>>,
    /// The same of its application, for all endpoints of it together.
    pub application_pace: Arc<PaceCell>,
    /// The health of its URL.
    pub url_health: Arc<HealthCell>,
    /// The health of its host.
    pub host_health: Arc<HealthCell>,
}

/// A delivery that comes to the shard.
#[derive(Debug, Clone)]
pub struct Incoming<B> {
    /// Which delivery.
    pub key: DeliveryKey,
    /// Whose message it is.
    pub application: ApplicationId,
    /// Where the message stands in the log.
    pub message_at: Position,
    /// How far it has come.
    pub progress: Progress,
    /// When it may be attempted; in the past means now.
    pub due: Tick,
    /// Its lane: deliveries of one lane to one endpoint are made one after the other, in the order of their messages;
    /// 0: none.
    pub lane: u64,
    /// Who remembers it besides this shard.
    pub home: Home,
    /// Whether the shard may hold it already, and is to attempt it now.
    pub replaces: bool,
    /// Its payload, if at hand.
    pub body: Option<B>,
}

/// Who remembers a pending delivery, should this process end now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// Only the log: it was never attempted since it was published. The number is the place of its message
    /// in the writer's list of such messages.
    Log(u32),
    /// The ledger.
    Ledger,
}

/// What becomes of an endpoint's deliveries when a shard has it no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// They end in this state.
    Ended(DeliveryState),
    /// Another shard makes them: its URL leads to another host now.
    Moved,
}

/// What is told to the shard. `R` is the report that comes with an attempt's end; the core hands it on.
#[derive(Debug)]
pub enum Input<B, R> {
    /// An endpoint is there, or has changed.
    Endpoint(EndpointSettings),
    /// An endpoint is no more, or no more here.
    EndpointGone(EndpointId, Gone),
    /// A delivery to be made.
    Deliver(Incoming<B>),
    /// The attempt with this token has ended.
    Ended {
        /// The token of [`Start`].
        token: u32,
        /// How it ended.
        outcome: Outcome,
        /// How long it took.
        took: Duration,
        /// Handed on in [`AttemptEnded`].
        report: R,
    },
    /// A message is taken back: what is pending of it ends as cancelled.
    Cancel(MessageId),
    /// Deliveries due up to here are held by the shard; later ones by the ledger alone.
    Horizon(Tick),
    /// Messages before this position should not rest on the log alone any longer: park what is queued.
    RememberBefore(Position),
    /// Time has passed.
    Wake,
}
