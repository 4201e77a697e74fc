//! Finding: by id, by message, by event id.
//!
//! Ids grow in the order of the log, so an id is found by halving: segments, then blocks, then one block is read.
//! What is about a message lies in the message's own segment or later ones, and their rows say where.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::filter::Filter;
use super::{LogReader, read_record};
use crate::log::ReadError;
use crate::log::segment::Segment;
use crate::record::{EventSeen, OwnedRecord, Record, RecordKind};
use crate::{EntryId, Position};

impl LogReader {
    /// The first message or attempt with an id of at least `id`, in the order of the log; the end, if there is none.
    pub fn seek(&self, id: EntryId) -> Result<Position, ReadError> {
        let end = self.end();
        let from = self.seek_block(id);
        let mut found = end;
        let filter = Filter::ALL;
        self.forward(from, end, filter, |at, record| match record.own_id() {
            Some(own) if own >= id => {
                found = at;
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        })?;
        Ok(found)
    }

    /// The beginning of the first block that has an id of at least `id`; the end, if there is none.
    fn seek_block(&self, id: EntryId) -> Position {
        // Not a binary search: a segment of catalog changes has no ids.
        let segments = self.shared.segments();
        let has = |segment: &&Arc<Segment>| segment.with_facts(|facts| facts.id_max >= Some(id));
        let Some(segment) = segments.iter().find(has) else { return self.end() };
        let index = segment.index.read();
        let block = index.blocks().iter().find(|block| block.id_max >= id);
        Position { segment: segment.number(), offset: block.map_or(index.facts().bytes, |block| block.at) }
    }

    /// The segments that may speak of `id` or later ones, oldest first.
    fn segments_about(&self, id: EntryId) -> Vec<Arc<Segment>> {
        let mut segments = self.shared.segments();
        segments.retain(|segment| segment.with_facts(|facts| facts.id_seen_max >= id));
        segments
    }

    /// The message with this id, and where it lies: the copy that was carried forward, once its own segment is
    /// unlinked. `None` when there is neither.
    pub fn message(&self, id: EntryId) -> Result<Option<(Position, OwnedRecord)>, ReadError> {
        let at = self.seek(id)?;
        if at < self.end()
            && let Some(record) = self.record_at(at)?
            && let Record::Message(message) = record.record()
            && message.id == id
        {
            return Ok(Some((at, record)));
        }
        let is_copy =
            |record: &Record<'_>| matches!(record, Record::Carried(carried) if carried.message.id == id);
        for segment in self.shared.segments().iter().rev() {
            if segment.with_facts(|facts| facts.count(RecordKind::Carried)) == 0 {
                continue;
            }
            if let Some(copy) =
                self.about(segment, id)?.into_iter().rfind(|(_, record)| is_copy(&record.record()))
            {
                return Ok(Some(copy));
            }
        }
        Ok(None)
    }

    /// Shows the attempts of a message, and its deliveries that were parked or settled, oldest first, until
    /// `show` breaks.
    pub fn attempts_of(
        &self,
        message: EntryId,
        mut show: impl FnMut(Position, Record<'_>) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        for segment in self.segments_about(message) {
            for (at, record) in self.about(&segment, message)? {
                let record = record.record();
                if record.about() == Some(message) && show(at, record).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Shows the records about a message that lie before `before`: attempts, deliveries that were parked or settled,
    /// and copies of it that were carried forward. Oldest first, until `show` breaks.
    pub fn records_about(
        &self,
        message: EntryId,
        before: Position,
        mut show: impl FnMut(Position, Record<'_>) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        for segment in self.segments_about(message) {
            if segment.number() > before.segment {
                break;
            }
            for (at, record) in self.about(&segment, message)? {
                if at < before && show(at, record.record()).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Records of one segment that are about the message, or carry it, oldest first.
    fn about(&self, segment: &Segment, message: EntryId) -> Result<Vec<(Position, OwnedRecord)>, ReadError> {
        let number = segment.number();
        let Some(file) = self.open(segment)? else { return Ok(Vec::new()) };
        let offsets = match segment.offsets_about(&self.shared.files, message) {
            Ok(Some(offsets)) => offsets,
            Ok(None) | Err(_) => return self.about_without_index(segment, message),
        };
        let mut found = Vec::new();
        for offset in offsets {
            let at = Position { segment: number, offset };
            let record = read_record(&*file, segment, at)?;
            if is_about(&record.record(), message) {
                found.push((at, record));
            }
        }
        Ok(found)
    }

    /// The same, reading the whole segment: the index file was damaged since the log was opened.
    fn about_without_index(
        &self,
        segment: &Segment,
        message: EntryId,
    ) -> Result<Vec<(Position, OwnedRecord)>, ReadError> {
        let mut places = Vec::new();
        self.read_through(segment, |at, record| {
            if is_about(&record, message) {
                places.push(at);
            }
        })?;
        let Some(file) = self.open(segment)? else { return Ok(Vec::new()) };
        places.into_iter().map(|at| Ok((at, read_record(&*file, segment, at)?))).collect()
    }

    /// Shows the event ids of messages with an id of at least `since`, newest segment first and in the order of the
    /// log within one, until `show` breaks. Carried messages are among them.
    pub fn events_since(
        &self,
        since: EntryId,
        mut show: impl FnMut(EventSeen) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        for segment in self.segments_about(since).iter().rev() {
            for event in self.events_in(segment)? {
                if event.message >= since && show(event).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn events_in(&self, segment: &Segment) -> Result<Vec<EventSeen>, ReadError> {
        match segment.events(&self.shared.files) {
            Ok(Some(events)) => Ok(events),
            Ok(None) | Err(_) => {
                let mut events = Vec::new();
                self.read_through(segment, |_, record| events.extend(record.event()))?;
                Ok(events)
            }
        }
    }

    /// Shows every record of one segment.
    fn read_through(
        &self,
        segment: &Segment,
        mut show: impl FnMut(Position, Record<'_>),
    ) -> Result<(), ReadError> {
        let number = segment.number();
        if !segment.is_unlinked() {
            tracing::warn!(segment = number, "the index file cannot be used; reading the whole segment");
        }
        let from = Position { segment: number, offset: 0 };
        let to = Position { segment: number, offset: u32::MAX };
        self.forward(from, to, Filter::ALL, |at, record| {
            show(at, record);
            ControlFlow::Continue(())
        })?;
        Ok(())
    }
}

fn is_about(record: &Record<'_>, message: EntryId) -> bool {
    let carried =
        |record: &Record<'_>| matches!(record, Record::Carried(carried) if carried.message.id == message);
    record.about() == Some(message) || carried(record)
}
