//! `/app/{app}/endpoint/{endpoint}/msg`: the messages that go to an endpoint, and where their deliveries stand.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Api;
use super::attempt::status;
use super::backend::{StoredDelivery, StoredMessage};
use super::error::ApiError;
use super::extract::TheEndpoint;
use super::message::{MessageOut, message_query};
use super::paging::{ListOut, Paging};
use super::query::Query;
use super::time::rfc3339;
use crate::clock::unix_ms;
use crate::core::ids::MessageId;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointMessageOut {
    #[serde(flatten)]
    message: MessageOut,
    status: u8,
    status_text: &'static str,
    next_attempt: Option<String>,
    // What follows is ours.
    state: &'static str,
    attempts: u16,
}

impl EndpointMessageOut {
    fn new(message: &StoredMessage, delivery: &StoredDelivery, with_content: bool, now_ms: u64) -> Self {
        let status = delivery.status(now_ms);
        Self {
            message: MessageOut::new(message, with_content),
            status: status as u8,
            status_text: status.name(),
            next_attempt: delivery.next_attempt_ms.map(rfc3339),
            state: delivery.state.name(),
            attempts: delivery.attempts,
        }
    }
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    TheEndpoint(endpoint): TheEndpoint,
    query: Query,
) -> Result<Json<ListOut<EndpointMessageOut>>, ApiError> {
    let paging = Paging::read(&query)?;
    let wanted = message_query(&query, &paging)?;
    let with_content = wanted.with_content;
    let page =
        api.history.messages_to_endpoint(endpoint.application, endpoint.id, status(&query)?, wanted).await?;
    let now_ms = unix_ms();
    let shown = |(message, delivery): &(StoredMessage, StoredDelivery)| {
        EndpointMessageOut::new(message, delivery, with_content, now_ms)
    };
    let data = page.items.iter().map(shown).collect();
    Ok(Json(paging.history(data, page.done, page.resume.map(|id| MessageId(id).to_string()), |one| {
        one.message.id.clone()
    })))
}
