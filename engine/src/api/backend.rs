//! What the API needs from the engine: somebody who takes messages, and somebody who remembers.
//!
//! Object-safe, so that the log stands behind it in the server and a few vectors do in tests.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use posthaste_storage::EntryId;

use crate::catalog::{BoxFuture, CatalogError, CommitError, Endpoint, NewTask, Start, Task};
use crate::core::delivery::{DeliveryState, Trigger};
use crate::core::ids::{ApplicationId, AttemptId, EndpointId, MessageId};
use crate::core::outcome::Outcome;
use crate::core::tick::Tick;
use crate::delivery::Timing;
use crate::publish::{Admitted, PublishError};
use crate::vitals::{EndpointSeries, EndpointVitals};
pub use crate::writer::EraseRefusal;

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

    /// Erases the payload of a message, and cancels what is pending of it; or, of one of its attempts, the response
    /// alone. When the answer comes it cannot be read any more, not from the disk either.
    fn erase(
        &self,
        application: ApplicationId,
        message: MessageId,
        attempt: Option<AttemptId>,
    ) -> BoxFuture<'_, Result<(), EraseRefusal>>;
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

    /// How it did lately, if any attempt was made since the process began.
    fn vitals(&self, endpoint: EndpointId) -> Option<EndpointVitals>;

    /// How it did over time, if that is known.
    fn series(&self, endpoint: EndpointId) -> Option<EndpointSeries>;

    /// Those whose URL or host is locked out or probed, disabled ones among them.
    fn locked_out(&self) -> Vec<(EndpointId, EndpointHealth)>;
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

    /// The messages that go to an endpoint, and where their deliveries stand.
    fn messages_to_endpoint(
        &self,
        application: ApplicationId,
        endpoint: EndpointId,
        status: Option<MessageStatus>,
        query: MessageQuery,
    ) -> HistoryResult<'_, HistoryPage<(StoredMessage, StoredDelivery)>>;

    /// The deliveries of an application, the one that something happened to last first.
    fn query_deliveries(
        &self,
        application: ApplicationId,
        query: DeliveryQuery,
    ) -> HistoryResult<'_, DeliveryPage>;

    /// How many deliveries to an endpoint stand how, of those to which something happened last in this time.
    fn count_deliveries(
        &self,
        application: ApplicationId,
        endpoint: EndpointId,
        since_ms: u64,
        until_ms: u64,
    ) -> HistoryResult<'_, DeliveryCounts>;

    /// Where an export of what came after and before these times begins and ends.
    fn export_place(&self, after_ms: Option<u64>, before_ms: Option<u64>) -> HistoryResult<'_, ExportPlace>;

    /// Messages and attempts of an application from there on, oldest first.
    fn export_part(&self, application: ApplicationId, place: ExportPlace) -> HistoryResult<'_, ExportPart>;

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
    /// Where the next page begins, if not behind the last item: so much was read for this page that the rest was
    /// left for another.
    pub resume: Option<EntryId>,
}

impl<T> HistoryPage<T> {
    /// A page that ends with its last item, or with the list.
    pub fn new(items: Vec<T>, done: bool) -> Self {
        Self { items, done, resume: None }
    }
}

/// What is left of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportPlace {
    /// Where it goes on.
    pub from: u64,
    /// Where it ends.
    pub to: u64,
}

/// A part of an export: about a megabyte.
#[derive(Debug)]
pub struct ExportPart {
    /// What is exported.
    pub items: Vec<Exported>,
    /// What is left; `None` when this was the last part.
    pub next: Option<ExportPlace>,
}

/// One thing that is exported.
#[derive(Debug)]
pub enum Exported {
    /// A message.
    Message(StoredMessage),
    /// An attempt.
    Attempt(StoredAttempt),
}

/// Which deliveries are wanted. Every condition must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryQuery {
    /// The most items; 0 to 250.
    pub limit: usize,
    /// Where an earlier page ended.
    pub cursor: Option<DeliveryCursor>,
    /// Of this message.
    pub message: Option<MessageId>,
    /// To this endpoint.
    pub endpoint: Option<EndpointId>,
    /// Of messages with one of these event types; all if there are none.
    pub event_types: Vec<String>,
    /// Of messages on this channel.
    pub channel: Option<String>,
    /// That stand so; all if there are none.
    pub states: Vec<DeliveryState>,
    /// Whose last attempt was answered with this status.
    pub status_code: Option<u16>,
    /// Whose last attempt was answered with a status of this class; 0: with none.
    pub status_code_class: Option<u16>,
    /// To which something happened last before, unix milliseconds.
    pub before_ms: Option<u64>,
    /// To which something happened last after, unix milliseconds.
    pub after_ms: Option<u64>,
}

/// A page of deliveries.
#[derive(Debug, Default)]
pub struct DeliveryPage {
    /// At most as many as were asked for.
    pub items: Vec<ListedDelivery>,
    /// Where the next page begins; `None` when there is none.
    pub next: Option<DeliveryCursor>,
}

/// Where a page of deliveries ended. All pages show the deliveries as they stood when the first was made, so that
/// each is in the list once, whatever happens meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeliveryCursor {
    /// Where the log ended then.
    pub as_of: u64,
    /// Before this position, every delivery has a record of its own.
    pub fresh_from: u64,
    /// What lies at or after this position has been looked at.
    pub at: u64,
    /// Of the record just before it, the deliveries to endpoints up to this one have been looked at; 0: all.
    pub endpoint: u64,
}

impl fmt::Display for DeliveryCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dlv_{:x}_{:x}_{:x}_{:x}", self.as_of, self.fresh_from, self.at, self.endpoint)
    }
}

impl FromStr for DeliveryCursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = text.strip_prefix("dlv_").ok_or(())?.split('_').map(|part| {
            // A sign would be read as well.
            let is_hex = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_hex { u64::from_str_radix(part, 16).map_err(drop) } else { Err(()) }
        });
        let mut next = || numbers.next().ok_or(())?;
        let cursor = Self { as_of: next()?, fresh_from: next()?, at: next()?, endpoint: next()? };
        if numbers.next().is_none() { Ok(cursor) } else { Err(()) }
    }
}

/// A delivery as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDelivery {
    /// What is delivered.
    pub message: MessageId,
    /// The producer's own id.
    pub event_id: Option<Box<str>>,
    /// Dotted name; `None` when the message's record is gone.
    pub event_type: Option<Box<str>>,
    /// Where it stands.
    pub delivery: StoredDelivery,
    /// Its last attempt.
    pub last: Option<LastAttempt>,
}

/// The last attempt of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastAttempt {
    /// Its id.
    pub id: AttemptId,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began, unix milliseconds.
    pub started_ms: u64,
}

/// How many deliveries to an endpoint stand how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeliveryCounts {
    /// Arrived.
    pub success: u64,
    /// Waiting for their next attempt.
    pub pending: u64,
    /// Their turn has come: queued, or on their way.
    pub sending: u64,
    /// Given up.
    pub fail: u64,
    /// Taken back.
    pub cancelled: u64,
    /// If there was too much to read: what happened before this time is not counted, unix milliseconds.
    pub counted_since_ms: Option<u64>,
}

impl DeliveryCounts {
    /// Counts one more.
    pub fn add(&mut self, delivery: &StoredDelivery, now_ms: u64) {
        let counter = match (delivery.state, delivery.status(now_ms)) {
            (DeliveryState::Cancelled, _) => &mut self.cancelled,
            (_, MessageStatus::Success) => &mut self.success,
            (_, MessageStatus::Pending) => &mut self.pending,
            (_, MessageStatus::Sending) => &mut self.sending,
            (_, MessageStatus::Fail) => &mut self.fail,
        };
        *counter += 1;
    }
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
    /// Whether payloads are wanted; without, they are left empty.
    pub with_content: bool,
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
    /// Whether responses are wanted; without, they are left empty.
    pub with_content: bool,
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
    /// Whether its payload was erased; it is empty then.
    pub erased: bool,
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
    /// Whether it went to a URL that the message had brought along.
    pub elsewhere: bool,
    /// How long its parts took; all but the total are zero for attempts that an older version recorded.
    pub timing: Timing,
    /// Whether it went over a connection that had been used before.
    pub reused: bool,
    /// The unix second its request was signed for, as far as that is known.
    pub signed_secs: Option<u64>,
    /// What set it off.
    pub trigger: Trigger,
    /// Whether its response was erased; it is empty then.
    pub erased: bool,
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

impl StoredDelivery {
    /// What it comes to at this time. A delivery that is pending is on its way from when its time has come.
    pub fn status(&self, now_ms: u64) -> MessageStatus {
        match self.state {
            DeliveryState::Pending if self.next_attempt_ms.is_none_or(|due| due <= now_ms) => {
                MessageStatus::Sending
            }
            DeliveryState::Pending => MessageStatus::Pending,
            DeliveryState::Delivered => MessageStatus::Success,
            // A cancelled delivery did not arrive, and will not; its state says the rest.
            DeliveryState::Exhausted | DeliveryState::Cancelled => MessageStatus::Fail,
        }
    }
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
