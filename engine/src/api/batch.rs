//! `/app/{app}/msg/batch`: many messages in one call.
//!
//! ```text
//! {"messages": [{"eventType", "payload", ...}, ...]}
//! 202 {"data": [{"id", "eventType", ...} | {"code", "detail"}, ...]}
//! ```
//!
//! One answer per message, in their order: a message that is refused does not stand in the way of the others.
//! Those that are accepted share a sync.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Api;
use super::backend::StoredMessage;
use super::error::ApiError;
use super::extract::{Body, TheApplication};
use super::fields::Fields;
use super::message::{MessageOut, parse_and_admit, unpublished};
use super::query::Query;
use crate::access::Caller;
use crate::publish::{Admitted, PublishError};

/// The most messages of a batch.
pub const BATCH_MESSAGES_MAX: usize = 1_000;

#[derive(Debug, Serialize)]
pub(super) struct BatchOut {
    data: Vec<Entry>,
}

/// What became of one message.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Entry {
    Accepted(Box<MessageOut>),
    Refused { code: &'static str, detail: String },
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    TheApplication(application): TheApplication,
    query: Query,
    Body(body): Body,
) -> Result<(StatusCode, Json<BatchOut>), ApiError> {
    // Whoever sends a thousand messages knows what is in them.
    let with_content = query.flag("with_content", false)?;
    let messages: Vec<&RawValue> = Fields::parse(&body)?.required("messages")?;
    if messages.len() > BATCH_MESSAGES_MAX {
        let text = format!("messages has {} items; the limit is {BATCH_MESSAGES_MAX}", messages.len());
        return Err(ApiError::body("messages", text));
    }
    let name = application.id.to_string();
    let judged = messages.into_iter().map(|message| {
        let fields = Fields::parse(message.get().as_bytes())?;
        parse_and_admit(&api, &caller, &name, &fields)
    });
    let published = publish_admitted(&api, judged.collect()).await;
    let data = published.into_iter().map(|result| entry(result, with_content)).collect();
    Ok((StatusCode::ACCEPTED, Json(BatchOut { data })))
}

/// Publishes what was admitted; what was not keeps its place and its error.
async fn publish_admitted(
    api: &Api,
    judged: Vec<Result<Admitted, ApiError>>,
) -> Vec<Result<StoredMessage, ApiError>> {
    let (mut admitted, mut waiting) = (Vec::new(), Vec::with_capacity(judged.len()));
    for result in judged {
        waiting.push(result.map(|message| {
            let stored = unpublished(&message);
            admitted.push(message);
            stored
        }));
    }
    let mut ids = api.messages.publish_many(admitted).await.into_iter();
    let mut with_id = |stored: StoredMessage| {
        let id = ids.next().unwrap_or(Err(PublishError::ShuttingDown))?;
        Ok(StoredMessage { id, ..stored })
    };
    waiting.into_iter().map(|stored| stored.and_then(&mut with_id)).collect()
}

fn entry(published: Result<StoredMessage, ApiError>, with_content: bool) -> Entry {
    match published {
        Ok(stored) => Entry::Accepted(Box::new(MessageOut::new(&stored, with_content))),
        Err(ApiError::Plain { code, detail, .. } | ApiError::Busy { code, detail, .. }) => {
            Entry::Refused { code, detail }
        }
        Err(ApiError::Invalid { message, .. }) => Entry::Refused { code: "validation", detail: message },
    }
}
