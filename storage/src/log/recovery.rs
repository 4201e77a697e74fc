//! Opening the log: what is there, what a crash left half done, and what should not be so.
//!
//! Only one thing can be half done after a crash: the end. A batch is written only after the one before it was
//! synced, and a segment is begun only after the last batch of the one before. So a batch that is not whole is
//! - **torn**, if nothing after it proves that it was ever synced: no batch with a larger number behind it, no
//!   segment begun behind it. It was never acknowledged; it is cut off.
//! - **damage** otherwise: it was durable once, and may have been acknowledged. The log does not open, unless
//!   damage is accepted; then what is lost is skipped, and reported here and by every read that meets it.
//!
//! One case looks alike and is not: what was durable is missing from the very end, and nothing behind it speaks for
//! it. Whoever keeps what is derived from the log can: it heard of nothing before it was durable
//! ([`LogOptions::durable_to`]). A log that ends before that is damaged; one that nobody speaks for is taken for torn.
//!
//! A process may also have died, or a sync failed, after a write and before it was durable: then the last
//! batch is whole in the page cache and nowhere else. So it is written once more, over itself, and synced before
//! anything builds on it.
//!
//! Closed segments are taken at the word of their index files; a segment without a good one is read through.
//!
//! Room left: a segment that was lengthened with zeros beforehand has nothing but zeros after its last batch. They
//! are cut off like a torn batch; a later version may keep them.

mod scan;

use std::io;
use std::sync::Arc;

use self::scan::{Met, Scan};
use super::files::{FileKind, Files};
use super::index::{Facts, GrowingIndex, SealedIndex, SegmentIndex};
use super::layout::{HeaderFault, SegmentHeader};
use super::limits::SEGMENT_HEADER_BYTES;
use super::segment::Segment;
use super::walker::{Step, Walker};
use super::{Damage, LogError, LogOptions};
use crate::disk::DiskFile;
use crate::{EntryId, Position};

/// What was found when the log was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Segments found.
    pub segments: usize,
    /// Where the records begin.
    pub first: Position,
    /// Where the records end.
    pub end: Position,
    /// The largest id in the log.
    pub last_id: EntryId,
    /// Bytes of a batch that was never acknowledged, cut from the end of the log.
    pub torn_bytes: u64,
    /// The segment that was being begun, and was removed.
    pub torn_segment: Option<u32>,
    /// Segments whose index files were missing or damaged, and were made again.
    pub indexes_rebuilt: Vec<u32>,
    /// What was durable and is lost. Empty unless damage is accepted.
    pub damage: Vec<Damage>,
}

/// The open segments and what was found.
pub(super) struct Recovered {
    pub(super) segments: Vec<Arc<Segment>>,
    /// The largest segment number in use.
    pub(super) last_segment: u32,
    /// The number of the next batch.
    pub(super) next_batch: u64,
    pub(super) recovery: Recovery,
}

pub(super) fn recover(files: &Files, options: &LogOptions) -> Result<Recovered, LogError> {
    let mut opening =
        Opening { files, options, torn_bytes: 0, indexes_rebuilt: Vec::new(), damage: Vec::new() };
    let mut numbers = files.list(FileKind::Segment).map_err(LogError::io("list the segments"))?;
    let torn_segment = opening.remove_torn_segment(&numbers)?;
    numbers.retain(|number| Some(*number) != torn_segment);
    opening.remove_orphans(&numbers)?;
    let segments = opening.open_segments(&numbers, torn_segment.is_some())?;
    opening.check_reaches(segments.last().map_or(Position::START, end_of))?;
    if let Some(last) = segments.last() {
        opening.make_durable(last)?;
    }
    Ok(opening.finish(segments, numbers.last().copied(), torn_segment))
}

/// There is no other trace of it than that somebody knows better.
const ENDS_EARLY: &str = "the log ends here, and it was longer once";

struct Opening<'a> {
    files: &'a Files,
    options: &'a LogOptions,
    torn_bytes: u64,
    indexes_rebuilt: Vec<u32>,
    damage: Vec<Damage>,
}

impl Opening<'_> {
    /// Removes the last segment if a crash interrupted its beginning: its header was never synced, so no batch
    /// was written to it.
    fn remove_torn_segment(&self, numbers: &[u32]) -> Result<Option<u32>, LogError> {
        let Some(&number) = numbers.last() else { return Ok(None) };
        let doing = || format!("read segment {number}");
        let file = self.files.open(number, FileKind::Segment).map_err(LogError::io(doing()))?;
        if file.bytes().map_err(LogError::io(doing()))? > SEGMENT_HEADER_BYTES.into() {
            return Ok(None);
        }
        if read_header(&*file).map_err(LogError::io(doing()))? != Err(HeaderFault::Damaged) {
            return Ok(None);
        }
        let doing = || format!("remove segment {number}, whose beginning was interrupted");
        self.files.remove(number, FileKind::Segment).map_err(LogError::io(doing()))?;
        self.files.sync_folder().map_err(LogError::io(doing()))?;
        Ok(Some(number))
    }

    /// Removes index files without a segment, and the one of the segment that is written next.
    fn remove_orphans(&self, numbers: &[u32]) -> Result<(), LogError> {
        let indexes = self.files.list(FileKind::Index).map_err(LogError::io("list the index files"))?;
        for number in indexes {
            if numbers.last() == Some(&number) || numbers.binary_search(&number).is_err() {
                let doing = format!("remove the index file of segment {number}");
                self.files.remove(number, FileKind::Index).map_err(LogError::io(doing))?;
            }
        }
        Ok(())
    }

    fn open_segments(&mut self, numbers: &[u32], end_is_proven: bool) -> Result<Vec<Arc<Segment>>, LogError> {
        let mut segments: Vec<Arc<Segment>> = Vec::with_capacity(numbers.len());
        for (place, &number) in numbers.iter().enumerate() {
            let is_last = place + 1 == numbers.len();
            if let Some(segment) = self.open_segment(number, is_last, is_last && !end_is_proven)? {
                self.check_follows(segments.last(), &segment)?;
                segments.push(segment);
            }
        }
        Ok(segments)
    }

    /// Opens one segment; `None` when its header is lost and damage is accepted.
    fn open_segment(
        &mut self,
        number: u32,
        is_last: bool,
        may_be_torn: bool,
    ) -> Result<Option<Arc<Segment>>, LogError> {
        let opened = self.files.open(number, FileKind::Segment);
        let file = opened.map_err(LogError::io(format!("open segment {number}")))?;
        let Some((header, bytes)) = self.check_header(&*file, number)? else { return Ok(None) };
        if is_last {
            let index = self.scan(&*file, &header, bytes, may_be_torn)?;
            return Ok(Some(Arc::new(Segment::new(header, SegmentIndex::Growing(Box::new(index))))));
        }
        let segment = match self.load_index(&header, bytes) {
            Some(index) => {
                let damage = index.facts.damage.iter();
                self.damage.extend(damage.map(|(from, to)| damage_at(number, *from, *to, "lost before")));
                Segment::new(header, SegmentIndex::Sealed(Arc::new(index)))
            }
            None => self.rebuild_index(&*file, header, bytes)?,
        };
        segment.close();
        Ok(Some(Arc::new(segment)))
    }

    /// The header and the size of a segment; `None` when they are lost and damage is accepted.
    fn check_header(
        &mut self,
        file: &dyn DiskFile,
        number: u32,
    ) -> Result<Option<(SegmentHeader, u32)>, LogError> {
        let doing = || format!("read segment {number}");
        let bytes = file.bytes().map_err(LogError::io(doing()))?;
        let what = match (read_header(file).map_err(LogError::io(doing()))?, u32::try_from(bytes)) {
            (Ok(header), Ok(bytes)) if header.number == number => return Ok(Some((header, bytes))),
            (Ok(header), Ok(_)) if header.number != number => "the header is that of another segment",
            (Ok(_), _) => "the file is longer than any segment",
            (Err(HeaderFault::Damaged), _) => "the header is damaged",
            (Err(HeaderFault::Newer { version }), _) => {
                let at = Position { segment: number, offset: 0 };
                return Err(LogError::Newer { at, what: format!("log format {version}") });
            }
        };
        self.accept(damage_at(number, 0, u32::MAX, what)).map(|()| None)
    }

    /// What is known to have been durable is there, or it is damage that it is not.
    fn check_reaches(&mut self, end: Position) -> Result<(), LogError> {
        if end >= self.options.durable_to || self.ends_early() {
            return Ok(());
        }
        self.accept(damage_at(end.segment, end.offset, u32::MAX, ENDS_EARLY))
    }

    /// Whether it was found, and accepted, that the end is missing.
    fn ends_early(&self) -> bool {
        self.damage.iter().any(|damage| damage.what == ENDS_EARLY)
    }

    fn rebuild_index(
        &mut self,
        file: &dyn DiskFile,
        header: SegmentHeader,
        bytes: u32,
    ) -> Result<Segment, LogError> {
        let index = self.scan(file, &header, bytes, false)?;
        let segment = Segment::new(header, SegmentIndex::Growing(Box::new(index)));
        self.indexes_rebuilt.push(header.number);
        if let Err(error) = segment.seal(self.files) {
            tracing::warn!(segment = header.number, %error, "no index file for a closed segment; it stays in memory");
        }
        Ok(segment)
    }

    fn load_index(&self, header: &SegmentHeader, segment_bytes: u32) -> Option<SealedIndex> {
        let file = self.files.open(header.number, FileKind::Index).ok()?;
        SealedIndex::read(&*file, header, segment_bytes.into()).ok()?
    }

    fn accept(&mut self, damage: Damage) -> Result<(), LogError> {
        if !self.options.accept_damage {
            return Err(LogError::Damaged(damage));
        }
        self.damage.push(damage);
        Ok(())
    }

    /// Segments and batches are numbered without gaps; where one is missing, so is what it held.
    fn check_follows(&mut self, before: Option<&Arc<Segment>>, segment: &Segment) -> Result<(), LogError> {
        let Some(before) = before else { return Ok(()) };
        if segment.number() != before.number() + 1 {
            self.accept(damage_at(before.number() + 1, 0, u32::MAX, "the segment is missing"))
        } else if before.with_facts(|facts| {
            // What was written behind an end that is lost leaves a number out.
            ![facts.next_batch, facts.next_batch_behind()].contains(&segment.header.first_batch)
        }) {
            self.accept(damage_at(
                before.number(),
                before.bytes(),
                u32::MAX,
                "batches are missing at its end",
            ))
        } else {
            Ok(())
        }
    }

    /// Reads a segment through.
    fn scan(
        &mut self,
        file: &dyn DiskFile,
        header: &SegmentHeader,
        bytes: u32,
        may_be_torn: bool,
    ) -> Result<GrowingIndex, LogError> {
        let number = header.number;
        let walker = Walker::new(file, header.salt, SEGMENT_HEADER_BYTES, bytes, bytes);
        let walker = walker.expect_batch(header.first_batch);
        let mut scan = Scan::new(walker, GrowingIndex::new(header.first_batch, self.options.block_bytes));
        let io = |source| LogError::Io { doing: format!("read segment {number}"), source };
        loop {
            match scan.step().map_err(io)? {
                Met::End => return Ok(scan.index),
                Met::Whole => {}
                Met::Newer { at, kind, version } => {
                    let what = format!("record kind {kind}, version {version}");
                    return Err(LogError::Newer { at: Position { segment: number, offset: at }, what });
                }
                Met::Invalid { at, .. } if may_be_torn && !scan.is_followed().map_err(io)? => {
                    let whole = scan.index.facts().bytes;
                    debug_assert!(whole <= at);
                    self.check_reaches(Position { segment: number, offset: whole })?;
                    return self.cut(file, number, whole, bytes).map(|()| scan.index);
                }
                Met::Invalid { at, what } => {
                    let to = scan.skip(at).map_err(io)?;
                    self.accept(damage_at(number, at, to, what))?;
                }
            }
        }
    }

    fn cut(&mut self, file: &dyn DiskFile, number: u32, whole: u32, bytes: u32) -> Result<(), LogError> {
        file.truncate(whole.into())
            .map_err(LogError::io(format!("cut a torn batch from segment {number}")))?;
        if !self.ends_early() {
            self.torn_bytes = u64::from(bytes - whole);
        }
        Ok(())
    }

    /// Makes sure that the end of the log is on disk, and not only in the page cache of a process that died.
    fn make_durable(&self, last: &Segment) -> Result<(), LogError> {
        let rewrite = || -> io::Result<()> {
            let file = self.files.open(last.number(), FileKind::Segment)?;
            let from = last_batch_at(&*file, last)?;
            let mut bytes = vec![0; (last.bytes() - from) as usize];
            if file.read_at(&mut bytes, from.into())? < bytes.len() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            file.write_at(&bytes, from.into())?;
            file.sync()?;
            self.files.sync_folder()
        };
        rewrite().map_err(LogError::io(format!("make the end of segment {} durable", last.number())))
    }

    fn finish(
        self,
        segments: Vec<Arc<Segment>>,
        last_number: Option<u32>,
        torn_segment: Option<u32>,
    ) -> Recovered {
        let begin =
            |segment: &Arc<Segment>| Position { segment: segment.number(), offset: SEGMENT_HEADER_BYTES };
        // What was handed out before, too: its segments may be gone.
        let last_id = segments
            .iter()
            .map(|segment| segment.header.last_id.max(segment.with_facts(|facts| facts.id_seen_max)));
        let next_batch = segments.last().map(|segment| segment.with_facts(Facts::next_batch_behind));
        let recovery = Recovery {
            segments: segments.len(),
            first: segments.first().map_or(Position::START, begin),
            end: segments.last().map_or(Position::START, end_of),
            last_id: last_id.max().unwrap_or(EntryId::MIN),
            torn_bytes: self.torn_bytes,
            torn_segment,
            indexes_rebuilt: self.indexes_rebuilt,
            damage: self.damage,
        };
        Recovered {
            segments,
            last_segment: last_number.unwrap_or(0),
            next_batch: next_batch.unwrap_or(1),
            recovery,
        }
    }
}

fn end_of(segment: &Arc<Segment>) -> Position {
    Position { segment: segment.number(), offset: segment.bytes() }
}

fn damage_at(segment: u32, from: u32, to: u32, what: &'static str) -> Damage {
    Damage { segment, from, to, what }
}

fn read_header(file: &dyn DiskFile) -> io::Result<Result<SegmentHeader, HeaderFault>> {
    let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
    file.read_at(&mut bytes, 0)?;
    Ok(SegmentHeader::decode(&bytes))
}

/// Where the last batch of the segment begins; at its header, if it has none.
fn last_batch_at(file: &dyn DiskFile, segment: &Segment) -> io::Result<u32> {
    let Some((from, end)) = segment.blocks(0, u32::MAX, &super::reader::Filter::ALL).pop() else {
        return Ok(0);
    };
    let mut walker = Walker::new(file, segment.header.salt, from, end, end);
    let mut last = from;
    loop {
        match walker.step()? {
            Step::Batch { at, .. } => last = at,
            Step::Record { .. } => {}
            Step::Newer { .. } | Step::End => return Ok(last),
            Step::Invalid { .. } => _ = walker.skip_invalid()?,
        }
    }
}
