//! What the API needs from the engine: somebody who takes messages, and somebody who remembers.
//!
//! Object-safe, so that the log stands behind it in the server and a few vectors do in tests.

use std::sync::Arc;

use bytes::Bytes;

use crate::catalog::{BoxFuture, CatalogError, CommitError, Endpoint, NewTask, Start, Task};
use crate::core::delivery::DeliveryState;
use crate::core::ids::{ApplicationId, AttemptId, EndpointId, MessageId};
use crate::core::outcome::Outcome;
use crate::core::tick::Tick;
use crate::publish::{Admitted, PublishError};

/// Takes messages.
pub trait Messages: Send + Sync {
    /// Stores messages; the answers come in the same order, each after its message is durable.
    fn publish_many(&self, messages: Vec<Admitted>) -> BoxFuture<'_, Vec<Result<MessageId, PublishError>>>;

    /// Stores one message.
    fn publish(&self, message: Admitted) -> BoxFuture<'_, Result<MessageId, PublishError>> {
        Box::pin(async move {
            self.publish_many(vec![message]).await.pop().unwrap_or(Err(PublishError::ShuttingDown))
        })
    }

    /// Cancels the deliveries of a message that are pending. `false` when there was none to cancel.
    fn cancel(
        &self,
        application: ApplicationId,
        message: MessageId,
    ) -> BoxFuture<'_, Result<bool, CommitError>>;

    /// Makes these deliveries now, whatever became of them before. Returns how many there were: a message may be
    /// gone.
    fn deliver_again(&self, wanted: Vec<Again>) -> BoxFuture<'_, Result<usize, AgainError>>;
}

/// Runs tasks in the background.
pub trait Tasks: Send + Sync {
    /// Begins a task.
    fn start(&self, new: NewTask) -> BoxFuture<'_, Result<Arc<Task>, CatalogError>>;
}

/// A delivery that is wanted again, or for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// Whose message it is.
    pub application: ApplicationId,
    /// Which message.
    pub message: MessageId,
    /// Where to.
    pub endpoint: EndpointId,
}

/// Why deliveries are not made again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgainError {
    /// What became of them cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// They did not become durable.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Knows how endpoints are doing.
pub trait Health: Send + Sync {
    /// How this one is doing, if anything is known.
    fn endpoint(&self, endpoint: &Endpoint) -> Option<EndpointHealth>;
}

/// How an endpoint is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointHealth {
    /// `healthy`, `locked_out` or `probing`.
    pub state: &'static str,
    /// When a lockout ends.
    pub until: Option<Tick>,
}

/// Why history has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The log cannot be read there.
    #[error("the log could not be read: {reason}")]
    Failed {
        /// What is wrong.
        reason: String,
    },
    /// The server stops.
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// What history answers with.
pub type HistoryResult<'a, T> = BoxFuture<'a, Result<T, HistoryError>>;

/// Remembers messages, deliveries and attempts, as long as the log does. What it lists, it lists newest first.
pub trait History: Send + Sync {
    /// A message.
    fn message(&self, application: ApplicationId, id: MessageId) -> HistoryResult<'_, Option<StoredMessage>>;

    /// The message that was published under this event id, if that is still known.
    fn message_by_event_id<'a>(
        &'a self,
        application: ApplicationId,
        event_id: &'a str,
    ) -> HistoryResult<'a, Option<MessageId>>;

    /// The messages of an application.
    fn messages(
        &self,
        application: ApplicationId,
        query: MessageQuery,
    ) -> HistoryResult<'_, HistoryPage<StoredMessage>>;

    /// An attempt of a message.
    fn attempt(
        &self,
        application: ApplicationId,
        message: MessageId,
        id: AttemptId,
    ) -> HistoryResult<'_, Option<StoredAttempt>>;

    /// The attempts of a message, at all its endpoints or at the one the query names.
    fn attempts_by_message(
        &self,
        application: ApplicationId,
        message: MessageId,
        query: AttemptQuery,
    ) -> HistoryResult<'_, HistoryPage<StoredAttempt>>;

    /// The attempts at an endpoint.
    fn attempts_by_endpoint(
        &self,
        application: ApplicationId,
        endpoint: EndpointId,
        query: AttemptQuery,
    ) -> HistoryResult<'_, HistoryPage<StoredAttempt>>;

    /// Where the deliveries of a message stand, in the order of endpoint ids.
    fn deliveries(
        &self,
        application: ApplicationId,
        message: MessageId,
    ) -> HistoryResult<'_, Vec<StoredDelivery>>;
}

/// A page of history, newest first.
#[derive(Debug)]
pub struct HistoryPage<T> {
    /// At most as many as were asked for.
    pub items: Vec<T>,
    /// Whether there is nothing more in the direction in which the page was sought.
    pub done: bool,
}

/// Which messages are wanted. Every condition must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageQuery {
    /// The most items; 0 to 250.
    pub limit: usize,
    /// Where the page lies in the list, which runs from new to old.
    pub start: Start<MessageId>,
    /// One of these event types; all if there are none.
    pub event_types: Vec<String>,
    /// On this channel.
    pub channel: Option<String>,
    /// Accepted before, unix milliseconds.
    pub before_ms: Option<u64>,
    /// Accepted after, unix milliseconds.
    pub after_ms: Option<u64>,
}

/// Which attempts are wanted. Every condition must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptQuery {
    /// The most items; 0 to 250.
    pub limit: usize,
    /// Where the page lies in the list, which runs from new to old.
    pub start: Start<AttemptId>,
    /// At this endpoint. (Where the endpoint is given anyway: `None`.)
    pub endpoint: Option<EndpointId>,
    /// That ended so: [`StoredAttempt::status`].
    pub status: Option<MessageStatus>,
    /// Answered with a status of this class: [`StoredAttempt::is_of_class`].
    pub status_code_class: Option<u16>,
    /// Of messages with one of these event types; all if there are none.
    pub event_types: Vec<String>,
    /// Of messages on this channel.
    pub channel: Option<String>,
    /// Begun before, unix milliseconds.
    pub before_ms: Option<u64>,
    /// Begun after, unix milliseconds.
    pub after_ms: Option<u64>,
}

/// A message as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its id, and thereby when it was accepted.
    pub id: MessageId,
    /// Dotted name.
    pub event_type: Box<str>,
    /// The producer's own id.
    pub event_id: Option<Box<str>>,
    /// In the order given.
    pub channels: Vec<Box<str>>,
    /// `None` for JSON.
    pub content_type: Option<Box<str>>,
    /// What is delivered.
    pub payload: Bytes,
    /// Not sent before, unix milliseconds.
    pub due_ms: Option<u64>,
    /// Messages with the same one reach an endpoint in order.
    pub ordering_key: Option<Box<str>>,
    /// Where it goes instead of its endpoint's URL.
    pub url: Option<Box<str>>,
}

/// An attempt as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAttempt {
    /// Its id.
    pub id: AttemptId,
    /// What was to be delivered.
    pub message: MessageId,
    /// Where to.
    pub endpoint: EndpointId,
    /// Which attempt of the delivery; the first is 1.
    pub number: u16,
    /// When it began, unix milliseconds.
    pub started_ms: u64,
    /// How long it took, microseconds.
    pub duration_us: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Where the delivery stood afterwards.
    pub state: DeliveryState,
    /// When the next one was due, unix milliseconds.
    pub next_attempt_ms: Option<u64>,
    /// Headers of the response as far as they were kept: `name: value` lines.
    pub response_headers: Bytes,
    /// Body of the response as far as it was kept.
    pub response_body: Bytes,
    /// What happened, in words, where the outcome does not say it all.
    pub detail: Box<str>,
    /// The revision of the endpoint that it was made with.
    pub endpoint_revision: u32,
    /// How long its parts took. `None` for attempts that an older version recorded.
    pub timing: Timing,
    /// Whether it went over a connection that had been used before.
    pub reused: bool,
    /// The unix second its request was signed for, as far as that is known.
    pub signed_secs: Option<u64>,
    /// What set it off.
    pub trigger: Trigger,
}

impl StoredAttempt {
    /// An attempt has succeeded or failed; whether there will be another is the delivery's matter.
    pub const fn status(&self) -> MessageStatus {
        if self.outcome.is_success() { MessageStatus::Success } else { MessageStatus::Fail }
    }

    /// Whether the response's status is within `class..class + 100`; class 0: there was none.
    pub fn is_of_class(&self, class: u16) -> bool {
        self.outcome.status().unwrap_or(0) / 100 == class / 100
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredDelivery {
    /// Where to.
    pub endpoint: EndpointId,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts made.
    pub attempts: u16,
    /// When the next one is due, unix milliseconds.
    pub next_attempt_ms: Option<u64>,
}

/// How the API sums up where something stands. The numbers are those on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageStatus {
    /// It arrived.
    Success = 0,
    /// It waits.
    Pending = 1,
    /// It did not arrive.
    Fail = 2,
    /// It is on its way.
    Sending = 3,
}

impl MessageStatus {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Success, Self::Pending, Self::Fail, Self::Sending];

    /// The status with this number.
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|status| *status as u64 == code)
    }

    /// `statusText`
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Pending => "pending",
            Self::Fail => "fail",
            Self::Sending => "sending",
        }
    }
}

impl From<DeliveryState> for MessageStatus {
    /// A cancelled delivery did not arrive, and will not; the field `state` says the rest.
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Pending => Self::Pending,
            DeliveryState::Delivered => Self::Success,
            DeliveryState::Exhausted | DeliveryState::Cancelled => Self::Fail,
        }
    }
}
