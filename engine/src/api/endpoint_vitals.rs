//! `.../endpoint/{endpoint}/vitals`: how an endpoint has been doing, from memory alone: cheap enough for a list of them.
//!
//! Everything begins anew when the process does. How many deliveries stand how is another question (`endpoint_stats`).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Api;
use super::endpoint_stats::{HealthOut, LastOut, RecentOut};
use super::error::ApiError;
use super::extract::TheEndpoint;
use super::query::Query;
use super::time::rfc3339;
use crate::vitals::{EndpointSeries, Stretch};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VitalsOut {
    recent: Option<RecentOut>,
    last_attempt: Option<LastOut>,
    health: Option<HealthOut>,
    /// Only where it is asked for (`with_series`) and known.
    series: Option<SeriesOut>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SeriesOut {
    /// The last hour by the minute, oldest first.
    minutes: Vec<StretchOut>,
    /// The last day by the half hour, oldest first.
    half_hours: Vec<StretchOut>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StretchOut {
    since: String,
    succeeded: u32,
    failed: u32,
    refused: u32,
    mean_ms: Option<f64>,
    max_ms: Option<f64>,
}

impl From<&EndpointSeries> for SeriesOut {
    fn from(series: &EndpointSeries) -> Self {
        let out = |stretches: &[Stretch]| stretches.iter().map(StretchOut::from).collect();
        Self { minutes: out(&series.minutes), half_hours: out(&series.half_hours) }
    }
}

impl From<&Stretch> for StretchOut {
    fn from(stretch: &Stretch) -> Self {
        let rounded = |ms: f64| (ms * 1_000.0).round() / 1_000.0;
        Self {
            since: rfc3339(stretch.began_ms),
            succeeded: stretch.succeeded,
            failed: stretch.failed,
            refused: stretch.refused,
            mean_ms: stretch.mean_ms.map(rounded),
            max_ms: stretch.max_ms.map(rounded),
        }
    }
}

pub(super) async fn read(
    State(api): State<Arc<Api>>,
    TheEndpoint(endpoint): TheEndpoint,
    query: Query,
) -> Result<Json<VitalsOut>, ApiError> {
    let with_series = query.flag("with_series", false)?;
    let health = api.health.as_ref();
    let vitals = health.and_then(|health| health.vitals(endpoint.id));
    let series = health.filter(|_| with_series).and_then(|health| health.series(endpoint.id));
    Ok(Json(VitalsOut {
        recent: vitals.as_ref().map(RecentOut::from),
        last_attempt: vitals.and_then(|vitals| vitals.last).map(LastOut::from),
        health: health.and_then(|health| health.endpoint(&endpoint)).map(HealthOut::from),
        series: series.as_ref().map(SeriesOut::from),
    }))
}
