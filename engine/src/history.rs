//! History: what became of every message, delivery and attempt, read from the log.
//!
//! There is no second store: ids grow in the order of the log, so a page of a list is a walk from an id, and
//! the segments' indexes say which blocks hold anything of an application and where the attempts of a
//! message are. A walk holds one page in memory.
//!
//! Reading blocks, so each question is answered on a thread for that.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use posthaste_storage::log::{LogReader, ReadError};
use posthaste_storage::record::{Attempt, Message, Record, event_hash};
use posthaste_storage::{EntryId, Position};
use tokio::sync::oneshot;

use crate::api::{
    AttemptQuery, EndpointHealth, Health, History, HistoryError, HistoryPage, HistoryResult, MessageQuery,
    Messages, StoredAttempt, StoredDelivery, StoredMessage,
};
use crate::catalog::{BoxFuture, CommitError, Endpoint, Start};
use crate::core::delivery::DeliveryState;
use crate::core::health::HealthPhase;
use crate::core::ids::{ApplicationId, AttemptId, EndpointId, MessageId};
use crate::core::outcome::Outcome;
use crate::directory::Directory;
use crate::publish::{Admitted, PublishError};
use crate::writer::{Cancel, Job, WriterHandle};

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
            let mut deliveries: BTreeMap<u64, StoredDelivery> =
                found.endpoints.iter().map(|endpoint| (endpoint, untried(endpoint))).collect();
            reader.attempts_of(message.0, |_, record| {
                advance(&mut deliveries, &record);
                ControlFlow::Continue(())
            })?;
            Ok(deliveries.into_values().collect())
        })
    }
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
            let Some(delivery) = deliveries.get_mut(&attempt.endpoint) else { return };
            delivery.state = DeliveryState::from_code(attempt.state).unwrap_or(delivery.state);
            delivery.attempts = attempt.number;
            delivery.next_attempt_ms = (attempt.next_attempt_ms > 0).then_some(attempt.next_attempt_ms);
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

fn is_wanted(message: &Message<'_>, event_types: &[String], channel: Option<&str>) -> bool {
    let of_type = event_types.is_empty() || event_types.iter().any(|wanted| wanted == message.event_type);
    of_type && channel.is_none_or(|wanted| message.channels.iter().any(|channel| channel == wanted))
}

fn message_is_wanted(
    reader: &LogReader,
    attempt: &Attempt<'_>,
    query: &AttemptQuery,
) -> Result<bool, ReadError> {
    let owned = match reader.record_at(attempt.message_at)? {
        Some(owned) => owned,
        None => return Ok(false),
    };
    let message = owned.record().message().copied();
    Ok(message.is_some_and(|message| is_wanted(&message, &query.event_types, query.channel.as_deref())))
}

fn is_asked_for(attempt: &StoredAttempt, query: &AttemptQuery) -> bool {
    query.endpoint.is_none_or(|endpoint| endpoint == attempt.endpoint)
        && query.status.is_none_or(|status| status == attempt.status())
        && query.status_code_class.is_none_or(|class| attempt.is_of_class(class))
        && query.before_ms.is_none_or(|ms| attempt.started_ms < ms)
        && query.after_ms.is_none_or(|ms| attempt.started_ms > ms)
}

fn stored_message(message: &Message<'_>) -> StoredMessage {
    StoredMessage {
        id: MessageId(message.id),
        event_type: message.event_type.into(),
        event_id: message.event_id.map(Into::into),
        channels: message.channels.iter().map(Into::into).collect(),
        content_type: message.content_type.map(Into::into),
        payload: Bytes::copy_from_slice(message.payload),
    }
}

/// `None` for an outcome or state of a newer version.
fn stored_attempt(attempt: &Attempt<'_>) -> Option<StoredAttempt> {
    Some(StoredAttempt {
        id: AttemptId(attempt.id),
        message: MessageId(attempt.message),
        endpoint: EndpointId::from_u64(attempt.endpoint),
        number: attempt.number,
        started_ms: attempt.started_ms,
        duration_us: attempt.duration_us,
        outcome: Outcome::from_code(attempt.outcome, attempt.status)?,
        state: DeliveryState::from_code(attempt.state)?,
        next_attempt_ms: (attempt.next_attempt_ms > 0).then_some(attempt.next_attempt_ms),
        response_headers: Bytes::copy_from_slice(attempt.response_headers),
        response_body: Bytes::copy_from_slice(attempt.response_body),
        detail: attempt.detail.into(),
        endpoint_revision: attempt.endpoint_revision,
    })
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

/// A walk along an application's part of the log, for one page.
struct Walk {
    application: ApplicationId,
    limit: usize,
    start: Start<EntryId>,
    /// Only ids below.
    before: Option<EntryId>,
    /// Only ids above.
    after: Option<EntryId>,
}

impl Walk {
    fn run<T>(
        &self,
        reader: &LogReader,
        mut pick: impl FnMut(&LogReader, &Record<'_>) -> Result<Option<T>, ReadError>,
    ) -> Result<HistoryPage<T>, ReadError> {
        let mut items = Vec::new();
        let mut failure = None;
        let mut show = |record: Record<'_>| {
            match self.step(reader, &record, &mut pick) {
                Ok(Step::Skip) => {}
                Ok(Step::Stop) => return ControlFlow::Break(()),
                // One more than the page tells whether there is a next one.
                Ok(Step::Take(item)) => items.push(item),
                Err(error) => {
                    failure = Some(error);
                    return ControlFlow::Break(());
                }
            }
            if items.len() > self.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let application = self.application.as_u64();
        let newest_first = !matches!(self.start, Start::Before(_));
        if newest_first {
            reader.scan_back_application(application, self.newest(reader)?, |_, record| show(record))?;
        } else {
            let from = self.oldest(reader)?;
            reader.replay_application(application, from, reader.end(), |_, record| show(record))?;
        }
        if let Some(error) = failure {
            return Err(error);
        }
        let done = items.len() <= self.limit;
        items.truncate(self.limit);
        if !newest_first {
            items.reverse();
        }
        Ok(HistoryPage { items, done })
    }

    fn step<T>(
        &self,
        reader: &LogReader,
        record: &Record<'_>,
        pick: &mut impl FnMut(&LogReader, &Record<'_>) -> Result<Option<T>, ReadError>,
    ) -> Result<Step<T>, ReadError> {
        let Some(id) = record.own_id() else { return Ok(Step::Skip) };
        let too_new = self.before.is_some_and(|before| id >= before)
            || matches!(self.start, Start::After(start) if id >= start);
        let too_old = self.after.is_some_and(|after| id <= after)
            || matches!(self.start, Start::Before(start) if id <= start);
        let newest_first = !matches!(self.start, Start::Before(_));
        match (too_new, too_old, newest_first) {
            (true, _, false) | (_, true, true) => Ok(Step::Stop),
            (true, _, true) | (_, true, false) => Ok(Step::Skip),
            (false, false, _) => Ok(pick(reader, record)?.map_or(Step::Skip, Step::Take)),
        }
    }

    /// Where a walk from new to old begins.
    fn newest(&self, reader: &LogReader) -> Result<Position, ReadError> {
        let start = match self.start {
            Start::After(id) => Some(id),
            Start::First | Start::Before(_) => None,
        };
        match [start, self.before].into_iter().flatten().min() {
            Some(id) => reader.seek(id),
            None => Ok(reader.end()),
        }
    }

    /// Where a walk from old to new begins.
    fn oldest(&self, reader: &LogReader) -> Result<Position, ReadError> {
        let start = match self.start {
            Start::Before(id) => id.next(),
            Start::First | Start::After(_) => EntryId::MIN,
        };
        reader.seek(start.max(self.after.map_or(EntryId::MIN, EntryId::next)))
    }
}

/// What to do with a record on a walk.
enum Step<T> {
    Skip,
    Stop,
    Take(T),
}
