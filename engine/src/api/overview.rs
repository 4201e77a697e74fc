//! `/overview`: how the whole server is doing at this moment, and what is the matter.
//!
//! Everything is in memory already, so that it may be asked once a second.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Api;
use super::time::rfc3339;
use crate::catalog::{Start, Window};
use crate::core::ids::AlertId;
use crate::pulse::Beat;
use crate::readiness::NotReady;

/// Endpoints that are named among those locked out.
const NAMED_MAX: usize = 20;
/// Alerts beyond which it is only said that there are more.
const ALERTS_MAX: usize = 250;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OverviewOut {
    version: &'static str,
    /// When the process began.
    since: String,
    now: BeatOut,
    in_flight: i64,
    in_memory: i64,
    /// When the message of the delivery that has been pending longest was accepted, to ten seconds.
    oldest_pending: Option<String>,
    locked_out: LockedOutOut,
    open_alerts: usize,
    log_bytes: i64,
    disk_available_bytes: i64,
    /// What is wrong with the server itself; empty when nothing is.
    problems: Vec<ProblemOut>,
    /// The last three minutes by the second, oldest first.
    seconds: Vec<BeatOut>,
    /// The last day by the minute, oldest first.
    minutes: Vec<BeatOut>,
}

/// Per second, over a second or a minute that ended at `timestamp`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BeatOut {
    timestamp: String,
    accepted: f64,
    delivered: f64,
    failed: f64,
    exhausted: f64,
    pending: i64,
}

#[derive(Debug, Serialize)]
struct LockedOutOut {
    count: usize,
    /// Some of them.
    endpoints: Vec<LockedOutEndpointOut>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LockedOutEndpointOut {
    app_id: String,
    endpoint_id: String,
    url: String,
    state: &'static str,
    until: Option<String>,
}

#[derive(Debug, Serialize)]
struct ProblemOut {
    /// For programs.
    class: &'static str,
    text: String,
    /// What to do.
    hint: &'static str,
}

impl From<Beat> for BeatOut {
    fn from(beat: Beat) -> Self {
        // More digits than that are noise.
        let rounded = |number: f64| (number * 100.0).round() / 100.0;
        Self {
            timestamp: rfc3339(beat.at_ms),
            accepted: rounded(beat.accepted),
            delivered: rounded(beat.delivered),
            failed: rounded(beat.failed),
            exhausted: rounded(beat.exhausted),
            pending: beat.pending,
        }
    }
}

pub(super) async fn read(State(api): State<Arc<Api>>) -> Json<OverviewOut> {
    let metrics = api.pulse.metrics();
    let beats = |beats: Vec<Beat>| beats.into_iter().map(BeatOut::from).collect();
    let oldest_ms = u64::try_from(metrics.oldest_pending.get()).unwrap_or(0) * 1_000;
    let now = Beat { at_ms: api.clock.now().as_ms(), pending: metrics.pending.get(), ..api.pulse.now() };
    Json(OverviewOut {
        version: env!("CARGO_PKG_VERSION"),
        since: rfc3339(api.pulse.since_ms()),
        now: now.into(),
        in_flight: metrics.in_flight.get(),
        in_memory: metrics.in_memory.get(),
        oldest_pending: (oldest_ms > 0).then(|| rfc3339(oldest_ms)),
        locked_out: locked_out(&api),
        open_alerts: open_alerts(&api),
        log_bytes: metrics.log_bytes.get(),
        disk_available_bytes: metrics.disk_available.get(),
        problems: problems(&api),
        seconds: beats(api.pulse.seconds()),
        minutes: beats(api.pulse.minutes()),
    })
}

fn locked_out(api: &Api) -> LockedOutOut {
    let catalog = api.editor.catalog();
    let all = api.health.as_ref().map(|health| health.locked_out()).unwrap_or_default();
    let mut out = LockedOutOut { count: 0, endpoints: Vec::new() };
    for (id, health) in all {
        let Some(endpoint) = catalog.endpoint_by_id(id).filter(|endpoint| !endpoint.is_disabled()) else {
            continue;
        };
        out.count += 1;
        if out.endpoints.len() < NAMED_MAX {
            out.endpoints.push(LockedOutEndpointOut {
                app_id: endpoint.application.to_string(),
                endpoint_id: id.to_string(),
                url: endpoint.url.clone(),
                state: health.state,
                until: health.until.map(|until| rfc3339(until.as_ms())),
            });
        }
    }
    out
}

fn open_alerts(api: &Api) -> usize {
    let window = Window { start: Start::<AlertId>::First, descending: true, limit: ALERTS_MAX };
    let is_open = |alert: &crate::catalog::Alert| alert.cause.lasts() && alert.ended_ms.is_none();
    api.editor.catalog().alerts_page(&window, is_open).items.len()
}

fn problems(api: &Api) -> Vec<ProblemOut> {
    let metrics = api.pulse.metrics();
    let mut problems = Vec::new();
    if let Err(why) = api.readiness.check() {
        let (class, hint) = match why {
            NotReady::Stopping => ("stopping", "Producers that publish again find the next process."),
            NotReady::LogPoisoned => (
                "log_stopped",
                "The disk failed a sync. Look at the disk and at the log of the server, then restart it.",
            ),
            NotReady::DiskFull => (
                "disk_full",
                "Make room on the file system of the data folder, or lower storage.retention_bytes and restart.",
            ),
        };
        problems.push(ProblemOut { class, text: format!("No message is accepted: {why}."), hint });
    }
    if metrics.ledger_failed.get() != 0 {
        problems.push(ProblemOut {
            class: "ledger_failed",
            text: "The ledger failed and is being rebuilt from the log.".into(),
            hint: "Deliveries go on; retries that are due far ahead wait until it is done. The log of the server says why.",
        });
    }
    if metrics.mails_failed.get() > 0 && metrics.mails_sent.get() == 0 {
        problems.push(ProblemOut {
            class: "mails_failed",
            text: format!("No mail about alerts has gone out, and {} failed.", metrics.mails_failed.get()),
            hint: "Check [alerts.email] in the configuration; the log of the server has what the mail server said.",
        });
    }
    problems
}
