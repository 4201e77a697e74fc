//! What the log stores, in the API's words, and whether it is what was asked for.

use bytes::Bytes;
use posthaste_storage::log::{LogReader, ReadError};
use posthaste_storage::record::{Attempt, Message};

use crate::api::{AttemptQuery, MessageStatus, StoredAttempt, StoredMessage};
use crate::core::delivery::{DeliveryState, Marks, Progress, Trigger};
use crate::core::ids::{AttemptId, EndpointId, MessageId};
use crate::core::outcome::Outcome;
use crate::delivery::Timing;

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

/// Whether the query takes this attempt, as far as its record alone can tell. An attempt has ended, so none is
/// pending or on its way.
pub(super) fn is_asked_for(attempt: &Attempt<'_>, query: &AttemptQuery) -> bool {
    let is_success = Outcome::from_code(attempt.outcome, attempt.status).is_some_and(Outcome::is_success);
    let status = if is_success { MessageStatus::Success } else { MessageStatus::Fail };
    query.endpoint.is_none_or(|endpoint| endpoint.as_u64() == attempt.endpoint)
        && query.status.is_none_or(|wanted| wanted == status)
        && query.status_code_class.is_none_or(|class| attempt.status / 100 == class / 100)
        && query.before_ms.is_none_or(|ms| attempt.started_ms < ms)
        && query.after_ms.is_none_or(|ms| attempt.started_ms > ms)
}

/// The message as the API knows it; its payload only where it is asked for.
pub(super) fn stored_message(message: &Message<'_>, with_content: bool) -> StoredMessage {
    let extras = message.extras.unpack();
    StoredMessage {
        id: MessageId(message.id),
        event_type: message.event_type.into(),
        event_id: message.event_id.map(Into::into),
        channels: message.channels.iter().map(Into::into).collect(),
        content_type: message.content_type.map(Into::into),
        payload: if with_content { Bytes::copy_from_slice(message.payload) } else { Bytes::new() },
        due_ms: extras.due_ms,
        ordering_key: extras.ordering_key.map(Into::into),
        url: extras.url.map(Into::into),
        erased: message.erased,
    }
}

/// The attempt as the API knows it; its response only where it is asked for. `None` for an outcome or state of a
/// newer version.
pub(super) fn stored_attempt(attempt: &Attempt<'_>, with_content: bool) -> Option<StoredAttempt> {
    let kept = |bytes| if with_content { Bytes::copy_from_slice(bytes) } else { Bytes::new() };
    let course = attempt.course;
    Some(StoredAttempt {
        id: AttemptId(attempt.id),
        message: MessageId(attempt.message),
        endpoint: EndpointId::from_u64(attempt.endpoint),
        number: attempt.number,
        started_ms: attempt.started_ms,
        outcome: Outcome::from_code(attempt.outcome, attempt.status)?,
        state: DeliveryState::from_code(attempt.state)?,
        next_attempt_ms: (attempt.next_attempt_ms > 0).then_some(attempt.next_attempt_ms),
        response_headers: kept(attempt.response_headers),
        response_body: kept(attempt.response_body),
        detail: attempt.detail.into(),
        endpoint_revision: attempt.endpoint_revision,
        elsewhere: Progress::from_u16(attempt.progress).marks.has(Marks::ELSEWHERE),
        timing: Timing {
            dns_us: course.dns_us,
            connect_us: course.connect_us,
            tls_us: course.tls_us,
            first_byte_us: course.first_byte_us,
            total_us: attempt.duration_us,
        },
        reused: course.reused,
        signed_secs: course.signed_secs,
        trigger: Trigger::from_code(course.trigger)?,
        erased: attempt.erased,
    })
}
