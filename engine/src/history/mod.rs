//! History: what became of every message, delivery and attempt, read from the log.
//!
//! There is no second store: ids grow in the order of the log, so a page of a list is a walk from an id, and
//! the segments' indexes say which blocks hold anything of an application and where the attempts of a
//! message are. A walk holds one page in memory.
//!
//! Reading blocks, so each question is answered on a thread for that.

mod again;
mod stored;
mod walk;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use posthaste_storage::EntryId;
use posthaste_storage::log::{LogReader, ReadError};
use posthaste_storage::record::{Message, Record, event_hash};
use tokio::sync::oneshot;

use crate::api::{
    Again, AgainError, AttemptQuery, EndpointHealth, Health, History, HistoryError, HistoryPage,
    HistoryResult, MessageQuery, Messages, StoredAttempt, StoredDelivery, StoredMessage,
};
use crate::catalog::{BoxFuture, CommitError, Endpoint, Start};
use crate::core::delivery::DeliveryState;
use crate::core::health::HealthPhase;
use crate::core::ids::{ApplicationId, AttemptId, EndpointId, MessageId};
use crate::directory::Directory;
use crate::publish::{Admitted, PublishError};
use crate::writer::{Cancel, ExtraDelivery, Job, WriterHandle};
use stored::{is_asked_for, is_wanted, message_is_wanted, stored_attempt, stored_message};
use walk::Walk;

/// See the head of this file. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LogHistory(pub(crate) LogReader);

/// What the API publishes and cancels through.
pub(crate) struct Publisher {
    pub(crate) writer: WriterHandle,
    pub(crate) history: LogHistory,
}

impl Messages for Publisher {
    fn publish_many(&self, messages: Vec<Admitted>) -> BoxFuture<'_, Vec<Result<MessageId, PublishError>>> {
        let (reply, answers) = oneshot::channel();
        let count = messages.len();
        self.writer.send(Job::Publish { messages, reply });
        Box::pin(
            async move { answers.await.unwrap_or_else(|_| vec![Err(PublishError::ShuttingDown); count]) },
        )
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

    fn deliver_again(&self, wanted: Vec<Again>) -> BoxFuture<'_, Result<usize, AgainError>> {
        Box::pin(async move {
            let deliveries = self.extra_deliveries(wanted).await?;
            let count = deliveries.len();
            if count > 0 {
                let (reply, answer) = oneshot::channel();
                self.writer.send(Job::Deliver { deliveries, reply });
                answer.await.unwrap_or(Err(CommitError::ShuttingDown))?;
            }
            Ok(count)
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

impl Health for Directory {
    fn endpoint(&self, endpoint: &Endpoint) -> Option<EndpointHealth> {
        let health = self.health(endpoint.id, &endpoint.url)?;
        let worse = if health.url.phase == HealthPhase::Healthy { health.host } else { health.url };
        Some(EndpointHealth { state: worse.phase.name(), until: worse.until })
    }
}

impl LogHistory {
    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&LogReader) -> Result<T, ReadError> + Send + 'static,
    ) -> HistoryResult<'static, T> {
        let reader = self.0.clone();
        Box::pin(async move {
            match tokio::task::spawn_blocking(move || question(&reader)).await {
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
                (message.application == application.as_u64()).then(|| stored_message(&message))
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
            let walk = Walk {
                application,
                limit: query.limit,
                start: query.start.map(|id| id.0),
                before: query.before_ms.map(|ms| EntryId::new(ms, 0)),
                after: query.after_ms.map(|ms| EntryId::new(ms, u16::MAX)),
            };
            walk.run(reader, |_, record| match record {
                Record::Message(message)
                    if is_wanted(message, &query.event_types, query.channel.as_deref()) =>
                {
                    Ok(Some(stored_message(message)))
                }
                _ => Ok(None),
            })
        })
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
                    found = stored_attempt(&attempt).filter(|_| attempt.application == application.as_u64());
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
                if let Record::Attempt(attempt) = record {
                    attempts.extend(stored_attempt(&attempt).filter(|attempt| is_asked_for(attempt, &query)));
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
            let walk = Walk {
                application,
                limit: query.limit,
                start: query.start.clone().map(|id| id.0),
                before: None,
                after: None,
            };
            let by_message = !query.event_types.is_empty() || query.channel.is_some();
            walk.run(reader, |reader, record| {
                let Record::Attempt(attempt) = record else { return Ok(None) };
                if attempt.endpoint != endpoint.as_u64() {
                    return Ok(None);
                }
                let stored = stored_attempt(attempt).filter(|attempt| is_asked_for(attempt, &query));
                if stored.is_some() && by_message && !message_is_wanted(reader, attempt, &query)? {
                    return Ok(None);
                }
                Ok(stored)
            })
        })
    }

    fn deliveries(
        &self,
        application: ApplicationId,
        message: MessageId,
    ) -> HistoryResult<'_, Vec<StoredDelivery>> {
        self.ask(move |reader| {
            let Some((_, owned)) = reader.message(message.0)? else { return Ok(Vec::new()) };
            let Some(found) = owned.record().message().copied() else { return Ok(Vec::new()) };
            if found.application != application.as_u64() {
                return Ok(Vec::new());
            }
            deliveries_of(reader, &found)
        })
    }
}

/// Where the deliveries of a message stand, in the order of endpoint ids.
fn deliveries_of(reader: &LogReader, message: &Message<'_>) -> Result<Vec<StoredDelivery>, ReadError> {
    let due_ms = message.extras.unpack().due_ms;
    let untouched = |endpoint| (endpoint, StoredDelivery { next_attempt_ms: due_ms, ..untried(endpoint) });
    let mut deliveries: BTreeMap<u64, StoredDelivery> = message.endpoints.iter().map(untouched).collect();
    reader.attempts_of(message.id, |_, record| {
        advance(&mut deliveries, &record);
        ControlFlow::Continue(())
    })?;
    Ok(deliveries.into_values().collect())
}

fn empty_page<T>() -> HistoryPage<T> {
    HistoryPage { items: Vec::new(), done: true }
}

fn untried(endpoint: u64) -> StoredDelivery {
    StoredDelivery {
        endpoint: EndpointId::from_u64(endpoint),
        state: DeliveryState::Pending,
        attempts: 0,
        next_attempt_ms: None,
    }
}

/// What a record says about where deliveries stand.
fn advance(deliveries: &mut BTreeMap<u64, StoredDelivery>, record: &Record<'_>) {
    match record {
        Record::Attempt(attempt) => {
            let delivery = deliveries.entry(attempt.endpoint).or_insert_with(|| untried(attempt.endpoint));
            delivery.state = DeliveryState::from_code(attempt.state).unwrap_or(delivery.state);
            delivery.attempts = attempt.number;
            delivery.next_attempt_ms = (attempt.next_attempt_ms > 0).then_some(attempt.next_attempt_ms);
        }
        // It waits: for its time, for room, or because somebody wants it sent again.
        Record::Parked(parked) => {
            let delivery = deliveries.entry(parked.endpoint).or_insert_with(|| untried(parked.endpoint));
            delivery.state = DeliveryState::Pending;
            delivery.next_attempt_ms = (parked.due_ms > 0).then_some(parked.due_ms);
        }
        Record::Settled(settled) if settled.endpoint == 0 => {
            for delivery in deliveries.values_mut().filter(|delivery| !delivery.state.is_final()) {
                delivery.state = DeliveryState::from_code(settled.state).unwrap_or(delivery.state);
                delivery.next_attempt_ms = None;
            }
        }
        _ => {}
    }
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
            return HistoryPage { items: attempts, done: surplus == 0 };
        }
    }
    let done = attempts.len() <= limit;
    attempts.truncate(limit);
    HistoryPage { items: attempts, done }
}
