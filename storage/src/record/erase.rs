//! What has to be overwritten of a record so that its content is gone: bytes stay as many as they were, a flag says
//! that they mean nothing any more.

use std::ops::Range;

use super::RecordKind;
use super::cursor::Cursor;
use super::decode::{COURSE_SINCE, message_fields};
use super::encode::{ATTEMPT_ERASED, HAS_NEXT, MESSAGE_ERASED};
use super::lists::PendingList;

/// Bytes of a message before its flags: id and application.
const MESSAGE_FLAGS_AT: usize = 16;
/// Bytes of an attempt before its flags: four numbers, two counts, start, duration, outcome, status and state.
const ATTEMPT_FLAGS_AT: usize = 32 + 4 + 8 + 4 + 1 + 2 + 1;

/// Where in a body the flag is set, and what is overwritten with zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Erasure {
    pub(crate) flags_at: usize,
    pub(crate) flag: u8,
    pub(crate) zeros: Vec<Range<usize>>,
}

/// The payload of a message, or the response of an attempt. `None` for records that have neither, and for attempts
/// in version 1, which have no room for the flag.
pub(crate) fn erasure(kind: u8, version: u8, body: &[u8]) -> Option<Erasure> {
    match RecordKind::from_code(kind)? {
        RecordKind::Message => message_erasure(0, body),
        RecordKind::Carried => {
            let mut cursor = Cursor::new(body);
            PendingList::decode(&mut cursor).ok()?;
            message_erasure(body.len() - cursor.rest().len(), body)
        }
        RecordKind::Attempt if version >= COURSE_SINCE => attempt_erasure(body),
        _ => None,
    }
}

fn message_erasure(begin: usize, body: &[u8]) -> Option<Erasure> {
    // The payload is the last field.
    let payload = message_fields(&mut Cursor::new(body.get(begin..)?)).ok()?.payload.len();
    let zeros = std::iter::once(body.len() - payload..body.len()).collect();
    Some(Erasure { flags_at: begin + MESSAGE_FLAGS_AT, flag: MESSAGE_ERASED, zeros })
}

fn attempt_erasure(body: &[u8]) -> Option<Erasure> {
    let mut cursor = Cursor::new(body);
    cursor.take(ATTEMPT_FLAGS_AT, "numbers").ok()?;
    let flags = cursor.u8("flags").ok()?;
    cursor.take(if flags & HAS_NEXT == 0 { 0 } else { 8 }, "next attempt").ok()?;
    cursor.take(4 + 8, "revision and position").ok()?;
    let mut zeros = Vec::new();
    // The detail may quote the response, such as where it redirects to.
    for field in ["response headers", "response body", "detail"] {
        let bytes = cursor.bytes(field).ok()?.len();
        let end = body.len() - cursor.rest().len();
        zeros.push(end - bytes..end);
    }
    Some(Erasure { flags_at: ATTEMPT_FLAGS_AT, flag: ATTEMPT_ERASED, zeros })
}
