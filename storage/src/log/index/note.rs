//! What the index wants to know of a record.

use crate::EntryId;
use crate::checksum::mix;
use crate::record::{EventSeen, Record, RecordKind};

/// What the index wants to know of a record.
#[derive(Debug, Clone, Copy)]
pub(in crate::log) struct Note {
    pub(in crate::log) at: u32,
    pub(in crate::log) kind: RecordKind,
    /// The id drawn for the record.
    pub(in crate::log) own_id: Option<EntryId>,
    /// The message that a reader would look for it by: what it is about, or the one it carries.
    pub(in crate::log) about: Option<EntryId>,
    pub(in crate::log) application: Option<u64>,
    pub(in crate::log) event: Option<EventSeen>,
}

impl Note {
    pub(in crate::log) fn new(at: u32, record: &Record<'_>) -> Self {
        let about = match record {
            Record::Carried(carried) => Some(carried.message.id),
            _ => record.about(),
        };
        Self {
            at,
            kind: record.kind(),
            own_id: record.own_id(),
            about,
            application: record.application(),
            event: record.event(),
        }
    }

    /// The larger of the ids in it.
    pub(in crate::log) fn id_seen(&self) -> EntryId {
        self.own_id.max(self.about).unwrap_or(EntryId::MIN)
    }
}

/// Where a record about a message lies. Rows sort by hash, then by offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::log) struct Row {
    pub(in crate::log) hash: u32,
    pub(in crate::log) at: u32,
}

/// The hash under which the rows of a message are kept. Stored on disk: it never changes.
pub(in crate::log) const fn row_hash(message: EntryId) -> u32 {
    (mix(message.as_u64()) >> 32) as u32
}
