//! A walk along an application's part of the log, for one page of a list.

use std::ops::ControlFlow;

use posthaste_storage::log::{LogReader, ReadError};
use posthaste_storage::record::Record;
use posthaste_storage::{EntryId, Position};

use crate::api::HistoryPage;
use crate::catalog::Start;
use crate::core::ids::ApplicationId;

/// A walk for one page.
pub(super) struct Walk {
    pub(super) application: ApplicationId,
    pub(super) limit: usize,
    pub(super) start: Start<EntryId>,
    /// Only ids below.
    pub(super) before: Option<EntryId>,
    /// Only ids above.
    pub(super) after: Option<EntryId>,
}

impl Walk {
    pub(super) fn run<T>(
        &self,
        reader: &LogReader,
        mut pick: impl FnMut(&LogReader, &Record<'_>) -> Result<Option<T>, ReadError>,
    ) -> Result<HistoryPage<T>, ReadError> {
        let mut items = Vec::new();
        let mut failure = None;
        let mut show = |record: Record<'_>| {
            match self.step(reader, &record, &mut pick) {
                Ok(Step::Skip) => {}
                Ok(Step::Stop) => return ControlFlow::Break(()),
                // One more than the page tells whether there is a next one.
                Ok(Step::Take(item)) => items.push(item),
                Err(error) => {
                    failure = Some(error);
                    return ControlFlow::Break(());
                }
            }
            if items.len() > self.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let application = self.application.as_u64();
        let newest_first = !matches!(self.start, Start::Before(_));
        if newest_first {
            reader.scan_back_application(application, self.newest(reader)?, |_, record| show(record))?;
        } else {
            let from = self.oldest(reader)?;
            reader.replay_application(application, from, reader.end(), |_, record| show(record))?;
        }
        if let Some(error) = failure {
            return Err(error);
        }
        let done = items.len() <= self.limit;
        items.truncate(self.limit);
        if !newest_first {
            items.reverse();
        }
        Ok(HistoryPage { items, done })
    }

    fn step<T>(
        &self,
        reader: &LogReader,
        record: &Record<'_>,
        pick: &mut impl FnMut(&LogReader, &Record<'_>) -> Result<Option<T>, ReadError>,
    ) -> Result<Step<T>, ReadError> {
        let Some(id) = record.own_id() else { return Ok(Step::Skip) };
        let too_new = self.before.is_some_and(|before| id >= before)
            || matches!(self.start, Start::After(start) if id >= start);
        let too_old = self.after.is_some_and(|after| id <= after)
            || matches!(self.start, Start::Before(start) if id <= start);
        let newest_first = !matches!(self.start, Start::Before(_));
        match (too_new, too_old, newest_first) {
            (true, _, false) | (_, true, true) => Ok(Step::Stop),
            (true, _, true) | (_, true, false) => Ok(Step::Skip),
            (false, false, _) => Ok(pick(reader, record)?.map_or(Step::Skip, Step::Take)),
        }
    }

    /// Where a walk from new to old begins.
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

    /// Where a walk from old to new begins.
    fn oldest(&self, reader: &LogReader) -> Result<Position, ReadError> {
        let start = match self.start {
            Start::Before(id) => id.next(),
            Start::First | Start::After(_) => EntryId::MIN,
        };
        reader.seek(start.max(self.after.map_or(EntryId::MIN, EntryId::next)))
    }
}

/// What to do with a record on a walk.
enum Step<T> {
    Skip,
    Stop,
    Take(T),
}
