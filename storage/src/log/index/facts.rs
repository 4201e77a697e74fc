//! Facts about a segment: sizes, counts, first and last.

use std::sync::Arc;

use super::note::Note;
use crate::EntryId;
use crate::log::limits::SEGMENT_HEADER_BYTES;
use crate::record::RecordKind;

/// What is known of a segment's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::log) struct Facts {
    /// Bytes committed, with the header.
    pub(in crate::log) bytes: u32,
    /// The number of the next batch after those in it.
    pub(in crate::log) next_batch: u64,
    /// The first id drawn for a record in it.
    pub(in crate::log) id_first: Option<EntryId>,
    /// The largest id drawn for a record in it.
    pub(in crate::log) id_max: Option<EntryId>,
    /// The largest id seen in any field.
    pub(in crate::log) id_seen_max: EntryId,
    /// Records of each kind, in the order of [`RecordKind::ALL`].
    pub(in crate::log) records: [u32; RecordKind::ALL.len()],
    /// Parts that are not what was written, and were accepted as lost: from, to.
    pub(in crate::log) damage: Vec<(u32, u32)>,
}

impl Facts {
    pub(in crate::log) fn new(first_batch: u64) -> Self {
        Self {
            bytes: SEGMENT_HEADER_BYTES,
            next_batch: first_batch,
            id_first: None,
            id_max: None,
            id_seen_max: EntryId::MIN,
            records: [0; RecordKind::ALL.len()],
            damage: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, note: &Note) {
        self.records[note.kind as usize - 1] += 1;
        self.id_first = self.id_first.or(note.own_id);
        self.id_max = self.id_max.max(note.own_id);
        self.id_seen_max = self.id_seen_max.max(note.id_seen());
    }

    /// The number of the next batch written behind those in it. Where its end is lost, at least one batch is: were
    /// its number used again, nothing behind the damage would prove, once read again, that it was no torn end.
    pub(in crate::log) fn next_batch_behind(&self) -> u64 {
        let ends_in_damage = self.damage.last().is_some_and(|(_, to)| *to >= self.bytes);
        self.next_batch + u64::from(ends_in_damage)
    }

    pub(in crate::log) fn count(&self, kind: RecordKind) -> u32 {
        self.records[kind as usize - 1]
    }
}

/// A segment in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Its number.
    pub number: u32,
    /// Its size, in bytes.
    pub bytes: u32,
    /// When it was begun, unix milliseconds: the latest time that
    /// [`Log::next_id`](crate::log::Log::next_id) had been told by then; 0 if none.
    pub created_ms: u64,
    /// Whether it is closed: no longer written, and so removable in its turn.
    pub closed: bool,
    /// The id of the first message or attempt in it.
    pub first_id: Option<EntryId>,
    /// The largest id of a message or attempt in it.
    pub last_id: Option<EntryId>,
    /// Records of each kind, in the order of [`RecordKind::ALL`].
    pub records: [u32; RecordKind::ALL.len()],
    /// New messages of each application that has any, sorted by application.
    pub messages: Arc<[(u64, u32)]>,
}

impl SegmentSummary {
    /// Records of this kind.
    pub fn count(&self, kind: RecordKind) -> u32 {
        self.records[kind as usize - 1]
    }
}
