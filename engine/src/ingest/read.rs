//! Reading back over TCP: outcomes (XREAD), messages (XRANGE, XREVRANGE) and how many there are (XLEN).
//!
//! Reading the log blocks, so it is done on the runtime's threads for that. An answer is bounded in entries and
//! bytes; a client that wants more asks again after the last id.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use posthaste_protocol::command::{OUTCOMES_PREFIX, StreamStart, Xrange, Xread};
use posthaste_protocol::reply::{Encoder, ErrorCode, Version};
use posthaste_protocol::{MessageEntry, OutcomeEntry, StreamId};
use posthaste_storage::EntryId;
use posthaste_storage::record::Record;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::Ingest;
use super::reading::StillReading;
use crate::access::Caller;
use crate::clock::unix_ms;
use crate::core::ids::ApplicationId;
use crate::outcomes::{Following, StreamedOutcome};
use crate::publish::PublishError;
use crate::seam;

/// Entries in an answer when the client names no count.
const COUNT_DEFAULT: usize = 1_000;
/// Entries in an answer at most.
const COUNT_MAX: usize = 10_000;
/// Bytes of an answer at which it is ended early.
pub(super) const ANSWER_BYTES: usize = 1 << 20;

/// A question to the log, and whose it is.
pub(super) struct Query {
    caller: Option<Caller>,
    asks: Asks,
}

enum Asks {
    /// What became of deliveries.
    Outcomes { streams: Vec<Stream>, count: usize, until: Until },
    /// What was published.
    Messages { application: ApplicationId, start: EntryId, end: EntryId, count: usize, newest_first: bool },
    /// How much was published.
    Count { application: ApplicationId },
}

/// One stream of outcomes, as it was asked for.
pub(super) struct Stream {
    key: String,
    application: ApplicationId,
    after: EntryId,
}

/// How long to wait when there is nothing.
#[derive(Clone, Copy)]
pub(super) enum Until {
    /// Not at all.
    Now,
    /// Until then.
    At(Instant),
    /// For as long as it takes.
    Ever,
}

impl Query {
    pub(super) fn outcomes(
        ingest: &Ingest,
        xread: &Xread<'_>,
        caller: Option<Caller>,
    ) -> Result<Self, PublishError> {
        let streams = xread.streams.iter().map(|(name, start)| {
            let application = application(ingest, name)?;
            let after = match start {
                StreamStart::After(id) => entry_id(*id),
                StreamStart::Latest => ingest.outcomes.newest(),
            };
            Ok(Stream { key: format!("{OUTCOMES_PREFIX}{name}"), application, after })
        });
        let until = match xread.block_ms {
            None => Until::Now,
            Some(0) => Until::Ever,
            Some(ms) => Until::At(Instant::now() + Duration::from_millis(ms.min(30 * 86_400_000))),
        };
        let streams = streams.collect::<Result<_, PublishError>>()?;
        Ok(Self { caller, asks: Asks::Outcomes { streams, count: count(xread.count), until } })
    }

    pub(super) fn messages(
        ingest: &Ingest,
        xrange: &Xrange<'_>,
        caller: Option<Caller>,
    ) -> Result<Self, PublishError> {
        let asks = Asks::Messages {
            application: application(ingest, xrange.application)?,
            start: entry_id(xrange.start),
            end: entry_id(xrange.end),
            count: count(xrange.count),
            newest_first: xrange.newest_first,
        };
        Ok(Self { caller, asks })
    }

    pub(super) fn count(ingest: &Ingest, name: &str, caller: Option<Caller>) -> Result<Self, PublishError> {
        Ok(Self { caller, asks: Asks::Count { application: application(ingest, name)? } })
    }

    /// Writes the answer, and returns the place among the large answers that it takes until it has been written. Waits
    /// no longer once nothing more is read of what the client sends: it may be gone. Whose key has ended learns nothing any more: their
    /// connection says so and closes.
    pub(super) async fn answer(
        self,
        ingest: &Arc<Ingest>,
        version: Version,
        out: &mut BytesMut,
        reading: &mut StillReading,
    ) -> LargeAnswer {
        let Self { caller, asks } = self;
        let Some(caller) = caller else { return asks.answer(ingest, version, out, reading).await };
        let before = out.len();
        let place = tokio::select! {
            biased;
            () = caller.ended() => None,
            place = asks.answer(ingest, version, out, reading) => place,
        };
        if !caller.is_valid(unix_ms()) {
            out.truncate(before);
        }
        place
    }
}

impl Asks {
    async fn answer(
        self,
        ingest: &Arc<Ingest>,
        version: Version,
        out: &mut BytesMut,
        reading: &mut StillReading,
    ) -> LargeAnswer {
        let (read, place) = match self {
            Self::Outcomes { streams, count, until } => {
                return answer_outcomes(ingest, streams, count, until, version, out, reading).await;
            }
            Self::Messages { application, start, end, count, newest_first } => {
                let place = ingest.large_answer().await;
                let ingest = ingest.clone();
                let range = (start, end);
                let read = move || read_messages(&ingest, application, range, count, newest_first, version);
                (blocking(read).await, place)
            }
            Self::Count { application } => {
                let messages = ingest.reader.messages_of(application.as_u64());
                Encoder::new(out, version).integer(i64::try_from(messages).unwrap_or(i64::MAX));
                return None;
            }
        };
        match read {
            Ok(bytes) => out.extend_from_slice(&bytes),
            Err(error) => Encoder::new(out, version).error(ErrorCode::Err, error),
        }
        place
    }
}

/// A place among the large answers, where one is taken.
pub(super) type LargeAnswer = Option<OwnedSemaphorePermit>;

impl Ingest {
    async fn large_answer(&self) -> LargeAnswer {
        // It is never closed.
        self.large_answers.clone().acquire_owned().await.ok()
    }
}

/// Runs what blocks where that harms nobody; an error comes back as words.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, posthaste_storage::log::ReadError> + Send + 'static,
) -> Result<T, String> {
    match seam::blocking(read).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

async fn answer_outcomes(
    ingest: &Arc<Ingest>,
    streams: Vec<Stream>,
    count: usize,
    until: Until,
    version: Version,
    out: &mut BytesMut,
    reading: &mut StillReading,
) -> LargeAnswer {
    let bytes_max = ANSWER_BYTES / streams.len().max(1);
    let following: Vec<Following> =
        streams.iter().map(|stream| ingest.outcomes.follow(stream.application)).collect();
    let streams = Arc::new(streams);
    loop {
        // Listening starts before reading, so that what comes in between is not missed.
        let mut news: Vec<_> = following.iter().map(|following| Box::pin(following.news())).collect();
        let place = ingest.large_answer().await;
        let (ingest, asked) = (ingest.clone(), streams.clone());
        let read = move || {
            let tells = |id| ingest.catalog.endpoint_by_id(id).is_some_and(|endpoint| endpoint.tell_response);
            let read = |stream: &Stream| {
                ingest.outcomes.read(stream.application, stream.after, (count, bytes_max), tells)
            };
            asked.iter().map(read).collect()
        };
        let found: Vec<Vec<StreamedOutcome>> = match blocking(read).await {
            Ok(found) => found,
            Err(error) => {
                Encoder::new(out, version).error(ErrorCode::Err, error);
                return place;
            }
        };
        if found.iter().any(|outcomes| !outcomes.is_empty()) {
            encode_outcomes(&streams, &found, version, out);
            return place;
        }
        // Who waits for news takes no place.
        drop(place);
        let any_news = std::future::poll_fn(|context| {
            let heard = news.iter_mut().any(|news| news.as_mut().poll(context).is_ready());
            if heard { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        });
        tokio::select! {
            biased;
            () = any_news => {}
            () = passed(until) => {
                Encoder::new(out, version).null_array();
                return None;
            }
            () = reading.pauses() => {
                // Whoever has only said its last word still gets the answers to what it asked behind this, and those
                // do not wait either. Whoever has asked more than is read gets them now.
                Encoder::new(out, version).null_array();
                return None;
            }
        }
    }
}

async fn passed(until: Until) {
    match until {
        Until::Now => {}
        Until::At(at) => tokio::time::sleep_until(at).await,
        Until::Ever => std::future::pending().await,
    }
}

fn encode_outcomes(streams: &[Stream], found: &[Vec<StreamedOutcome>], version: Version, out: &mut BytesMut) {
    let mut out = Encoder::new(out, version);
    let with_any = || streams.iter().zip(found).filter(|(_, outcomes)| !outcomes.is_empty());
    out.streams(with_any().count());
    for (stream, outcomes) in with_any() {
        out.stream(stream.key.as_bytes(), outcomes.len());
        for outcome in outcomes {
            let reply = outcome.reply.as_ref();
            let entry = OutcomeEntry {
                message: stream_id(outcome.message.0),
                endpoint: &outcome.endpoint.to_string(),
                attempt: outcome.attempt,
                outcome: outcome.outcome.map_or("unknown", |outcome| outcome.name()),
                status: outcome.outcome.and_then(|outcome| outcome.status()),
                latency_ms: u64::from(outcome.duration_us.div_ceil(1_000)),
                next_attempt_ms: outcome.next_attempt_ms,
                state: outcome.state.map_or("unknown", |state| state.name()),
                event_id: reply.and_then(|reply| reply.event_id.as_deref()),
                response_body: reply.map(|reply| &reply.body[..]),
                response_json: reply.and_then(|reply| reply.json),
            };
            entry.encode(stream_id(outcome.id), &mut out);
        }
    }
}

fn read_messages(
    ingest: &Ingest,
    application: ApplicationId,
    (start, end): (EntryId, EntryId),
    count: usize,
    newest_first: bool,
    version: Version,
) -> Result<BytesMut, posthaste_storage::log::ReadError> {
    let mut entries = BytesMut::new();
    let mut found = 0;
    let mut take = |record: Record<'_>| {
        let Record::Message(message) = record else { return ControlFlow::Continue(()) };
        let past = if newest_first { message.id < start } else { message.id > end };
        if past {
            return ControlFlow::Break(());
        }
        if message.application == application.as_u64() && message.id >= start && message.id <= end {
            let channels = message.channels.iter().collect::<Vec<_>>().join(",");
            let extras = message.extras.unpack();
            let entry = MessageEntry {
                event_type: message.event_type,
                payload: message.payload,
                event_id: message.event_id,
                channels: (!channels.is_empty()).then_some(channels.as_str()),
                content_type: message.content_type,
                deliver_at_ms: extras.due_ms,
                ordering_key: extras.ordering_key,
                url: extras.url,
            };
            entry.encode(stream_id(message.id), &mut Encoder::new(&mut entries, version));
            found += 1;
        }
        if found >= count || entries.len() >= ANSWER_BYTES {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    let (reader, application) = (&ingest.reader, application.as_u64());
    if newest_first {
        let from = reader.seek(end.next())?;
        reader.scan_back_application(application, from, |_, record| take(record))?;
    } else {
        reader
            .replay_application(application, reader.seek(start)?, reader.end(), |_, record| take(record))?;
    }
    let mut answer = BytesMut::with_capacity(entries.len() + 16);
    Encoder::new(&mut answer, version).array(found);
    answer.extend_from_slice(&entries);
    Ok(answer)
}

/// What INFO says; what is about all applications only to who may see `all`.
pub(super) fn info(ingest: &Ingest, all: bool) -> String {
    let server = format!(
        "# Server\r\nserver:posthaste\r\nposthaste_version:{}\r\nredis_mode:standalone\r\n\r\n",
        env!("CARGO_PKG_VERSION"),
    );
    if all { server + &counts(ingest) } else { server }
}

fn counts(ingest: &Ingest) -> String {
    let metrics = &ingest.metrics;
    format!(
        "# Clients\r\nconnected_clients:{}\r\n\r\n\
         # Messages\r\nmessages_accepted:{}\r\nmessages_refused:{}\r\n\r\n\
         # Deliveries\r\ndeliveries_delivered:{}\r\ndeliveries_exhausted:{}\r\ndeliveries_cancelled:{}\r\n\
         deliveries_pending:{}\r\n",
        ingest.places.taken(),
        metrics.accepted.get(),
        metrics.refused.get(),
        metrics.delivered.get(),
        metrics.exhausted.get(),
        metrics.cancelled.get(),
        metrics.pending.get(),
    )
}

fn application(ingest: &Ingest, name: &str) -> Result<ApplicationId, PublishError> {
    let found = ingest.catalog.resolve(name);
    found.map(|application| application.id()).ok_or_else(|| PublishError::unknown_application(name))
}

fn count(asked: Option<u32>) -> usize {
    asked.map_or(COUNT_DEFAULT, |count| (count as usize).min(COUNT_MAX))
}

/// An id of the wire as the log has it; one beyond what the log can hold is as good as the last.
fn entry_id(id: StreamId) -> EntryId {
    match (id.ms <= EntryId::MS_MAX, u16::try_from(id.seq)) {
        (false, _) => EntryId::MAX,
        (true, sequence) => EntryId::new(id.ms, sequence.unwrap_or(u16::MAX)),
    }
}

fn stream_id(id: EntryId) -> StreamId {
    StreamId::new(id.ms(), id.sequence().into())
}
