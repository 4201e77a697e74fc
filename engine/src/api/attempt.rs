//! Attempts: what was tried, and what came back.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::Api;
use super::backend::{AttemptQuery, HistoryPage, MessageStatus, StoredAttempt, StoredMessage};
use super::error::ApiError;
use super::explain::{Explanation, explain};
use super::extract::{Named, TheApplication, TheEndpoint};
use super::message::{is_false, message_id};
use super::paging::{ListOut, Paging};
use super::query::Query;
use super::sent::sent_headers;
use super::time::rfc3339;
use super::timing::TimingOut;
use crate::core::ids::{AttemptId, EndpointId};

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
    timing: TimingOut,
    reused: bool,
    trigger: &'static str,
    /// What went wrong, for people; `null` when nothing did.
    error: Option<Explanation>,
    /// What was sent; only where single messages or attempts are asked for.
    request_headers: Option<BTreeMap<String, String>>,
    /// Why those cannot be told.
    request_headers_missing: Option<&'static str>,
    /// Only where it is so: the response was erased.
    #[serde(skip_serializing_if = "is_false")]
    response_erased: bool,
}

impl AttemptOut {
    pub(super) fn new(api: &Api, attempt: &StoredAttempt, with_content: bool) -> Self {
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
            response_duration_ms: u64::from(attempt.timing.total_us / 1_000),
            status: status as u8,
            status_text: status.name(),
            timestamp: rfc3339(attempt.started_ms),
            trigger_type: attempt.trigger.code(),
            outcome: attempt.outcome.name(),
            detail: attempt.detail.to_string(),
            attempt_number: attempt.number,
            state: attempt.state.name(),
            next_attempt: attempt.next_attempt_ms.map(rfc3339),
            response_headers: text(&attempt.response_headers),
            endpoint_version: attempt.endpoint_revision,
            timing: attempt.timing.into(),
            reused: attempt.reused,
            trigger: attempt.trigger.name(),
            error: explain(attempt),
            request_headers: None,
            response_erased: attempt.erased,
            request_headers_missing: Some("they are shown where attempts of one message are asked for"),
        }
    }

    /// With the headers of its request, as far as they can be told.
    fn with_request(self, api: &Api, attempt: &StoredAttempt, message: Option<&StoredMessage>) -> Self {
        let endpoint = api.editor.catalog().endpoint_by_id(attempt.endpoint);
        let sent = sent_headers(attempt, endpoint.as_deref(), message);
        Self { request_headers_missing: sent.as_ref().err().copied(), request_headers: sent.ok(), ..self }
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
    let message = api.history.message(application.id, message).await?;
    Ok(Json(AttemptOut::new(&api, &attempt, true).with_request(&api, &attempt, message.as_ref())))
}

/// Erases the response. Doing so again is fine.
pub(super) async fn erase(
    State(api): State<Arc<Api>>,
    TheApplication(application): TheApplication,
    named: Named,
) -> Result<StatusCode, ApiError> {
    let message = message_id(&api, &application, named.text("msg_id")).await?;
    let id = named.text("attempt_id").parse().map_err(|_| ApiError::not_found("attempt"))?;
    if api.history.attempt(application.id, message, id).await?.is_none() {
        return Err(ApiError::not_found("attempt"));
    }
    let object = named.text("attempt_id").to_owned();
    api.editor.record_deed("attempt.erase", object, Some(application.id.to_string())).await?;
    api.messages.erase(application.id, message, Some(id)).await?;
    Ok(StatusCode::NO_CONTENT)
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
    let message = match asked.wanted.with_content {
        true => api.history.message(application.id, message).await?,
        false => None,
    };
    let shown = |attempt: &StoredAttempt| {
        let shown = AttemptOut::new(&api, attempt, asked.wanted.with_content);
        if asked.wanted.with_content { shown.with_request(&api, attempt, message.as_ref()) } else { shown }
    };
    Ok(Json(asked.answer(&page, shown)))
}

pub(super) async fn list_by_endpoint(
    State(api): State<Arc<Api>>,
    TheEndpoint(endpoint): TheEndpoint,
    query: Query,
) -> Result<Json<ListOut<AttemptOut>>, ApiError> {
    let asked = Asked::read(&query, None)?;
    let page =
        api.history.attempts_by_endpoint(endpoint.application, endpoint.id, asked.wanted.clone()).await?;
    let shown = |attempt: &StoredAttempt| AttemptOut::new(&api, attempt, asked.wanted.with_content);
    Ok(Json(asked.answer(&page, shown)))
}

/// What a list of attempts is asked for with.
struct Asked<'q> {
    paging: Paging<'q>,
    wanted: AttemptQuery,
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
            with_content: query.flag("with_content", true)?,
        };
        Ok(Self { paging, wanted })
    }

    fn answer(
        &self,
        page: &HistoryPage<StoredAttempt>,
        shown: impl Fn(&StoredAttempt) -> AttemptOut,
    ) -> ListOut<AttemptOut> {
        let data = page.items.iter().map(shown).collect();
        let resume = page.resume.map(|id| AttemptId(id).to_string());
        self.paging.history(data, page.done, resume, |attempt| attempt.id.clone())
    }
}

pub(super) fn status(query: &Query) -> Result<Option<MessageStatus>, ApiError> {
    let Some(code) = query.number("status")? else { return Ok(None) };
    let status = MessageStatus::from_code(code);
    status.map(Some).ok_or_else(|| ApiError::query("status", format!("status is {code}; it must be 0 to 3")))
}

pub(super) fn status_code_class(query: &Query) -> Result<Option<u16>, ApiError> {
    match query.number("status_code_class")? {
        None => Ok(None),
        Some(class @ (0 | 100 | 200 | 300 | 400 | 500)) => Ok(Some(class as u16)),
        Some(other) => {
            let text = format!("status_code_class is {other}; it must be 0, 100, 200, 300, 400 or 500");
            Err(ApiError::query("status_code_class", text))
        }
    }
}
