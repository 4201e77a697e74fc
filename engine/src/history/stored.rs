//! What the log stores, in the API's words, and whether it is what was asked for.

use bytes::Bytes;
use posthaste_storage::log::{LogReader, ReadError};
use posthaste_storage::record::{Attempt, Message};

use crate::api::{AttemptQuery, StoredAttempt, StoredMessage};
use crate::core::delivery::DeliveryState;
use crate::core::ids::{AttemptId, EndpointId, MessageId};
use crate::core::outcome::Outcome;

pub(super) fn is_wanted(message: &Message<'_>, event_types: &[String], channel: Option<&str>) -> bool {
    let of_type = event_types.is_empty() || event_types.iter().any(|wanted| wanted == message.event_type);
    of_type && channel.is_none_or(|wanted| message.channels.iter().any(|channel| channel == wanted))
}

pub(super) fn message_is_wanted(
    reader: &LogReader,
    attempt: &Attempt<'_>,
    query: &AttemptQuery,
) -> Result<bool, ReadError> {
    let owned = match reader.record_at(attempt.message_at)? {
        Some(owned) => owned,
        None => return Ok(false),
    };
    let message = owned.record().message().copied();
    Ok(message.is_some_and(|message| is_wanted(&message, &query.event_types, query.channel.as_deref())))
}

pub(super) fn is_asked_for(attempt: &StoredAttempt, query: &AttemptQuery) -> bool {
    query.endpoint.is_none_or(|endpoint| endpoint == attempt.endpoint)
        && query.status.is_none_or(|status| status == attempt.status())
        && query.status_code_class.is_none_or(|class| attempt.is_of_class(class))
        && query.before_ms.is_none_or(|ms| attempt.started_ms < ms)
        && query.after_ms.is_none_or(|ms| attempt.started_ms > ms)
}

pub(super) fn stored_message(message: &Message<'_>) -> StoredMessage {
    let extras = message.extras.unpack();
    StoredMessage {
        id: MessageId(message.id),
        event_type: message.event_type.into(),
        event_id: message.event_id.map(Into::into),
        channels: message.channels.iter().map(Into::into).collect(),
        content_type: message.content_type.map(Into::into),
        payload: Bytes::copy_from_slice(message.payload),
        due_ms: extras.due_ms,
        ordering_key: extras.ordering_key.map(Into::into),
        url: extras.url.map(Into::into),
    }
}

/// `None` for an outcome or state of a newer version.
pub(super) fn stored_attempt(attempt: &Attempt<'_>) -> Option<StoredAttempt> {
    Some(StoredAttempt {
        id: AttemptId(attempt.id),
        message: MessageId(attempt.message),
        endpoint: EndpointId::from_u64(attempt.endpoint),
        number: attempt.number,
        started_ms: attempt.started_ms,
        duration_us: attempt.duration_us,
        outcome: Outcome::from_code(attempt.outcome, attempt.status)?,
        state: DeliveryState::from_code(attempt.state)?,
        next_attempt_ms: (attempt.next_attempt_ms > 0).then_some(attempt.next_attempt_ms),
        response_headers: Bytes::copy_from_slice(attempt.response_headers),
        response_body: Bytes::copy_from_slice(attempt.response_body),
        detail: attempt.detail.into(),
        endpoint_revision: attempt.endpoint_revision,
    })
}
