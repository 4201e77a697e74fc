//! A segment as readers and the writer share it, and the row of them that is the log.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;

use super::files::{FileKind, Files};
use super::index::{Facts, GrowingIndex, SealedIndex, SegmentIndex, SegmentSummary, row_hash};
use super::layout::SegmentHeader;
use super::limits::SEGMENT_HEADER_BYTES;
use super::reader::Filter;
use crate::record::EventSeen;
use crate::{EntryId, Position};

/// One file of the log, and what is known of it.
pub(super) struct Segment {
    pub(super) header: SegmentHeader,
    pub(super) index: RwLock<SegmentIndex>,
    closed: AtomicBool,
    unlinked: AtomicBool,
}

impl Segment {
    pub(super) fn new(header: SegmentHeader, index: SegmentIndex) -> Self {
        Self {
            header,
            index: RwLock::new(index),
            closed: AtomicBool::new(false),
            unlinked: AtomicBool::new(false),
        }
    }

    pub(super) fn number(&self) -> u32 {
        self.header.number
    }

    /// Says that nothing more is written to it.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn set_unlinked(&self, unlinked: bool) {
        self.unlinked.store(unlinked, Ordering::Release);
    }

    pub(super) fn is_unlinked(&self) -> bool {
        self.unlinked.load(Ordering::Acquire)
    }

    /// Bytes committed, with the header.
    pub(super) fn bytes(&self) -> u32 {
        self.index.read().facts().bytes
    }

    pub(super) fn with_facts<T>(&self, ask: impl FnOnce(&Facts) -> T) -> T {
        ask(self.index.read().facts())
    }

    /// Adds to the index, if it is still in memory.
    pub(super) fn grow(&self, add: impl FnOnce(&mut GrowingIndex)) {
        if let SegmentIndex::Growing(index) = &mut *self.index.write() {
            add(index);
        }
    }

    /// The parts between two offsets that may hold what is wanted, ascending.
    /// All but the first begin where a batch does.
    pub(super) fn parts(&self, from: u32, to: u32, wanted: &Filter) -> Vec<(u32, u32)> {
        let index = self.index.read();
        let (from, to) = (from.max(SEGMENT_HEADER_BYTES), to.min(index.facts().bytes));
        let mut parts: Vec<(u32, u32)> = Vec::new();
        for (begin, end) in blocks_between(&index, from, to, wanted) {
            match parts.last_mut() {
                Some(last) if last.1 == begin => last.1 = end,
                _ => parts.push((begin, end)),
            }
        }
        parts
    }

    /// Like [`Self::parts`], block by block.
    pub(super) fn blocks(&self, from: u32, to: u32, wanted: &Filter) -> Vec<(u32, u32)> {
        let index = self.index.read();
        let (from, to) = (from.max(SEGMENT_HEADER_BYTES), to.min(index.facts().bytes));
        blocks_between(&index, from, to, wanted).collect()
    }

    /// Offsets of records that may be about the message, ascending; `None` when the index file is damaged.
    pub(super) fn offsets_about(&self, files: &Files, message: EntryId) -> io::Result<Option<Vec<u32>>> {
        let hash = row_hash(message);
        let index = self.index.read();
        match &*index {
            SegmentIndex::Growing(growing) => {
                let rows = growing.rows();
                drop(index);
                let mut offsets = Vec::new();
                rows.iter().for_each(|chunk| chunk.find(hash, &mut offsets));
                Ok(Some(offsets))
            }
            SegmentIndex::Sealed(sealed) => {
                let sealed = Arc::clone(sealed);
                drop(index);
                sealed.offsets(&*files.open(self.number(), FileKind::Index)?, hash)
            }
        }
    }

    /// Event ids seen in the segment; `None` when the index file is damaged.
    pub(super) fn events(&self, files: &Files) -> io::Result<Option<Vec<EventSeen>>> {
        let index = self.index.read();
        match &*index {
            SegmentIndex::Growing(growing) => Ok(Some(growing.events().to_vec())),
            SegmentIndex::Sealed(sealed) => {
                let sealed = Arc::clone(sealed);
                drop(index);
                sealed.events(&*files.open(self.number(), FileKind::Index)?)
            }
        }
    }

    pub(super) fn summary(&self) -> SegmentSummary {
        let index = self.index.read();
        let facts = index.facts();
        SegmentSummary {
            number: self.number(),
            bytes: facts.bytes,
            created_ms: self.header.created_ms,
            closed: self.is_closed(),
            first_id: facts.id_first,
            last_id: facts.id_max,
            records: facts.records,
            messages: index.messages(),
        }
    }

    /// Writes the index of a closed segment to its file and lets go of what is kept there from now on.
    pub(super) fn seal(&self, files: &Files) -> io::Result<()> {
        let (bytes, segment_bytes) = match &*self.index.read() {
            SegmentIndex::Growing(index) => (SealedIndex::encode(&self.header, index), index.facts().bytes),
            SegmentIndex::Sealed(_) => return Ok(()),
        };
        let file = files.create(self.number(), FileKind::Index)?;
        file.write_at(&bytes, 0)?;
        let sealed = SealedIndex::read(&*file, &self.header, u64::from(segment_bytes))?;
        let sealed = sealed.ok_or_else(|| io::Error::other("the index file does not read back"))?;
        *self.index.write() = SegmentIndex::Sealed(Arc::new(sealed));
        Ok(())
    }
}

/// The blocks that lie between two offsets, cut to them, and may hold what is wanted.
fn blocks_between(
    index: &SegmentIndex,
    from: u32,
    to: u32,
    wanted: &Filter,
) -> impl Iterator<Item = (u32, u32)> {
    let blocks = index.blocks();
    let first = blocks.partition_point(|block| block.at <= from).saturating_sub(1);
    let ends = blocks[first..].iter().skip(1).map(|block| block.at).chain([u32::MAX]);
    let between = blocks[first..].iter().zip(ends).filter(move |(block, _)| wanted.may_be_in(block));
    between.map(move |(block, end)| (block.at.max(from), end.min(to))).filter(|(begin, end)| begin < end)
}

/// What the writer, the readers and the sealer share.
pub(super) struct Shared {
    pub(super) files: Files,
    /// Whether parts that are damaged are skipped and reported, instead of failing a read.
    pub(super) accept_damage: bool,
    /// Oldest first. Numbers ascend, without gaps unless damage was accepted.
    segments: RwLock<Vec<Arc<Segment>>>,
    end: AtomicU64,
}

impl Shared {
    pub(super) fn new(files: Files, accept_damage: bool, segments: Vec<Arc<Segment>>) -> Self {
        let end = segments
            .last()
            .map_or(Position::START, |last| Position { segment: last.number(), offset: last.bytes() });
        Self { files, accept_damage, segments: RwLock::new(segments), end: AtomicU64::new(end.as_u64()) }
    }

    /// Where the committed records end.
    pub(super) fn end(&self) -> Position {
        Position::from_u64(self.end.load(Ordering::Acquire))
    }

    pub(super) fn set_end(&self, end: Position) {
        self.end.store(end.as_u64(), Ordering::Release);
    }

    /// The segments, oldest first.
    pub(super) fn segments(&self) -> Vec<Arc<Segment>> {
        self.segments.read().clone()
    }

    /// The segment with this number.
    pub(super) fn segment(&self, number: u32) -> Option<Arc<Segment>> {
        let segments = self.segments.read();
        let place = segments.binary_search_by_key(&number, |segment| segment.number()).ok()?;
        Some(Arc::clone(&segments[place]))
    }

    pub(super) fn oldest(&self) -> Option<Arc<Segment>> {
        self.segments.read().first().cloned()
    }

    pub(super) fn push(&self, segment: Arc<Segment>) {
        self.segments.write().push(segment);
    }

    pub(super) fn forget_oldest(&self) {
        self.segments.write().remove(0);
    }
}
