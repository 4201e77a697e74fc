//! `/app/{app}/endpoint/{endpoint}/stats`: how many deliveries stand how, and how the endpoint has been doing.
//!
//! The counts come from the log: of deliveries to which something happened last between `since` and `until`. If there
//! is too much to read, they go back less far, and `countedSince` says how far. What is `recent` is kept in memory
//! and begins anew when the process does.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Api;
use super::backend::EndpointHealth;
use super::error::ApiError;
use super::extract::TheEndpoint;
use super::query::Query;
use super::time::rfc3339;
use crate::clock::unix_ms;
use crate::vitals::{EndpointVitals, Last, WindowVitals};

/// How far back it is counted when nothing is said: 28 days.
const SPAN_MS_DEFAULT: u64 = 28 * 86_400_000;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatsOut {
    success: u64,
    pending: u64,
    sending: u64,
    fail: u64,
    canceled: u64,
    // What follows is ours.
    /// Where the counting began: `since`, or later if there was too much to read.
    counted_since: String,
    /// Whether that is `since`.
    complete: bool,
    recent: Option<RecentOut>,
    last_attempt: Option<LastOut>,
    health: Option<HealthOut>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecentOut {
    /// When the process began; nothing before it is counted.
    since: String,
    last_minute: WindowOut,
    last_hour: WindowOut,
    last_day: WindowOut,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WindowOut {
    attempts: u64,
    refused: u64,
    success_rate: Option<f64>,
    mean_ms: Option<f64>,
    p99_ms: Option<f64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LastOut {
    outcome: &'static str,
    /// 0 when there was no response.
    response_status_code: u16,
    timestamp: String,
    duration_ms: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct HealthOut {
    state: &'static str,
    until: Option<String>,
}

pub(super) async fn read(
    State(api): State<Arc<Api>>,
    TheEndpoint(endpoint): TheEndpoint,
    query: Query,
) -> Result<Json<StatsOut>, ApiError> {
    let until_ms = query.time_ms("until")?.unwrap_or_else(|| unix_ms() + 1);
    let since_ms = query.time_ms("since")?.unwrap_or_else(|| until_ms.saturating_sub(SPAN_MS_DEFAULT));
    if since_ms > until_ms {
        return Err(ApiError::query("since", "since must not be after until"));
    }
    let counts = api.history.count_deliveries(endpoint.application, endpoint.id, since_ms, until_ms).await?;
    let health = api.health.as_ref();
    let vitals = health.and_then(|health| health.vitals(endpoint.id));
    Ok(Json(StatsOut {
        success: counts.success,
        pending: counts.pending,
        sending: counts.sending,
        fail: counts.fail,
        canceled: counts.cancelled,
        counted_since: rfc3339(counts.counted_since_ms.unwrap_or(since_ms)),
        complete: counts.counted_since_ms.is_none(),
        last_attempt: vitals.as_ref().and_then(|vitals| vitals.last).map(LastOut::from),
        recent: vitals.as_ref().map(RecentOut::from),
        health: health.and_then(|health| health.endpoint(&endpoint)).map(HealthOut::from),
    }))
}

impl From<Last> for LastOut {
    fn from(last: Last) -> Self {
        Self {
            outcome: last.outcome.name(),
            response_status_code: last.outcome.status().unwrap_or(0),
            timestamp: rfc3339(last.at_ms),
            duration_ms: f64::from(last.took_us) / 1_000.0,
        }
    }
}

impl From<EndpointHealth> for HealthOut {
    fn from(health: EndpointHealth) -> Self {
        Self { state: health.state, until: health.until.map(|until| rfc3339(until.as_ms())) }
    }
}

impl From<&EndpointVitals> for RecentOut {
    fn from(vitals: &EndpointVitals) -> Self {
        let [last_minute, last_hour, last_day] = vitals.windows.map(window);
        Self { since: rfc3339(vitals.since_ms), last_minute, last_hour, last_day }
    }
}

fn window(vitals: WindowVitals) -> WindowOut {
    // More digits than that are noise.
    let rounded = |number: f64, digits: f64| (number * digits).round() / digits;
    WindowOut {
        attempts: vitals.attempts,
        refused: vitals.refused,
        success_rate: vitals.success_rate.map(|rate| rounded(rate, 10_000.0)),
        mean_ms: vitals.mean_ms.map(|ms| rounded(ms, 1_000.0)),
        p99_ms: vitals.p99_ms.map(|ms| rounded(ms, 1_000.0)),
    }
}
