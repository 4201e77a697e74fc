//! What `GET /metrics` shows (Prometheus text format).
//!
//! Counters are shared by all threads and touched once per batch where a batch exists. Labels have few values
//! known beforehand: there is no series per endpoint or host, however many of them there are.

use std::fmt::Write as _;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::catalog::AlertType;
use crate::core::outcome::Outcome;
use crate::filter::FilterCounts;

/// A label `outcome`: how an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// A label `type`: what an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AlertLabel {
    r#type: &'static str,
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Messages accepted: durable and acknowledged.
    pub accepted: Counter,
    /// Publishes refused with an error.
    pub refused: Counter,
    /// Deliveries that ended as delivered.
    pub delivered: Counter,
    /// Deliveries that ended as exhausted.
    pub exhausted: Counter,
    /// Deliveries that ended as cancelled.
    pub cancelled: Counter,
    attempts: Family<OutcomeLabel, Counter>,
    /// The one of `attempts` that is counted most: found once, not each time.
    attempts_successful: Counter,
    /// Deliveries that have not ended.
    pub pending: Gauge,
    /// Deliveries in the memory of the shards.
    pub in_memory: Gauge,
    /// Attempts in flight.
    pub in_flight: Gauge,
    /// Lockouts that began, of URLs and hosts.
    pub lockouts: Counter,
    alerts: Family<AlertLabel, Counter>,
    /// Alerts that found no room in their minute.
    pub alerts_suppressed: Counter,
    /// What alerts are made of, come too fast to be heard.
    pub alerts_unheard: Counter,
    /// Alerts that could not be kept, published or mailed.
    pub alerts_untold: Counter,
    /// Mails about alerts that a server took.
    pub mails_sent: Counter,
    /// Mails about alerts that could not be handed in; most are tried again.
    pub mails_failed: Counter,
    /// Spans that a collector took.
    pub spans_exported: Counter,
    /// Spans that found no room, or that no collector took.
    pub spans_dropped: Counter,
    /// Seconds a group commit takes: one write and one sync.
    pub commit_seconds: Histogram,
    /// Records per group commit.
    pub commit_records: Histogram,
    /// Seconds an attempt takes, refused ones left out.
    pub attempt_seconds: Histogram,
    /// 1 while publishers are refused because the disk is full.
    pub disk_full: Gauge,
    /// 1 after a failed sync: nothing is accepted until a restart.
    pub poisoned: Gauge,
    /// 1 while the ledger has failed and is not yet rebuilt.
    pub ledger_failed: Gauge,
    /// When the message of the delivery that has been pending longest was accepted, unix seconds; 0: nothing is pending.
    pub oldest_pending: Gauge,
    /// Attempts that were sent and failed.
    pub attempts_failed: Counter,
    /// Bytes that the file system of the data folder has left.
    pub disk_available: Gauge,
    /// Bytes of all log segments.
    pub log_bytes: Gauge<i64>,
    /// Connections of publishers.
    pub connections: Gauge<i64, std::sync::atomic::AtomicI64>,
    /// Connections of publishers that were turned away: no place, or wrong passwords before.
    pub connections_refused: Counter,
    /// Connections of publishers that were closed because they did not take their answers.
    pub connections_stalled: Counter,
    /// Connections to the API.
    pub api_connections: Gauge<i64, std::sync::atomic::AtomicI64>,
    /// Connections to the API that found no place.
    pub api_connections_refused: Counter,
    filters: FilterCounts,
}

/// One more in a gauge, until this is dropped: also where what is counted ends in a panic.
pub(crate) struct Counted<'m>(&'m Gauge);

impl<'m> Counted<'m> {
    /// Counts it.
    pub(crate) fn new(gauge: &'m Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Arc<Self> {
        Self::with(FilterCounts::default())
    }

    /// All at zero, but for what filters have counted already.
    pub fn with(filters: FilterCounts) -> Arc<Self> {
        let attempts = Family::<OutcomeLabel, Counter>::default();
        let success = Outcome::Success { status: 200 }.name();
        let attempts_successful = attempts.get_or_create(&OutcomeLabel { outcome: success }).clone();
        let mut metrics = Self {
            registry: Registry::with_prefix("posthaste"),
            accepted: Counter::default(),
            refused: Counter::default(),
            delivered: Counter::default(),
            exhausted: Counter::default(),
            cancelled: Counter::default(),
            attempts,
            attempts_successful,
            pending: Gauge::default(),
            in_memory: Gauge::default(),
            in_flight: Gauge::default(),
            lockouts: Counter::default(),
            alerts: Family::default(),
            alerts_suppressed: Counter::default(),
            alerts_unheard: Counter::default(),
            alerts_untold: Counter::default(),
            mails_sent: Counter::default(),
            mails_failed: Counter::default(),
            spans_exported: Counter::default(),
            spans_dropped: Counter::default(),
            commit_seconds: Histogram::new(exponential_buckets(0.000_05, 2.0, 16)),
            commit_records: Histogram::new(exponential_buckets(1.0, 4.0, 8)),
            attempt_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 18)),
            disk_full: Gauge::default(),
            poisoned: Gauge::default(),
            ledger_failed: Gauge::default(),
            oldest_pending: Gauge::default(),
            attempts_failed: Counter::default(),
            disk_available: Gauge::default(),
            log_bytes: Gauge::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            connections_stalled: Counter::default(),
            api_connections: Gauge::default(),
            api_connections_refused: Counter::default(),
            filters,
        };
        metrics.register();
        metrics.register_listeners();
        metrics.register_alerts();
        Arc::new(metrics)
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("messages_accepted", "Messages stored and acknowledged", self.accepted.clone());
        r.register("messages_refused", "Publishes answered with an error", self.refused.clone());
        r.register("deliveries_delivered", "Deliveries that ended as delivered", self.delivered.clone());
        r.register("deliveries_exhausted", "Deliveries that ended as exhausted", self.exhausted.clone());
        r.register("deliveries_cancelled", "Deliveries that ended as cancelled", self.cancelled.clone());
        r.register("attempts", "Attempts by outcome, refused ones included", self.attempts.clone());
        r.register("deliveries_pending", "Deliveries that have not ended", self.pending.clone());
        r.register("deliveries_in_memory", "Deliveries held by the shards", self.in_memory.clone());
        r.register("attempts_in_flight", "Attempts in flight", self.in_flight.clone());
        r.register("lockouts", "Lockouts that began", self.lockouts.clone());
        let seconds = Unit::Seconds;
        r.register_with_unit("commit", "Group commit: write and sync", seconds, self.commit_seconds.clone());
        r.register("commit_records", "Records per group commit", self.commit_records.clone());
        let seconds = Unit::Seconds;
        r.register_with_unit("attempt", "Attempts that were sent", seconds, self.attempt_seconds.clone());
        r.register("disk_full", "1 while publishers are refused: disk full", self.disk_full.clone());
        r.register("log_poisoned", "1 after a failed sync", self.poisoned.clone());
        r.register("ledger_failed", "1 until a ledger that failed is rebuilt", self.ledger_failed.clone());
        r.register_with_unit("log", "Size of all log segments", Unit::Bytes, self.log_bytes.clone());
        let available = self.disk_available.clone();
        r.register_with_unit(
            "disk_available",
            "Left on the data folder's file system",
            Unit::Bytes,
            available,
        );
        let (seconds, oldest) = (Unit::Seconds, self.oldest_pending.clone());
        r.register_with_unit("oldest_pending_accepted", "Unix time; 0: nothing pending", seconds, oldest);
        let (kept_back, failed) = (self.filters.kept_back.clone(), self.filters.failed.clone());
        r.register("filters_kept_back", "Endpoints a message was kept from: their filter said no", kept_back);
        r.register("trace_spans_exported", "Spans that a collector took", self.spans_exported.clone());
        r.register("trace_spans_dropped", "Spans that were let go", self.spans_dropped.clone());
        r.register("filters_failed", "Endpoints a message was kept from: their filter had no answer", failed);
    }

    fn register_listeners(&mut self) {
        let r = &mut self.registry;
        r.register("ingest_connections", "Connections of publishers", self.connections.clone());
        let (refused, stalled) = (self.connections_refused.clone(), self.connections_stalled.clone());
        r.register("ingest_connections_refused", "Connections of publishers that were turned away", refused);
        r.register("ingest_connections_stalled", "Connections closed: answers were not taken", stalled);
        r.register("api_connections", "Connections to the API", self.api_connections.clone());
        let refused = self.api_connections_refused.clone();
        r.register("api_connections_refused", "Connections to the API that found no place", refused);
    }

    fn register_alerts(&mut self) {
        let r = &mut self.registry;
        r.register("alerts", "Alerts raised, by type", self.alerts.clone());
        r.register(
            "alerts_suppressed",
            "Alerts beyond alerts.per_minute_max",
            self.alerts_suppressed.clone(),
        );
        r.register("alerts_unheard", "Attempts and changes that alerts missed", self.alerts_unheard.clone());
        r.register("alerts_untold", "Alerts not kept, published or mailed", self.alerts_untold.clone());
        r.register("alert_mails_sent", "Mails about alerts", self.mails_sent.clone());
        r.register("alert_mails_failed", "Mails that could not be handed in", self.mails_failed.clone());
    }

    /// Counts an alert.
    pub fn alert(&self, kind: AlertType) {
        self.alerts.get_or_create(&AlertLabel { r#type: kind.name() }).inc();
    }

    /// Counts an attempt.
    pub fn attempt(&self, outcome: Outcome) {
        match outcome {
            Outcome::Success { .. } => self.attempts_successful.inc(),
            _ => self.attempts.get_or_create(&OutcomeLabel { outcome: outcome.name() }).inc(),
        };
        if outcome.is_sent() && !outcome.is_success() {
            self.attempts_failed.inc();
        }
    }

    /// Everything, in the Prometheus text format.
    pub fn render(&self) -> String {
        let mut out = String::new();
        if text::encode(&mut out, &self.registry).is_err() {
            // Writing to a String does not fail; an empty page would hide it if it did.
            let _ = write!(out, "# metrics could not be encoded");
        }
        out
    }
}
