//! The index of the segment being written: appended to once a commit, read under a short lock.
//!
//! Rows gather in chunks that never change once full, so that a reader takes the full ones by reference and
//! copies only the last, and searches them without holding up the writer.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::block::Block;
use super::facts::Facts;
use super::marks::Marks;
use super::note::{Note, Row, row_hash};
use crate::record::{EventSeen, RecordKind};

/// Rows to a chunk: what a reader copies at most (32 KiB).
const CHUNK_ROWS: usize = 4096;

pub(in crate::log) struct GrowingIndex {
    facts: Facts,
    block_bytes: u32,
    blocks: Vec<Block>,
    full: Vec<Arc<RowChunk>>,
    last: Vec<Row>,
    events: Vec<EventSeen>,
    messages: HashMap<u64, u32>,
}

impl GrowingIndex {
    /// The index of an empty segment; blocks are at least `block_bytes` long.
    pub(in crate::log) fn new(first_batch: u64, block_bytes: u32) -> Self {
        Self {
            facts: Facts::new(first_batch),
            block_bytes,
            blocks: Vec::new(),
            full: Vec::new(),
            last: Vec::new(),
            events: Vec::new(),
            messages: HashMap::new(),
        }
    }

    /// Takes in the batch `number` that lies between these offsets.
    pub(in crate::log) fn add_batch(
        &mut self,
        number: u64,
        at: u32,
        end: u32,
        notes: &[Note],
        marks: &Marks,
    ) {
        if self.blocks.last().is_none_or(|block| at - block.at >= self.block_bytes) {
            self.blocks.push(Block::new(at));
        }
        for note in notes {
            self.add(note);
        }
        if let Some(block) = self.blocks.last_mut() {
            block.marks.merge(marks);
        }
        self.facts.bytes = end;
        self.facts.next_batch = number + 1;
    }

    fn add(&mut self, note: &Note) {
        self.facts.add(note);
        if let Some(block) = self.blocks.last_mut() {
            block.add(note);
        }
        if let Some(message) = note.about {
            self.add_row(Row { hash: row_hash(message), at: note.at });
        }
        self.events.extend(note.event);
        if let (RecordKind::Message, Some(application)) = (note.kind, note.application) {
            *self.messages.entry(application).or_default() += 1;
        }
    }

    fn add_row(&mut self, row: Row) {
        self.last.push(row);
        if self.last.len() == CHUNK_ROWS {
            self.full.push(Arc::new(RowChunk::full(&self.last)));
            self.last.clear();
        }
    }

    /// Notes that the bytes between these offsets are lost. Every search must come across them and say so.
    pub(in crate::log) fn add_damage(&mut self, from: u32, to: u32) {
        if self.blocks.is_empty() {
            self.blocks.push(Block::new(from));
        }
        if let Some(block) = self.blocks.last_mut() {
            block.add_any();
        }
        self.facts.damage.push((from, to));
        self.facts.bytes = self.facts.bytes.max(to);
    }

    pub(in crate::log) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(in crate::log) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    pub(in crate::log) fn events(&self) -> &[EventSeen] {
        &self.events
    }

    /// The rows, in the order of writing, to be searched without the lock.
    pub(in crate::log) fn rows(&self) -> Vec<Arc<RowChunk>> {
        let last = RowChunk { rows: self.last.as_slice().into(), by_hash: None };
        self.full.iter().cloned().chain([Arc::new(last)]).collect()
    }

    /// Messages of each application, by application.
    pub(in crate::log) fn messages(&self) -> Vec<(u64, u32)> {
        let mut messages: Vec<_> =
            self.messages.iter().map(|(application, count)| (*application, *count)).collect();
        messages.sort_unstable();
        messages
    }
}

/// Rows in the order of writing. Those of a full chunk are sorted by the first who searches it: the writer does not
/// pay for searches that never come.
pub(in crate::log) struct RowChunk {
    rows: Box<[Row]>,
    by_hash: Option<OnceLock<Box<[Row]>>>,
}

impl RowChunk {
    fn full(rows: &[Row]) -> Self {
        Self { rows: rows.into(), by_hash: Some(OnceLock::new()) }
    }

    pub(in crate::log) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Adds the offsets of the rows with this hash, ascending.
    pub(in crate::log) fn find(&self, hash: u32, offsets: &mut Vec<u32>) {
        let Some(by_hash) = &self.by_hash else {
            return offsets.extend(self.rows.iter().filter(|row| row.hash == hash).map(|row| row.at));
        };
        let sorted = by_hash.get_or_init(|| {
            let mut sorted = self.rows.clone();
            sorted.sort_unstable();
            sorted
        });
        let first = sorted.partition_point(|row| row.hash < hash);
        offsets.extend(sorted[first..].iter().take_while(|row| row.hash == hash).map(|row| row.at));
    }
}
