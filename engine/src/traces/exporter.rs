//! The exporter: gathers spans into batches and hands them to the collector.
//!
//!   waits for a span -> a moment for company -> hands over -> tries again a few times -> lets go
//!
//! One batch at a time. While a collector is away the queue fills, and the tracer drops what comes: memory is bounded
//! by the queue and one batch.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::metrics::Metrics;

use super::collector::{Collector, CollectorError};
use super::otlp;
use super::span::Span;
use super::tracer::Spans;

/// Spans handed over at once: about 1 MiB of JSON.
pub(super) const BATCH_MAX: usize = 1_024;
/// How long the first span of a batch waits for others.
const COMPANY: Duration = Duration::from_millis(500);
/// Waits between the tries with one batch; then it is let go.
const TRY_AGAIN: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(9)];

/// See the head of this file.
pub(crate) struct Exporter {
    pub(crate) spans: Spans,
    pub(crate) collector: Collector,
    /// `service.name` of all spans.
    pub(crate) service: String,
    pub(crate) metrics: Arc<Metrics>,
    /// Whether it was said that the collector takes nothing.
    pub(crate) failing: bool,
}

impl Exporter {
    /// Works until the tracer is gone and what it left is handed over, or lost.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::new();
        while self.gather(&mut batch).await {
            self.export(&batch).await;
            batch.clear();
        }
    }

    /// Fills a batch. False at the end.
    async fn gather(&mut self, batch: &mut Vec<Span>) -> bool {
        let spans = &mut self.spans.0;
        if spans.recv_many(batch, BATCH_MAX).await == 0 {
            return false;
        }
        let until = Instant::now() + COMPANY;
        while batch.len() < BATCH_MAX {
            let more = timeout_at(until, spans.recv_many(batch, BATCH_MAX - batch.len())).await;
            if !more.is_ok_and(|count| count > 0) {
                break;
            }
        }
        true
    }

    async fn export(&mut self, batch: &[Span]) {
        let body = otlp::encode(&self.service, batch);
        let mut waits = TRY_AGAIN.into_iter();
        loop {
            match self.collector.take(body.clone()).await {
                Ok(rejected) => return self.taken(batch.len() as u64, rejected),
                Err(error) => {
                    self.say(&error);
                    // Who is asked to stop does not wait for a collector.
                    let wait = waits.next().filter(|_| error.may_pass() && !self.spans.0.is_closed());
                    let Some(wait) = wait else { break };
                    sleep(wait).await;
                }
            }
        }
        self.metrics.spans_dropped.inc_by(batch.len() as u64);
    }

    fn taken(&mut self, spans: u64, rejected: u64) {
        let rejected = rejected.min(spans);
        self.metrics.spans_exported.inc_by(spans - rejected);
        self.metrics.spans_dropped.inc_by(rejected);
        if std::mem::take(&mut self.failing) {
            tracing::info!("the collector takes traces again");
        }
    }

    /// Said once, until it works again.
    fn say(&mut self, error: &CollectorError) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(%error, "the collector does not take traces (trace.endpoint)");
        }
    }
}
