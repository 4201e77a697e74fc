//! A walk along an application's part of the log, for one page of a list.
//!
//! A walk reads and keeps only so much. Where that is not enough for a full page, the page says where the next
//! one begins: rather a page with few items at once than a full one late.

use std::ops::ControlFlow;

use posthaste_storage::log::{LogReader, ReadError, Search, Searched};
use posthaste_storage::record::Record;
use posthaste_storage::{EntryId, Position};

use crate::api::HistoryPage;
use crate::catalog::Start;

/// Bytes of the log that are read for one page: below half a second on one core, when the disk's cache has them.
pub(super) const READ_BYTES_MAX: u64 = 256 << 20;
/// Bytes of payloads and responses on one page.
const PAGE_BYTES_MAX: usize = 32 << 20;
/// Records that are looked at more closely for one page, each with a read of its own.
pub(super) const READS_MAX: u32 = 50_000;
/// Records for which all that is known of their message is gathered, for one page: below half a second likewise.
pub(super) const LOOKUPS_MAX: u32 = 10_000;

/// A walk for one page.
pub(super) struct Walk {
    pub(super) search: Search,
    pub(super) limit: usize,
    pub(super) start: Start<EntryId>,
    /// Only ids below.
    pub(super) before: Option<EntryId>,
    /// Only ids above.
    pub(super) after: Option<EntryId>,
    /// The most records that are picked from.
    pub(super) picks_max: u32,
}

/// What is picked from a record, and how many bytes it keeps in memory.
pub(super) type Picked<T> = Result<Option<(T, usize)>, ReadError>;

/// A page that is being filled.
struct Filling<T> {
    items: Vec<T>,
    bytes: usize,
    picks: u32,
    /// The id that was looked at last.
    seen: Option<EntryId>,
    stopped: Option<Stopped>,
}

/// Why a walk was not ended by the end of the list.
enum Stopped {
    /// There is one more than fits the page.
    PageFull,
    /// So much was read or kept that the rest is left for another page.
    Spent,
    Failed(ReadError),
}

impl Walk {
    pub(super) fn run<T>(
        &self,
        reader: &LogReader,
        mut pick: impl FnMut(&LogReader, &Record<'_>) -> Picked<T>,
    ) -> Result<HistoryPage<T>, ReadError> {
        let mut page = Filling { items: Vec::new(), bytes: 0, picks: 0, seen: None, stopped: None };
        let show = |_: Position, record: Record<'_>| self.step(reader, &record, &mut pick, &mut page);
        let range = (self.oldest(reader)?, self.newest(reader)?);
        let newest_first = !matches!(self.start, Start::Before(_));
        let searched = if newest_first {
            reader.search_back(&self.search, range, READ_BYTES_MAX, show)?
        } else {
            reader.search(&self.search, range, READ_BYTES_MAX, show)?
        };
        let resume = match page.stopped {
            Some(Stopped::Failed(error)) => return Err(error),
            Some(Stopped::PageFull) => None,
            Some(Stopped::Spent) => page.seen,
            None => self.resume(reader, newest_first, &searched)?,
        };
        let done = page.stopped.is_none() && searched.whole;
        page.items.truncate(self.limit);
        if !newest_first {
            page.items.reverse();
        }
        Ok(HistoryPage { items: page.items, done, resume })
    }

    fn step<T>(
        &self,
        reader: &LogReader,
        record: &Record<'_>,
        pick: &mut impl FnMut(&LogReader, &Record<'_>) -> Picked<T>,
        page: &mut Filling<T>,
    ) -> ControlFlow<()> {
        let Some(id) = record.own_id().filter(|id| self.is_within(*id)) else {
            return ControlFlow::Continue(());
        };
        if page.picks >= self.picks_max || page.bytes >= PAGE_BYTES_MAX {
            page.stopped = Some(Stopped::Spent);
            return ControlFlow::Break(());
        }
        page.picks += 1;
        match pick(reader, record) {
            Ok(None) => {}
            // One more than the page tells whether there is a next one.
            Ok(Some(_)) if page.items.len() >= self.limit => {
                page.stopped = Some(Stopped::PageFull);
                return ControlFlow::Break(());
            }
            Ok(Some((item, bytes))) => {
                page.bytes += bytes;
                page.items.push(item);
            }
            Err(error) => {
                page.stopped = Some(Stopped::Failed(error));
                return ControlFlow::Break(());
            }
        }
        page.seen = Some(id);
        ControlFlow::Continue(())
    }

    fn is_within(&self, id: EntryId) -> bool {
        self.before.is_none_or(|before| id < before)
            && self.after.is_none_or(|after| id > after)
            && match self.start {
                Start::First => true,
                Start::After(start) => id < start,
                Start::Before(start) => id > start,
            }
    }

    /// Behind which id a walk goes on that has read enough.
    fn resume(
        &self,
        reader: &LogReader,
        newest_first: bool,
        searched: &Searched,
    ) -> Result<Option<EntryId>, ReadError> {
        if searched.whole {
            return Ok(None);
        }
        let next = reader.id_from(searched.to)?;
        Ok(if newest_first { next } else { next.map(|id| EntryId::from_u64(id.as_u64().saturating_sub(1))) })
    }

    /// Before which position there is nothing newer to look at.
    fn newest(&self, reader: &LogReader) -> Result<Position, ReadError> {
        let start = match self.start {
            Start::After(id) => Some(id),
            Start::First | Start::Before(_) => None,
        };
        match [start, self.before].into_iter().flatten().min() {
            Some(id) => reader.seek(id),
            None => Ok(reader.end()),
        }
    }

    /// From which position on there is something to look at.
    fn oldest(&self, reader: &LogReader) -> Result<Position, ReadError> {
        let start = match self.start {
            Start::Before(id) => Some(id),
            Start::First | Start::After(_) => None,
        };
        match [start, self.after].into_iter().flatten().max() {
            Some(id) => reader.seek(id.next()),
            None => Ok(Position::START),
        }
    }
}
