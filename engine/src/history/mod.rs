//! History: what became of every message, delivery and attempt, read from the log.
//!
//! There is no second store: ids grow in the order of the log, so a page of a list is a walk from an id, and
//! the segments' indexes say which blocks hold anything of an application and where the attempts of a
//! message are. A walk holds one page in memory.
//!
//! Reading blocks, so each question is answered on a thread for that.

mod again;
mod deliveries;
mod export;
#[cfg(test)]
mod figures;
mod standing;
mod stored;
#[cfg(test)]
mod tests;
mod walk;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use posthaste_storage::log::{LogReader, ReadError, Search, Traits};
use posthaste_storage::record::{Record, RecordKind, event_hash};
use posthaste_storage::{EntryId, Position};
use tokio::sync::{Semaphore, oneshot};

use crate::api::{
    Again, AgainError, AttemptQuery, DeliveryCounts, DeliveryPage, DeliveryQuery, EndpointHealth, ExportPart,
    ExportPlace, Health, History, HistoryError, HistoryPage, HistoryResult, MessageQuery, MessageStatus,
    Messages, StoredAttempt, StoredDelivery, StoredMessage,
};
use crate::budget::Budget;
use crate::catalog::{BoxFuture, CommitError, Endpoint, Start};
use crate::clock::{Clock, unix_ms};
use crate::core::delivery::DeliveryState;
use crate::core::health::HealthPhase;
use crate::core::ids::{ApplicationId, AttemptId, EndpointId, MessageId};
use crate::directory::{Directory, EndpointHealth as HealthOfEndpoint};
use crate::publish::{Admitted, PublishError};
use crate::seam;
use crate::vitals::{EndpointSeries, EndpointVitals, Vitals};
use crate::writer::{Cancel, Erase, EraseRefusal, ExtraDelivery, Job, PublishReply, WriterHandle};
pub(crate) use standing::Standing;
use stored::{is_asked_for, is_wanted, message_is_wanted, stored_attempt, stored_message};
use walk::{LOOKUPS_MAX, READS_MAX, Walk};

/// Questions that are answered at a time: whoever asks much shall not keep the disk and both cores from deliveries.
const QUESTIONS_MAX: usize = 4;

/// Up to where in the log every delivery has a record of its own, besides that of its message. The writer says so.
#[derive(Debug, Default)]
pub(crate) struct FreshFrom(AtomicU64);

impl FreshFrom {
    /// Moves it.
    pub(crate) fn set(&self, at: Position) {
        self.0.store(at.as_u64(), Ordering::Release);
    }

    fn get(&self) -> Position {
        Position::from_u64(self.0.load(Ordering::Acquire))
    }
}

/// See the head of this file. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LogHistory {
    reader: LogReader,
    fresh_from: Arc<FreshFrom>,
    asking: Arc<Semaphore>,
}

/// What the API publishes and cancels through.
pub(crate) struct Publisher {
    pub(crate) writer: WriterHandle,
    pub(crate) history: LogHistory,
    pub(crate) budget: Budget,
}

impl Messages for Publisher {
    fn publish_many(&self, messages: Vec<Admitted>) -> BoxFuture<'_, Vec<Result<MessageId, PublishError>>> {
        let count = messages.len();
        let bytes = messages.iter().map(|message| message.payload.len()).sum();
        Box::pin(async move {
            let Some(held) = self.budget.publish_soon(bytes).await else {
                return vec![Err(PublishError::Overloaded); count];
            };
            let (reply, answers) = PublishReply::holding(held);
            self.writer.send(Job::Publish { messages, reply });
            answers.await.unwrap_or_else(|_| vec![Err(PublishError::ShuttingDown); count])
        })
    }

    fn cancel(
        &self,
        application: ApplicationId,
        message: MessageId,
    ) -> BoxFuture<'_, Result<bool, CommitError>> {
        Box::pin(async move {
            let deliveries = self.history.deliveries(application, message).await;
            let pending = |delivery: &StoredDelivery| delivery.state == DeliveryState::Pending;
            if !deliveries.is_ok_and(|deliveries| deliveries.iter().any(pending)) {
                return Ok(false);
            }
            let (reply, answer) = oneshot::channel();
            self.writer.send(Job::Cancel(Cancel { application, message, reply }));
            answer.await.unwrap_or(Err(CommitError::ShuttingDown)).map(|()| true)
        })
    }

    fn erase(
        &self,
        application: ApplicationId,
        message: MessageId,
        attempt: Option<AttemptId>,
    ) -> BoxFuture<'_, Result<(), EraseRefusal>> {
        let (reply, answer) = oneshot::channel();
        self.writer.send(Job::Erase(Erase { application, message, attempt, reply }));
        Box::pin(async move { answer.await.unwrap_or(Err(CommitError::ShuttingDown.into())) })
    }

    fn deliver_again(&self, wanted: Vec<Again>) -> BoxFuture<'_, Result<usize, AgainError>> {
        Box::pin(async move {
            let deliveries = self.extra_deliveries(wanted).await?;
            if deliveries.is_empty() {
                return Ok(0);
            }
            let (reply, answer) = oneshot::channel();
            self.writer.send(Job::Deliver { deliveries, reply });
            Ok(answer.await.unwrap_or(Err(CommitError::ShuttingDown))?)
        })
    }
}

impl Publisher {
    /// What the writer must know of these; those whose messages are gone are left out.
    async fn extra_deliveries(&self, wanted: Vec<Again>) -> Result<Vec<ExtraDelivery>, HistoryError> {
        let look_up = move |reader: &LogReader| {
            let found = wanted.into_iter().map(|again| again::extra_delivery(reader, again));
            found.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()
        };
        self.history.ask(look_up).await
    }
}

/// How endpoints are doing: their doors, and their last attempts.
pub(crate) struct Condition {
    pub(crate) directory: Arc<Directory>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) clock: Clock,
}

impl From<HealthOfEndpoint> for EndpointHealth {
    /// The worse of the two.
    fn from(health: HealthOfEndpoint) -> Self {
        let worse = if health.url.phase == HealthPhase::Healthy { health.host } else { health.url };
        Self { state: worse.phase.name(), until: worse.until }
    }
}

impl Health for Condition {
    fn vitals(&self, endpoint: EndpointId) -> Option<EndpointVitals> {
        self.vitals.of(endpoint, self.clock.now())
    }

    fn series(&self, endpoint: EndpointId) -> Option<EndpointSeries> {
        self.vitals.series(endpoint, self.clock.now())
    }

    fn endpoint(&self, endpoint: &Endpoint) -> Option<EndpointHealth> {
        self.directory.health(endpoint.id).map(EndpointHealth::from)
    }

    fn locked_out(&self) -> Vec<(EndpointId, EndpointHealth)> {
        self.directory.unhealthy().into_iter().map(|(id, health)| (id, health.into())).collect()
    }
}

impl LogHistory {
    /// History as this log has it.
    pub(crate) fn new(reader: LogReader, fresh_from: Arc<FreshFrom>) -> Self {
        Self { reader, fresh_from, asking: Arc::new(Semaphore::new(QUESTIONS_MAX)) }
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&LogReader) -> Result<T, ReadError> + Send + 'static,
    ) -> HistoryResult<'static, T> {
        let (reader, asking) = (self.reader.clone(), self.asking.clone());
        Box::pin(async move {
            let Ok(_turn) = asking.acquire_owned().await else { return Err(HistoryError::ShuttingDown) };
            match seam::blocking(move || question(&reader)).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(error)) => Err(HistoryError::Failed { reason: error.to_string() }),
                Err(_) => Err(HistoryError::ShuttingDown),
            }
        })
    }
}

impl History for LogHistory {
    fn message(&self, application: ApplicationId, id: MessageId) -> HistoryResult<'_, Option<StoredMessage>> {
        self.ask(move |reader| {
            let found = reader.message(id.0)?;
            Ok(found.and_then(|(_, owned)| {
                let message = *owned.record().message()?;
                (message.application == application.as_u64()).then(|| stored_message(&message, true))
            }))
        })
    }

    fn message_by_event_id<'a>(
        &'a self,
        application: ApplicationId,
        event_id: &'a str,
    ) -> HistoryResult<'a, Option<MessageId>> {
        let event_id: Box<str> = event_id.into();
        self.ask(move |reader| find_event(reader, application, &event_id))
    }

    fn messages(
        &self,
        application: ApplicationId,
        query: MessageQuery,
    ) -> HistoryResult<'_, HistoryPage<StoredMessage>> {
        self.ask(move |reader| {
            let by_kind = [Traits::kind(RecordKind::Message), Traits::ANY];
            let walk = walk_of(search(application, None, by_kind), &query, u32::MAX);
            walk.run(reader, |_, record| {
                let Record::Message(message) = record else { return Ok(None) };
                if !is_wanted(message, &query.event_types, query.channel.as_deref()) {
                    return Ok(None);
                }
                let stored = stored_message(message, query.with_content);
                let bytes = stored.payload.len();
                Ok(Some((stored, bytes)))
            })
        })
    }

    fn messages_to_endpoint(
        &self,
        application: ApplicationId,
        endpoint: EndpointId,
        status: Option<MessageStatus>,
        query: MessageQuery,
    ) -> HistoryResult<'_, HistoryPage<(StoredMessage, StoredDelivery)>> {
        self.ask(move |reader| {
            let (now_ms, end) = (unix_ms(), reader.end());
            let by_kind = [Traits::kind(RecordKind::Message), Traits::ANY];
            let walk = walk_of(search(application, Some(endpoint), by_kind), &query, LOOKUPS_MAX);
            walk.run(reader, |reader, record| {
                let Record::Message(message) = record else { return Ok(None) };
                if !is_wanted(message, &query.event_types, query.channel.as_deref()) {
                    return Ok(None);
                }
                let standing = Standing::read(reader, message.id, None, end)?;
                let Some(stands) = standing.deliveries.get(&endpoint.as_u64()) else { return Ok(None) };
                if status.is_some_and(|status| status != stands.delivery.status(now_ms)) {
                    return Ok(None);
                }
                let stored = stored_message(message, query.with_content);
                let bytes = stored.payload.len();
                Ok(Some(((stored, stands.delivery), bytes)))
            })
        })
    }

    fn query_deliveries(
        &self,
        application: ApplicationId,
        query: DeliveryQuery,
    ) -> HistoryResult<'_, DeliveryPage> {
        // Before the end of the log is asked for: what is fresh by then is behind it.
        let fresh_from = self.fresh_from.get();
        self.ask(move |reader| deliveries::list(reader, fresh_from, application, &query))
    }

    fn count_deliveries(
        &self,
        application: ApplicationId,
        endpoint: EndpointId,
        since_ms: u64,
        until_ms: u64,
    ) -> HistoryResult<'_, DeliveryCounts> {
        self.ask(move |reader| deliveries::count(reader, application, endpoint, (since_ms, until_ms)))
    }

    fn export_place(&self, after_ms: Option<u64>, before_ms: Option<u64>) -> HistoryResult<'_, ExportPlace> {
        self.ask(move |reader| export::place(reader, after_ms, before_ms))
    }

    fn export_part(&self, application: ApplicationId, place: ExportPlace) -> HistoryResult<'_, ExportPart> {
        self.ask(move |reader| export::part(reader, application, place))
    }

    fn attempt(
        &self,
        application: ApplicationId,
        message: MessageId,
        id: AttemptId,
    ) -> HistoryResult<'_, Option<StoredAttempt>> {
        self.ask(move |reader| {
            let mut found = None;
            reader.attempts_of(message.0, |_, record| match record {
                Record::Attempt(attempt) if attempt.id == id.0 => {
                    found = stored_attempt(&attempt, true)
                        .filter(|_| attempt.application == application.as_u64());
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            })?;
            Ok(found)
        })
    }

    fn attempts_by_message(
        &self,
        application: ApplicationId,
        message: MessageId,
        query: AttemptQuery,
    ) -> HistoryResult<'_, HistoryPage<StoredAttempt>> {
        self.ask(move |reader| {
            let Some((_, owned)) = reader.message(message.0)? else { return Ok(empty_page()) };
            let wanted = owned.record().message().is_some_and(|message| {
                message.application == application.as_u64()
                    && is_wanted(message, &query.event_types, query.channel.as_deref())
            });
            if !wanted {
                return Ok(empty_page());
            }
            let mut attempts = Vec::new();
            reader.attempts_of(message.0, |_, record| {
                if let Record::Attempt(attempt) = record
                    && is_asked_for(&attempt, &query)
                {
                    attempts.extend(stored_attempt(&attempt, query.with_content));
                }
                ControlFlow::Continue(())
            })?;
            attempts.reverse();
            Ok(cut(attempts, &query.start, query.limit))
        })
    }

    fn attempts_by_endpoint(
        &self,
        application: ApplicationId,
        endpoint: EndpointId,
        query: AttemptQuery,
    ) -> HistoryResult<'_, HistoryPage<StoredAttempt>> {
        self.ask(move |reader| {
            let by_class = query.status_code_class.map(|class| Traits::status_class(class / 100));
            let traits = [Traits::kind(RecordKind::Attempt), by_class.unwrap_or(Traits::ANY)];
            let by_message = !query.event_types.is_empty() || query.channel.is_some();
            let walk = Walk {
                search: search(application, Some(endpoint), traits),
                limit: query.limit,
                start: query.start.clone().map(|id| id.0),
                before: None,
                after: None,
                picks_max: if by_message { READS_MAX } else { u32::MAX },
            };
            walk.run(reader, |reader, record| {
                let Record::Attempt(attempt) = record else { return Ok(None) };
                if !is_asked_for(attempt, &query)
                    || by_message && !message_is_wanted(reader, attempt, &query)?
                {
                    return Ok(None);
                }
                let stored = stored_attempt(attempt, query.with_content);
                Ok(stored.map(|stored| {
                    let bytes = stored.response_body.len() + stored.response_headers.len();
                    (stored, bytes)
                }))
            })
        })
    }

    fn deliveries(
        &self,
        application: ApplicationId,
        message: MessageId,
    ) -> HistoryResult<'_, Vec<StoredDelivery>> {
        self.ask(move |reader| {
            let standing = Standing::read(reader, message.0, None, reader.end())?;
            if standing.message().is_none_or(|message| message.application != application.as_u64()) {
                return Ok(Vec::new());
            }
            Ok(standing.deliveries.into_values().map(|stands| stands.delivery).collect())
        })
    }
}

fn search(application: ApplicationId, endpoint: Option<EndpointId>, traits: [Traits; 2]) -> Search {
    Search { application: application.as_u64(), endpoint: endpoint.map(EndpointId::as_u64), traits }
}

fn walk_of(search: Search, query: &MessageQuery, picks_max: u32) -> Walk {
    Walk {
        search,
        limit: query.limit,
        start: query.start.clone().map(|id| id.0),
        before: query.before_ms.map(|ms| EntryId::new(ms, 0)),
        after: query.after_ms.map(|ms| EntryId::new(ms, u16::MAX)),
        picks_max,
    }
}

fn empty_page<T>() -> HistoryPage<T> {
    HistoryPage::new(Vec::new(), true)
}

fn find_event(
    reader: &LogReader,
    application: ApplicationId,
    event_id: &str,
) -> Result<Option<MessageId>, ReadError> {
    let hash = event_hash(application.as_u64(), event_id);
    let mut candidates = Vec::new();
    reader.events_since(EntryId::MIN, |event| {
        if event.hash == hash {
            candidates.push(event.message);
        }
        ControlFlow::Continue(())
    })?;
    // The first message under an event id is the one that counts.
    candidates.sort_unstable();
    for id in candidates {
        let Some((_, owned)) = reader.message(id)? else { continue };
        let same = owned.record().message().is_some_and(|message| {
            message.application == application.as_u64() && message.event_id == Some(event_id)
        });
        if same {
            return Ok(Some(MessageId(id)));
        }
    }
    Ok(None)
}

/// A page out of a list that runs from new to old.
fn cut(
    mut attempts: Vec<StoredAttempt>,
    start: &Start<AttemptId>,
    limit: usize,
) -> HistoryPage<StoredAttempt> {
    match start {
        Start::First => {}
        Start::After(id) => attempts.retain(|attempt| attempt.id < *id),
        Start::Before(id) => {
            attempts.retain(|attempt| attempt.id > *id);
            let surplus = attempts.len().saturating_sub(limit);
            attempts.drain(..surplus);
            return HistoryPage::new(attempts, surplus == 0);
        }
    }
    let done = attempts.len() <= limit;
    attempts.truncate(limit);
    HistoryPage::new(attempts, done)
}
