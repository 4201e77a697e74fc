//! The batch that gathers in memory until it is committed: one write, whatever the number of its records.

use super::index::{Marks, Note};
use super::layout::{BatchHeader, record_header, record_span};
use super::limits::{BATCH_BYTES_MAX, BATCH_HEADER_BYTES, RECORD_BYTES_MAX, RECORD_HEADER_BYTES};
use super::{AppendError, SegmentHeader};
use crate::Position;
use crate::checksum::Salt;
use crate::record::{RECORD_VERSION, Record};

/// Records on their way to a known place. Their checksums depend on it, so it is fixed by the first record.
pub(super) struct PendingBatch {
    /// The batch as it will be on disk; the header is filled in last.
    buffer: Vec<u8>,
    notes: Vec<Note>,
    marks: Marks,
    /// Where it goes; meaningful while there are records.
    place: Place,
}

/// Where a batch goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) at: Position,
    pub(super) salt: Salt,
    /// The segment that has to be begun first.
    pub(super) new_segment: Option<SegmentHeader>,
}

impl PendingBatch {
    pub(super) fn new() -> Self {
        let place = Place { at: Position::START, salt: Salt(0), new_segment: None };
        Self { buffer: Vec::new(), notes: Vec::new(), marks: Marks::default(), place }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    pub(super) fn notes(&self) -> &[Note] {
        &self.notes
    }

    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Fixes where the batch goes.
    pub(super) fn begin(&mut self, place: Place) {
        self.clear();
        self.place = place;
        self.buffer.resize(BATCH_HEADER_BYTES as usize, 0);
    }

    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        self.notes.clear();
        self.marks = Marks::default();
    }

    /// Whether the record can be taken at all, before anything is copied.
    pub(super) fn check(&self, record: &Record<'_>) -> Result<(), AppendError> {
        check_size(record, record.bytes_min())?;
        if self.buffer.len() >= BATCH_BYTES_MAX as usize {
            return Err(AppendError::BatchFull {
                bytes: self.buffer.len() as u64,
                max: BATCH_BYTES_MAX.into(),
            });
        }
        Ok(())
    }

    /// Adds a record; returns where it will be.
    pub(super) fn push(&mut self, record: &Record<'_>) -> Result<Position, AppendError> {
        let begin = self.buffer.len();
        let offset = self.place.at.offset + begin as u32;
        let body_at = begin + RECORD_HEADER_BYTES as usize;
        self.buffer.resize(body_at, 0);
        record.encode(&mut self.buffer);
        let body = &self.buffer[body_at..];
        if let Err(error) = check_size(record, body.len()) {
            self.buffer.truncate(begin);
            return Err(error);
        }
        let span = record_span(body.len() as u32) as usize;
        let header = record_header(record.kind() as u8, RECORD_VERSION, body, offset, self.place.salt);
        self.buffer[begin..body_at].copy_from_slice(&header);
        self.buffer.resize(begin + span, 0);
        self.notes.push(Note::new(offset, record));
        self.marks.add(record);
        Ok(Position { segment: self.place.at.segment, offset })
    }

    /// The whole batch as it goes to disk, under this number.
    pub(super) fn seal(&mut self, number: u64) -> &[u8] {
        let bytes = self.buffer.len() as u32 - BATCH_HEADER_BYTES;
        let header = BatchHeader { bytes, records: self.notes.len() as u32, number };
        let header = header.encode(self.place.at.offset, self.place.salt);
        self.buffer[..header.len()].copy_from_slice(&header);
        &self.buffer
    }
}

fn check_size(record: &Record<'_>, bytes: usize) -> Result<(), AppendError> {
    if bytes <= RECORD_BYTES_MAX as usize {
        return Ok(());
    }
    Err(AppendError::RecordTooLarge {
        kind: record.kind(),
        bytes: bytes as u64,
        max: RECORD_BYTES_MAX.into(),
    })
}
