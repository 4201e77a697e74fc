//! The tracer: makes spans of what the writer has just stored, and hands them over without waiting.

use std::sync::Arc;

use posthaste_storage::Position;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::core::ids::{ApplicationId, MessageId};
use crate::core::shard::AttemptEnded;
use crate::delivery::Ended as Report;
use crate::metrics::Metrics;

use super::sampler::{Sampler, SpanId};
use super::span::{Attempt, Publish, Span, What};

/// Spans that wait for the exporter: about 2 MiB.
pub(super) const WAITING_MAX: usize = 8_192;
/// Bytes of the words about a failed attempt that are told.
const DETAIL_BYTES_MAX: usize = 256;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Tracer {
    sampler: Sampler,
    spans: Sender<Span>,
    metrics: Arc<Metrics>,
    commit: Commit,
}

/// The group commit that is being told.
#[derive(Debug, Clone, Copy, Default)]
struct Commit {
    begin_us: u64,
    end_us: u64,
    records: usize,
}

/// A message that was stored, as much of it as a trace has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted<'a> {
    pub(crate) message: MessageId,
    pub(crate) application: ApplicationId,
    pub(crate) event_type: &'a str,
    pub(crate) payload_bytes: usize,
    pub(crate) deliveries: usize,
}

/// A tracer, and where its spans come out.
pub(crate) fn tracer(sampler: Sampler, metrics: Arc<Metrics>) -> (Tracer, Spans) {
    let (spans, waiting) = channel(WAITING_MAX);
    (Tracer { sampler, spans, metrics, commit: Commit::default() }, Spans(waiting))
}

/// Spans that wait to be exported.
#[derive(Debug)]
pub(crate) struct Spans(pub(super) Receiver<Span>);

/// Messages whose publishers are about to be answered.
#[derive(Debug)]
pub(crate) struct Unanswered(Vec<Span>);

impl Tracer {
    /// A group commit succeeded; what is told next was in it.
    pub(crate) fn committed(&mut self, begin_us: u64, end_us: u64, records: usize) {
        self.commit = Commit { begin_us, end_us, records };
    }

    /// Notes messages before they are handed out.
    pub(crate) fn begin<'a>(&self, accepted: impl Iterator<Item = Accepted<'a>>) -> Unanswered {
        Unanswered(accepted.filter_map(|accepted| self.publish(accepted)).collect())
    }

    fn publish(&self, accepted: Accepted<'_>) -> Option<Span> {
        let message = accepted.message;
        let trace = self.sampler.trace(message)?;
        let publish = Publish {
            application: accepted.application,
            event_type: accepted.event_type.into(),
            payload_bytes: accepted.payload_bytes,
            deliveries: accepted.deliveries,
        };
        // The id was drawn when the writer took the message. Where ids run ahead of the clock, not later than the sync.
        let begin_us = (message.0.ms() * 1_000).min(self.commit.begin_us);
        let (id, what) = (trace.publish(), What::Publish(publish));
        Some(Span { trace, id, begin_us, end_us: begin_us, message, what })
    }

    /// Their publishers were answered.
    pub(crate) fn answered(&self, messages: Unanswered, now_us: u64) {
        let Commit { begin_us, end_us, records } = self.commit;
        for publish in messages.0 {
            let (trace, message) = (publish.trace, publish.message);
            let (id, what) = (trace.store(), What::Store { records });
            self.put(Span { end_us: now_us.max(end_us), ..publish });
            self.put(Span { trace, id, begin_us, end_us, message, what });
        }
    }

    /// An attempt ended, or was refused; its record stands there.
    pub(crate) fn attempted(&self, ended: &AttemptEnded<Report>, at: Position) {
        let message = ended.key.message;
        let Some(trace) = self.sampler.trace(message) else { return };
        let report = ended.report.as_ref();
        let timing = report.map(|report| report.timing).unwrap_or_default();
        let attempt = Attempt {
            application: ended.application,
            endpoint: ended.key.endpoint,
            number: ended.number,
            outcome: ended.outcome,
            state: ended.state,
            timing,
            reused: report.is_some_and(|report| report.reused),
            detail: report.map_or("", |report| cut(&report.detail)).into(),
        };
        let told: Option<SpanId> = report.and_then(|report| report.span);
        let begin_us = ended.started.as_ms() * 1_000;
        self.put(Span {
            trace,
            // The receiver may have heard of it by another id already.
            id: told.unwrap_or_else(|| trace.attempt(at)),
            begin_us,
            end_us: begin_us + u64::from(timing.total_us),
            message,
            what: What::Attempt(Box::new(attempt)),
        });
    }

    /// Never waits.
    fn put(&self, span: Span) {
        if self.spans.try_send(span).is_err() {
            self.metrics.spans_dropped.inc();
        }
    }
}

fn cut(detail: &str) -> &str {
    &detail[..detail.floor_char_boundary(DETAIL_BYTES_MAX)]
}
