//! Attempts: what was tried, and what came back.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Api;
use super::backend::{AttemptQuery, MessageStatus, StoredAttempt};
use super::error::ApiError;
use super::extract::{Named, TheApplication, TheEndpoint};
use super::message::message_id;
use super::paging::{ListOut, Paging};
use super::query::Query;
use super::time::rfc3339;
use crate::core::ids::EndpointId;

/// Attempts are made by the schedule; there is no other trigger yet.
const TRIGGER_SCHEDULED: u8 = 0;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttemptOut {
    id: String,
    msg_id: String,
    endpoint_id: String,
    /// The endpoint's present URL; empty when the endpoint is gone.
    url: String,
    response: String,
    /// 0 when there was no response.
    response_status_code: u16,
    response_duration_ms: u64,
    status: u8,
    status_text: &'static str,
    timestamp: String,
    trigger_type: u8,
    // What follows is ours.
    outcome: &'static str,
    detail: String,
    attempt_number: u16,
    state: &'static str,
    next_attempt: Option<String>,
    response_headers: String,
    endpoint_version: u32,
}

impl AttemptOut {
    fn new(api: &Api, attempt: &StoredAttempt, with_content: bool) -> Self {
        let endpoint = api.editor.catalog().endpoint_by_id(attempt.endpoint);
        let text =
            |bytes: &[u8]| if with_content { String::from_utf8_lossy(bytes).into() } else { String::new() };
        let status = attempt.status();
        Self {
            id: attempt.id.to_string(),
            msg_id: attempt.message.to_string(),
            endpoint_id: attempt.endpoint.to_string(),
            url: endpoint.map(|endpoint| endpoint.url.clone()).unwrap_or_default(),
            response: text(&attempt.response_body),
            response_status_code: attempt.outcome.status().unwrap_or(0),
            response_duration_ms: u64::from(attempt.duration_us / 1_000),
            status: status as u8,
            status_text: status.name(),
            timestamp: rfc3339(attempt.started_ms),
            trigger_type: TRIGGER_SCHEDULED,
            outcome: attempt.outcome.name(),
            detail: attempt.detail.to_string(),
            attempt_number: attempt.number,
            state: attempt.state.name(),
            next_attempt: attempt.next_attempt_ms.map(rfc3339),
            response_headers: text(&attempt.response_headers),
            endpoint_version: attempt.endpoint_revision,
        }
    }
}

pub(super) async fn read(
    State(api): State<Arc<Api>>,
    TheApplication(application): TheApplication,
    named: Named,
) -> Result<Json<AttemptOut>, ApiError> {
    let message = message_id(&api, &application, named.text("msg_id")).await?;
    let id = named.text("attempt_id").parse().map_err(|_| ApiError::not_found("attempt"))?;
    let attempt = api.history.attempt(application.id, message, id).await?;
    let attempt = attempt.ok_or_else(|| ApiError::not_found("attempt"))?;
    Ok(Json(AttemptOut::new(&api, &attempt, true)))
}

pub(super) async fn list_by_message(
    State(api): State<Arc<Api>>,
    TheApplication(application): TheApplication,
    named: Named,
    query: Query,
) -> Result<Json<ListOut<AttemptOut>>, ApiError> {
    let message = message_id(&api, &application, named.text("msg_id")).await?;
    let endpoint = query.text("endpoint_id").map(|name| {
        let endpoint = api.editor.catalog().endpoint(application.id, name);
        endpoint.map(|endpoint| endpoint.id).ok_or_else(|| ApiError::not_found("endpoint"))
    });
    let asked = Asked::read(&query, endpoint.transpose()?)?;
    let page = api.history.attempts_by_message(application.id, message, asked.wanted.clone()).await?;
    Ok(Json(asked.answer(&api, &page.items, page.done)))
}

pub(super) async fn list_by_endpoint(
    State(api): State<Arc<Api>>,
    TheEndpoint(endpoint): TheEndpoint,
    query: Query,
) -> Result<Json<ListOut<AttemptOut>>, ApiError> {
    let asked = Asked::read(&query, None)?;
    let page =
        api.history.attempts_by_endpoint(endpoint.application, endpoint.id, asked.wanted.clone()).await?;
    Ok(Json(asked.answer(&api, &page.items, page.done)))
}

/// What a list of attempts is asked for with.
struct Asked<'q> {
    paging: Paging<'q>,
    wanted: AttemptQuery,
    with_content: bool,
}

impl<'q> Asked<'q> {
    fn read(query: &'q Query, endpoint: Option<EndpointId>) -> Result<Self, ApiError> {
        let paging = Paging::read(query)?;
        let wanted = AttemptQuery {
            limit: paging.limit,
            start: paging.start()?,
            endpoint,
            status: status(query)?,
            status_code_class: status_code_class(query)?,
            event_types: query.identifiers("event_types")?,
            channel: query.identifier("channel")?.map(Into::into),
            before_ms: query.time_ms("before")?,
            after_ms: query.time_ms("after")?,
        };
        Ok(Self { paging, wanted, with_content: query.flag("with_content", true)? })
    }

    fn answer(&self, api: &Api, attempts: &[StoredAttempt], done: bool) -> ListOut<AttemptOut> {
        let data = attempts.iter().map(|attempt| AttemptOut::new(api, attempt, self.with_content)).collect();
        self.paging.list(data, done, |attempt| attempt.id.clone())
    }
}

fn status(query: &Query) -> Result<Option<MessageStatus>, ApiError> {
    let Some(code) = query.number("status")? else { return Ok(None) };
    let status = MessageStatus::from_code(code);
    status.map(Some).ok_or_else(|| ApiError::query("status", format!("status is {code}; it must be 0 to 3")))
}

fn status_code_class(query: &Query) -> Result<Option<u16>, ApiError> {
    match query.number("status_code_class")? {
        None => Ok(None),
        Some(class @ (0 | 100 | 200 | 300 | 400 | 500)) => Ok(Some(class as u16)),
        Some(other) => {
            let text = format!("status_code_class is {other}; it must be 0, 100, 200, 300, 400 or 500");
            Err(ApiError::query("status_code_class", text))
        }
    }
}
