//! `/app/{app}/delivery`: deliveries by where they stand. Ours; the open Svix server has nothing like it.
//!
//! Newest first, by when something happened to them last. All pages of a list show what was true when its first was
//! made. A page may have fewer items than asked for, even none, and yet not be the last: `done` says.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Api;
use super::attempt::status_code_class;
use super::backend::{DeliveryQuery, ListedDelivery};
use super::error::ApiError;
use super::extract::TheApplication;
use super::message::message_id;
use super::paging::{ListOut, Paging};
use super::query::Query;
use super::time::rfc3339;
use crate::clock::unix_ms;
use crate::core::delivery::DeliveryState;

const STATES: [DeliveryState; 4] =
    [DeliveryState::Pending, DeliveryState::Delivered, DeliveryState::Exhausted, DeliveryState::Cancelled];

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedOut {
    msg_id: String,
    event_id: Option<String>,
    /// `null` when the message itself is gone already, and only attempts of it are kept.
    event_type: Option<String>,
    endpoint_id: String,
    state: &'static str,
    status: u8,
    status_text: &'static str,
    attempts: u16,
    last_attempt: Option<LastAttemptOut>,
    next_attempt: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LastAttemptOut {
    id: String,
    outcome: &'static str,
    /// 0 when there was no response.
    response_status_code: u16,
    timestamp: String,
}

impl ListedOut {
    fn new(listed: &ListedDelivery, now_ms: u64) -> Self {
        let delivery = &listed.delivery;
        let status = delivery.status(now_ms);
        Self {
            msg_id: listed.message.to_string(),
            event_id: listed.event_id.as_deref().map(Into::into),
            event_type: listed.event_type.as_deref().map(Into::into),
            endpoint_id: delivery.endpoint.to_string(),
            state: delivery.state.name(),
            status: status as u8,
            status_text: status.name(),
            attempts: delivery.attempts,
            last_attempt: listed.last.map(|last| LastAttemptOut {
                id: last.id.to_string(),
                outcome: last.outcome.name(),
                response_status_code: last.outcome.status().unwrap_or(0),
                timestamp: rfc3339(last.started_ms),
            }),
            next_attempt: delivery.next_attempt_ms.map(rfc3339),
        }
    }
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    TheApplication(application): TheApplication,
    query: Query,
) -> Result<Json<ListOut<ListedOut>>, ApiError> {
    let paging = Paging::read(&query)?;
    let endpoint = query.text("endpoint_id").map(|name| {
        let endpoint = api.editor.catalog().endpoint(application.id, name);
        endpoint.map(|endpoint| endpoint.id).ok_or_else(|| ApiError::not_found("endpoint"))
    });
    let message = match query.text("msg_id").or(query.text("event_id")) {
        Some(name) => Some(message_id(&api, &application, name).await?),
        None => None,
    };
    let wanted = DeliveryQuery {
        limit: paging.limit,
        cursor: paging.cursor()?,
        message,
        endpoint: endpoint.transpose()?,
        event_types: query.identifiers("event_types")?,
        channel: query.identifier("channel")?.map(Into::into),
        states: states(&query)?,
        status_code: status_code(&query)?,
        status_code_class: status_code_class(&query)?,
        before_ms: query.time_ms("before")?,
        after_ms: query.time_ms("after")?,
    };
    let page = api.history.query_deliveries(application.id, wanted).await?;
    let now_ms = unix_ms();
    let data = page.items.iter().map(|listed| ListedOut::new(listed, now_ms)).collect();
    Ok(Json(paging.forward_only(data, page.next.map(|next| next.to_string()))))
}

fn states(query: &Query) -> Result<Vec<DeliveryState>, ApiError> {
    let parse = |name: String| {
        let state = STATES.into_iter().find(|state| state.name() == name);
        state.ok_or_else(|| {
            let given: String = name.escape_debug().take(64).collect();
            let text = format!("state is '{given}'; it must be pending, delivered, exhausted or cancelled");
            ApiError::query("state", text)
        })
    };
    query.list("state").into_iter().map(parse).collect()
}

fn status_code(query: &Query) -> Result<Option<u16>, ApiError> {
    match query.number("status_code")? {
        None => Ok(None),
        Some(code @ (0 | 100..=599)) => Ok(Some(code as u16)),
        Some(code) => {
            let text = format!("status_code is {code}; it must be 100 to 599, or 0 for no response");
            Err(ApiError::query("status_code", text))
        }
    }
}
