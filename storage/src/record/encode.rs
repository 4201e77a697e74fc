//! From record to bytes.

use super::cursor::{put_bytes, put_len};
use super::{Attempt, Carried, Change, Message, Parked, Record, Settled};

/// Flags of a message.
pub(super) const HAS_EVENT_ID: u8 = 1;
pub(super) const HAS_CONTENT_TYPE: u8 = 2;
pub(super) const HAS_EXTRAS: u8 = 4;
pub(super) const MESSAGE_ERASED: u8 = 8;
/// Flags of an attempt: there will be another; its response was erased.
pub(super) const HAS_NEXT: u8 = 1;
pub(super) const ATTEMPT_ERASED: u8 = 2;
/// Flag of a change.
pub(super) const HAS_VALUE: u8 = 1;

impl Record<'_> {
    /// Appends the body to `into`.
    pub fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::Message(message) => encode_message(message, into),
            Self::Attempt(attempt) => encode_attempt(attempt, into),
            Self::Parked(parked) => encode_parked(parked, into),
            Self::Settled(settled) => encode_settled(settled, into),
            Self::Change(change) => encode_change(change, into),
            Self::Carried(carried) => encode_carried(carried, into),
        }
    }

    /// Bytes of the largest fields: the body is at least this long. Cheap, to refuse a giant before copying it.
    pub(crate) fn bytes_min(&self) -> usize {
        match self {
            Self::Message(Message { payload, .. }) => payload.len(),
            Self::Carried(carried) => carried.message.payload.len(),
            Self::Attempt(attempt) => attempt.response_headers.len() + attempt.response_body.len(),
            Self::Change(change) => change.key.len() + change.value.map_or(0, <[u8]>::len),
            Self::Parked(_) | Self::Settled(_) => 0,
        }
    }
}

fn put_u64s<const N: usize>(into: &mut Vec<u8>, numbers: [u64; N]) {
    for number in numbers {
        into.extend_from_slice(&number.to_le_bytes());
    }
}

fn encode_message(message: &Message<'_>, into: &mut Vec<u8>) {
    put_u64s(into, [message.id.as_u64(), message.application]);
    let event_id_flag = if message.event_id.is_some() { HAS_EVENT_ID } else { 0 };
    let content_type_flag = if message.content_type.is_some() { HAS_CONTENT_TYPE } else { 0 };
    let extras_flag = if message.extras.is_none() { 0 } else { HAS_EXTRAS };
    let erased_flag = if message.erased { MESSAGE_ERASED } else { 0 };
    into.push(event_id_flag | content_type_flag | extras_flag | erased_flag);
    put_bytes(into, message.event_type.as_bytes());
    for text in [message.event_id, message.content_type].into_iter().flatten() {
        put_bytes(into, text.as_bytes());
    }
    if extras_flag != 0 {
        message.extras.encode(into);
    }
    put_len(into, message.channels.len());
    for channel in message.channels.iter() {
        put_bytes(into, channel.as_bytes());
    }
    into.extend_from_slice(&message.digest);
    put_len(into, message.endpoints.len());
    for endpoint in message.endpoints.iter() {
        into.extend_from_slice(&endpoint.to_le_bytes());
    }
    put_bytes(into, message.payload);
}

fn encode_attempt(attempt: &Attempt<'_>, into: &mut Vec<u8>) {
    put_u64s(into, [attempt.id.as_u64(), attempt.message.as_u64(), attempt.application, attempt.endpoint]);
    into.extend_from_slice(&attempt.number.to_le_bytes());
    into.extend_from_slice(&attempt.progress.to_le_bytes());
    into.extend_from_slice(&attempt.started_ms.to_le_bytes());
    into.extend_from_slice(&attempt.duration_us.to_le_bytes());
    into.push(attempt.outcome);
    into.extend_from_slice(&attempt.status.to_le_bytes());
    into.push(attempt.state);
    let erased_flag = if attempt.erased { ATTEMPT_ERASED } else { 0 };
    if attempt.next_attempt_ms == 0 {
        into.push(erased_flag);
    } else {
        into.push(HAS_NEXT | erased_flag);
        into.extend_from_slice(&attempt.next_attempt_ms.to_le_bytes());
    }
    into.extend_from_slice(&attempt.endpoint_revision.to_le_bytes());
    into.extend_from_slice(&attempt.message_at.as_u64().to_le_bytes());
    put_bytes(into, attempt.response_headers);
    put_bytes(into, attempt.response_body);
    put_bytes(into, attempt.detail.as_bytes());
    attempt.course.encode(attempt.started_ms, into);
}

fn encode_parked(parked: &Parked, into: &mut Vec<u8>) {
    put_u64s(into, [parked.message.as_u64(), parked.application, parked.endpoint]);
    into.extend_from_slice(&parked.attempts.to_le_bytes());
    put_u64s(into, [parked.due_ms, parked.message_at.as_u64()]);
}

fn encode_settled(settled: &Settled, into: &mut Vec<u8>) {
    put_u64s(into, [settled.message.as_u64(), settled.application, settled.endpoint]);
    into.push(settled.state);
    put_u64s(into, [settled.at_ms]);
}

fn encode_change(change: &Change<'_>, into: &mut Vec<u8>) {
    into.push(if change.value.is_some() { HAS_VALUE } else { 0 });
    put_bytes(into, change.key);
    if let Some(value) = change.value {
        put_bytes(into, value);
    }
}

fn encode_carried(carried: &Carried<'_>, into: &mut Vec<u8>) {
    put_len(into, carried.pending.len());
    for pending in carried.pending.iter() {
        pending.encode(into);
    }
    encode_message(&carried.message, into);
}
