//! `/app/{app}/filter-test`: what a filter says of a message. Nothing is saved and nothing is sent.
//!
//! ```text
//! {"filter", "payload", "eventType"?, "channels"?}
//! 200 {"matches": true, "error": null}
//! ```
//!
//! An expression that cannot be read is refused as it is when an endpoint is saved: 422. One that has no answer for
//! this message does not match, and `error` says why.

use axum::Json;
use serde::Serialize;
use serde_json::value::RawValue;

use super::error::ApiError;
use super::extract::{Body, TheApplication};
use super::fields::Fields;
use crate::filter::{Facts, Filter};
use crate::payload::Payload;
use crate::publish;

#[derive(Debug, Serialize)]
pub(super) struct AnswerOut {
    matches: bool,
    error: Option<String>,
}

pub(super) async fn ask(_: TheApplication, Body(body): Body) -> Result<Json<AnswerOut>, ApiError> {
    let fields = Fields::parse(&body)?;
    let filter = Filter::parse(&fields.required::<String>("filter")?)
        .map_err(|error| ApiError::body("filter", format!("filter cannot be read: {error}")))?;
    let payload: &RawValue = fields.required("payload")?;
    publish::check_json(payload.get().as_bytes())?;
    let payload = Payload::new(payload.get().as_bytes(), true);
    let event_type: String = fields.value("eventType")?.unwrap_or_default();
    let channels: Vec<String> = fields.value("channels")?.unwrap_or_default();
    let channels: Vec<&str> = channels.iter().map(String::as_str).collect();
    let facts = Facts { payload: payload.value(), event_type: &event_type, channels: &channels };
    Ok(Json(match filter.wants(&facts) {
        Ok(matches) => AnswerOut { matches, error: None },
        Err(error) => AnswerOut { matches: false, error: Some(error.to_string()) },
    }))
}
