//! The log: the truth, append-only, in segment files.
//!
//! Records gather in memory; a commit writes them as one batch and syncs once. Only what was committed is
//! acknowledged, and only what was committed is read. Segments are closed when they are large enough, get an
//! index file beside them, and are removed whole, oldest first.
//!
//!   append, append, ... --> commit: one write, one sync --> readers see it
//!                             |
//!                             +-- disk full: taken back, still pending; commit again or discard
//!                             +-- no descriptor for a new segment: likewise, and the next batch goes on in the old one
//!                             +-- anything else: poisoned, nothing is accepted until the log is opened again
//!
//! Files in the log's folder: `<number, 10 digits>.seg`, and `.idx` for closed ones. Bytes: see `log/layout.rs`,
//! `record.rs`, `log/index/file.rs`. What a crash leaves and how it is told from damage: see `log/recovery.rs`.
//! What a disk is trusted with: see [`disk`](crate::disk).
//!
//! Invariants
//! - A commit that returned `Ok` survives a power cut; one that returned an error is never shown to a reader.
//! - A batch is written only after the batch before it was synced; a segment is begun only after the last batch
//!   of the one before was synced, and written only after its own header was.
//! - What is written is never changed, but for content that is erased (`log/erase.rs`).
//! - Positions and ids only grow. Batch and segment numbers have no gaps.
//! - After a failed sync nothing more is written.
//!
//! Not here: when to commit, what to keep, what a record means.

mod batch;
mod erase;
mod error;
mod files;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod index;
mod layout;
mod limits;
mod options;
mod reader;
mod recovery;
mod sealer;
mod segment;
mod walker;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub use self::error::{AppendError, CommitError, Damage, EraseError, LogError, ReadError, UnlinkError};
pub use self::index::{SegmentSummary, Traits};
pub use self::limits::{
    BATCH_BYTES_MAX, BLOCK_BYTES, RECORD_BYTES_MAX, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN,
};
pub use self::options::LogOptions;
pub use self::reader::{LogReader, Replayed, Search, Searched};
pub use self::recovery::Recovery;

use self::batch::{PendingBatch, Place};
use self::files::{FileKind, Files};
use self::index::{GrowingIndex, SegmentIndex};
use self::layout::SegmentHeader;
use self::limits::{ALIGN_BYTES, SEGMENT_HEADER_BYTES};
use self::sealer::Sealer;
use self::segment::{Segment, Shared};
use crate::checksum::{Salt, mix};
use crate::disk::{Disk, DiskFile, is_full};
use crate::record::Record;
use crate::{EntryId, Position};

/// The log's only writer.
pub struct Log {
    shared: Arc<Shared>,
    options: LogOptions,
    /// The segment being written; `None` until the first commit, if the log has none that can be written.
    active: Option<Active>,
    /// The largest segment number in use.
    last_segment: u32,
    pending: PendingBatch,
    next_batch: u64,
    last_id: EntryId,
    /// The latest time told to [`Self::next_id`].
    now_ms: u64,
    /// Where there was no descriptor for a new segment: the active one is closed at this length, and not before.
    stretched_to: u32,
    /// Why nothing is accepted any more.
    poisoned: Option<String>,
    sealer: Option<Sealer>,
}

struct Active {
    segment: Arc<Segment>,
    file: Arc<dyn DiskFile>,
}

impl Log {
    /// Opens the log in `folder`, and says what was found there. An empty folder is an empty log.
    ///
    /// What was acknowledged is there, or this fails with [`LogError::Damaged`] (or, where damage is accepted,
    /// says what is lost). One process at a time may have a folder open; seeing to that is the caller's duty.
    pub fn open(
        disk: Arc<dyn Disk>,
        folder: &Path,
        options: LogOptions,
    ) -> Result<(Self, Recovery), LogError> {
        options.check()?;
        let files =
            Files::new(disk, folder).map_err(LogError::io(format!("use folder {}", folder.display())))?;
        erase::complete(&files)?;
        let recovered = recovery::recover(&files, &options)?;
        let active = open_active(&files, &recovered.segments)?;
        let shared = Arc::new(Shared::new(files, options.accept_damage, recovered.segments));
        let sealer = match options.seal_in_background {
            true => {
                Sealer::spawn(Arc::clone(&shared)).map_err(LogError::io("start the thread of the sealer"))?
            }
            false => Sealer::Inline,
        };
        let log = Self {
            shared,
            options,
            active,
            last_segment: recovered.last_segment,
            pending: PendingBatch::new(),
            next_batch: recovered.next_batch,
            last_id: recovered.recovery.last_id,
            now_ms: 0,
            stretched_to: 0,
            poisoned: None,
            sealer: Some(sealer),
        };
        Ok((log, recovered.recovery))
    }

    /// The next id, at `now_ms` (unix milliseconds): larger than every id before it and every id in the log. Ids
    /// of messages and attempts must be appended in the order they were handed out.
    pub fn next_id(&mut self, now_ms: u64) -> EntryId {
        self.now_ms = self.now_ms.max(now_ms);
        self.last_id = self.last_id.following(now_ms);
        self.last_id
    }

    /// Adds a record to the pending batch, in memory only; returns where it will be once committed.
    pub fn append(&mut self, record: &Record<'_>) -> Result<Position, AppendError> {
        if let Some(why) = &self.poisoned {
            return Err(AppendError::Poisoned { why: why.clone() });
        }
        self.pending.check(record)?;
        if self.pending.is_empty() {
            let place = self.next_place();
            self.pending.begin(place);
        }
        self.pending.push(record)
    }

    /// Bytes of the pending batch; at [`BATCH_BYTES_MAX`] it takes no more.
    pub fn pending_bytes(&self) -> usize {
        if self.pending.is_empty() { 0 } else { self.pending.bytes() }
    }

    /// Forgets the pending batch. The positions it was promised will be those of other records.
    pub fn discard_pending(&mut self) {
        self.pending.clear();
    }

    /// Writes the pending batch and syncs it; returns where the log ends now. Nothing pending: nothing to do.
    ///
    /// After `Ok` every record of the batch survives power loss, given the assumptions of [`disk`](crate::disk).
    /// After [`CommitError::Full`] and [`CommitError::OutOfFiles`] nothing of it is in the log and all of it is
    /// still pending. After [`CommitError::Poisoned`] nothing is known about it, and the log refuses everything.
    pub fn commit(&mut self) -> Result<Position, CommitError> {
        if let Some(why) = &self.poisoned {
            return Err(CommitError::Poisoned { why: why.clone() });
        }
        if self.pending.is_empty() {
            return Ok(self.end());
        }
        if let Some(header) = self.pending.place().new_segment {
            self.begin_segment(header)?;
        }
        let end = self.write_pending()?;
        self.publish(end);
        Ok(end)
    }

    /// A reader of what is committed, now and later.
    pub fn reader(&self) -> LogReader {
        LogReader { shared: Arc::clone(&self.shared) }
    }

    /// Where the committed records end.
    pub fn end(&self) -> Position {
        self.shared.end()
    }

    /// The segments in numbers, oldest first.
    pub fn segments(&self) -> Vec<SegmentSummary> {
        self.reader().segments()
    }

    /// Why the log refuses everything, once it does.
    pub fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    /// Removes the oldest segment, if it is closed. Readers get `None` for its records from now on.
    pub fn unlink(&mut self, segment: u32) -> Result<(), UnlinkError> {
        if let Some(why) = &self.poisoned {
            return Err(UnlinkError::Poisoned { why: why.clone() });
        }
        let oldest = self.shared.oldest().filter(|oldest| oldest.number() == segment && oldest.is_closed());
        let oldest = oldest.ok_or(UnlinkError::NotOldest { segment })?;
        // First, so that a reader that finds the file gone knows why.
        oldest.set_unlinked(true);
        let files = &self.shared.files;
        if let Err(error) = files.remove(segment, FileKind::Segment) {
            oldest.set_unlinked(false);
            return Err(UnlinkError::Io { segment, why: error.to_string() });
        }
        self.shared.forget_oldest();
        if let Err(error) = files.remove(segment, FileKind::Index) {
            tracing::warn!(segment, %error, "the index file of a removed segment stays until the next start");
        }
        // If a later removal became durable before this one, a hole would be left after a power cut.
        if let Err(error) = files.sync_folder() {
            let why = self.poison("sync the folder after removing", segment, &error);
            return Err(UnlinkError::Poisoned { why });
        }
        Ok(())
    }

    /// Where the next batch goes: behind the last one, or into a new segment.
    fn next_place(&self) -> Place {
        let Some(active) = &self.active else { return self.place_in_new_segment() };
        let segment = &active.segment;
        let offset = segment.bytes();
        if offset >= self.options.segment_bytes.max(self.stretched_to) {
            return self.place_in_new_segment();
        }
        // Aligned already, unless a damaged end was accepted.
        let at = Position { segment: segment.number(), offset: offset.next_multiple_of(ALIGN_BYTES) };
        Place { at, salt: segment.header.salt, new_segment: None }
    }

    fn place_in_new_segment(&self) -> Place {
        let number = self.last_segment + 1;
        let random = || {
            use std::hash::{BuildHasher, RandomState};
            RandomState::new().hash_one(number)
        };
        let salt = Salt(self.options.salt_seed.map_or_else(random, |seed| mix(seed ^ u64::from(number))));
        let header = SegmentHeader {
            number,
            salt,
            created_ms: self.now_ms,
            first_batch: self.next_batch,
            last_id: self.last_id,
        };
        let at = Position { segment: number, offset: SEGMENT_HEADER_BYTES };
        Place { at, salt, new_segment: Some(header) }
    }

    /// Makes the segment's file, durable with its header, unless an earlier commit that failed did so.
    fn begin_segment(&mut self, header: SegmentHeader) -> Result<(), CommitError> {
        let number = header.number;
        if self.active.as_ref().is_some_and(|active| active.segment.number() == number) {
            return Ok(());
        }
        let files = &self.shared.files;
        let file = match files.create(number, FileKind::Segment) {
            Ok(file) => file,
            Err(error) if is_out_of_files(&error) => {
                self.stretch();
                return Err(CommitError::OutOfFiles { segment: number });
            }
            Err(error) => return Err(self.write_failed("begin", number, &error)),
        };
        if let Err(error) = file.write_at(&header.encode(), 0) {
            // If it stays, it is emptied by the next try, or removed by recovery.
            _ = files.remove(number, FileKind::Segment);
            return Err(self.write_failed("begin", number, &error));
        }
        if let Err(error) = file.sync().and_then(|()| files.sync_folder()) {
            return Err(CommitError::Poisoned { why: self.poison("sync", number, &error) });
        }
        let index = GrowingIndex::new(header.first_batch, self.options.block_bytes);
        self.change_segment(Segment::new(header, SegmentIndex::Growing(Box::new(index))), file);
        Ok(())
    }

    /// Connections come and go; a log that waited for a descriptor would stand still as long as they like. The active
    /// segment goes on for a quarter more, as far as the format allows, and then a new one is tried again.
    fn stretch(&mut self) {
        let Some(active) = &self.active else { return };
        let more = (self.options.segment_bytes / 4).max(1);
        self.stretched_to = active.segment.bytes().saturating_add(more).min(SEGMENT_BYTES_MAX);
    }

    fn change_segment(&mut self, segment: Segment, file: Arc<dyn DiskFile>) {
        self.last_segment = segment.number();
        self.stretched_to = 0;
        let segment = Arc::new(segment);
        self.shared.push(Arc::clone(&segment));
        let before = self.active.replace(Active { segment, file });
        if let (Some(before), Some(sealer)) = (before, &self.sealer) {
            before.segment.close();
            sealer.seal(&self.shared, before.segment);
        }
    }

    /// Writes and syncs the pending batch; returns its end.
    fn write_pending(&mut self) -> Result<Position, CommitError> {
        let Some(active) = &self.active else { unreachable!("the segment of a pending batch was begun") };
        let file = Arc::clone(&active.file);
        let at = self.pending.place().at;
        let bytes = self.pending.seal(self.next_batch);
        let end = Position { segment: at.segment, offset: at.offset + bytes.len() as u32 };
        if let Err(error) = file.write_at(bytes, at.offset.into()) {
            // Synced, or a power cut could bring back parts of it and mix them with what is written there next.
            return Err(match file.truncate(at.offset.into()).and_then(|()| file.sync()) {
                Ok(()) => self.write_failed("write", at.segment, &error),
                Err(error) => {
                    CommitError::Poisoned { why: self.poison("take back a write to", at.segment, &error) }
                }
            });
        }
        if let Err(error) = file.sync() {
            return Err(CommitError::Poisoned { why: self.poison("sync", at.segment, &error) });
        }
        Ok(end)
    }

    /// Shows the batch that was just made durable to readers.
    fn publish(&mut self, end: Position) {
        let Some(active) = &self.active else { return };
        let at = self.pending.place().at.offset;
        let (notes, marks) = (self.pending.notes(), self.pending.marks());
        active.segment.grow(|index| index.add_batch(self.next_batch, at, end.offset, notes, marks));
        self.shared.set_end(end);
        self.next_batch += 1;
        self.pending.clear();
    }

    /// What to make of a write that failed and was taken back.
    fn write_failed(&mut self, doing: &str, segment: u32, error: &io::Error) -> CommitError {
        if is_full(error) {
            return CommitError::Full { bytes: self.pending.bytes() as u64 };
        }
        CommitError::Poisoned { why: self.poison(doing, segment, error) }
    }

    fn poison(&mut self, doing: &str, segment: u32, error: &io::Error) -> String {
        let why = format!("cannot {doing} segment {segment}: {error}");
        tracing::error!(%why, "the log stopped; nothing is accepted until a restart");
        self.poisoned = Some(why.clone());
        why
    }
}

impl Drop for Log {
    /// Waits for the sealer. What is pending is dropped: it was not acknowledged.
    fn drop(&mut self) {
        if let Some(sealer) = self.sealer.take() {
            sealer.finish();
        }
    }
}

/// The last segment, open for writing; `None` when there is none, or it is closed because the one after it is lost.
fn open_active(files: &Files, segments: &[Arc<Segment>]) -> Result<Option<Active>, LogError> {
    let Some(last) = segments.last().filter(|last| !last.is_closed()) else { return Ok(None) };
    let opened = files.open(last.number(), FileKind::Segment);
    let file = opened.map_err(LogError::io(format!("open segment {}", last.number())))?;
    Ok(Some(Active { segment: Arc::clone(last), file }))
}

fn is_out_of_files(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    matches!(code, Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE))
}
