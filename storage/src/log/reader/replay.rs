//! One record after the other: forward from a place, or backward from it.

use std::ops::ControlFlow;

use super::LogReader;
use crate::Position;
use crate::log::segment::Segment;
use crate::log::walker::{Step, Walker};
use crate::log::{Damage, ReadError};
use crate::record::Record;

/// How far reading came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Going forward: the first byte not read. Going backward: the position of the last record shown.
    pub to: Position,
    /// What was lost on the way. Empty unless damage is accepted; otherwise damage is an error.
    pub damage: Vec<Damage>,
}

/// Which records to show.
#[derive(Clone, Copy)]
pub(super) struct Filter {
    pub(super) application: Option<u64>,
}

impl Filter {
    fn takes(self, record: &Record<'_>) -> bool {
        self.application.is_none_or(|application| record.application() == Some(application))
    }
}

impl LogReader {
    /// Shows every committed record in `from..to`, oldest first, until `show` breaks. `from` is a record's
    /// position, or the end of an earlier replay; [`Position::START`] is the oldest record there is.
    pub fn replay(
        &self,
        from: Position,
        to: Position,
        show: impl FnMut(Position, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Replayed, ReadError> {
        self.forward(from, to, Filter { application: None }, show)
    }

    /// Like [`Self::replay`], for the records of one application: reads only the blocks that may hold some.
    pub fn replay_application(
        &self,
        application: u64,
        from: Position,
        to: Position,
        show: impl FnMut(Position, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Replayed, ReadError> {
        self.forward(from, to, Filter { application: Some(application) }, show)
    }

    /// Shows every committed record before `from`, newest first, until `show` breaks.
    pub fn scan_back(
        &self,
        from: Position,
        show: impl FnMut(Position, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Replayed, ReadError> {
        self.backward(from, Filter { application: None }, show)
    }

    /// Like [`Self::scan_back`], for the records of one application: reads only the blocks that may hold some.
    pub fn scan_back_application(
        &self,
        application: u64,
        from: Position,
        show: impl FnMut(Position, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Replayed, ReadError> {
        self.backward(from, Filter { application: Some(application) }, show)
    }

    pub(super) fn forward(
        &self,
        from: Position,
        to: Position,
        filter: Filter,
        mut show: impl FnMut(Position, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Replayed, ReadError> {
        let to = to.min(self.end());
        let mut damage = Vec::new();
        let mut before = None;
        for segment in self.shared.segments() {
            let number = segment.number();
            if number < from.segment || number > to.segment {
                continue;
            }
            self.check_gap(before.replace(number), number, &mut damage)?;
            let begin = if number == from.segment { from.offset } else { 0 };
            let end = if number == to.segment { to.offset } else { u32::MAX };
            for part in segment.parts(begin, end, filter.application) {
                if let Some(stopped) = self.walk(&segment, part, filter, &mut damage, &mut show)? {
                    return Ok(Replayed { to: stopped, damage });
                }
            }
        }
        Ok(Replayed { to: to.max(from), damage })
    }

    /// Segments that are missing between two that are there are damage, too.
    fn check_gap(&self, before: Option<u32>, number: u32, damage: &mut Vec<Damage>) -> Result<(), ReadError> {
        if let Some(missing) = before.map(|before| before + 1).filter(|missing| *missing < number) {
            self.meet(
                Damage { segment: missing, from: 0, to: u32::MAX, what: "the segment is missing" },
                damage,
            )?;
        }
        Ok(())
    }

    fn meet(&self, met: Damage, damage: &mut Vec<Damage>) -> Result<(), ReadError> {
        if !self.shared.accept_damage {
            return Err(ReadError::Damaged { segment: met.segment, offset: met.from, what: met.what });
        }
        damage.push(met);
        Ok(())
    }

    /// Walks over a part of a segment; returns where `show` broke.
    fn walk(
        &self,
        segment: &Segment,
        (from, to): (u32, u32),
        filter: Filter,
        damage: &mut Vec<Damage>,
        show: &mut impl FnMut(Position, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Option<Position>, ReadError> {
        let number = segment.number();
        let io = ReadError::io(number);
        let Some(file) = self.open(segment)? else { return Ok(None) };
        let mut walker = Walker::new(&*file, segment.header.salt, from, to, segment.bytes());
        loop {
            let (at, what) = match walker.step().map_err(&io)? {
                Step::Batch { .. } => continue,
                Step::Record { at, record } => {
                    let shown = Position { segment: number, offset: at };
                    if filter.takes(&record) && show(shown, record).is_break() {
                        return Ok(Some(Position { segment: number, offset: walker.at() }));
                    }
                    continue;
                }
                Step::Newer { at, kind, version } => {
                    return Err(ReadError::Newer {
                        at: Position { segment: number, offset: at },
                        kind,
                        version,
                    });
                }
                Step::End => return Ok(None),
                Step::Invalid { at, what } => (at, what),
            };
            // A closed segment may have lost its last bytes, batch headers and all.
            let to = walker.skip_invalid().map_err(&io)?;
            self.meet(Damage { segment: number, from: at, to, what }, damage)?;
        }
    }

    pub(super) fn backward(
        &self,
        from: Position,
        filter: Filter,
        mut show: impl FnMut(Position, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Replayed, ReadError> {
        let from = from.min(self.end());
        let mut replayed = Replayed { to: from, damage: Vec::new() };
        let mut after = None;
        for segment in self.shared.segments().iter().rev() {
            let number = segment.number();
            if number > from.segment {
                continue;
            }
            if let Some(after) = after.replace(number) {
                self.check_gap(Some(number), after, &mut replayed.damage)?;
            }
            let end = if number == from.segment { from.offset } else { u32::MAX };
            for block in segment.blocks(0, end, filter.application).into_iter().rev() {
                if self.walk_back(segment, block, filter, &mut replayed, &mut show)?.is_break() {
                    return Ok(replayed);
                }
            }
        }
        Ok(replayed)
    }

    /// Shows a block's records from the last to the first: reads it forward, because only that way can be
    /// checked, and keeps what it meets.
    fn walk_back(
        &self,
        segment: &Segment,
        block: (u32, u32),
        filter: Filter,
        replayed: &mut Replayed,
        show: &mut impl FnMut(Position, Record<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ReadError> {
        let mut kept = Kept::default();
        let keep = &mut |at: Position, record: Record<'_>| {
            kept.push(at, &record);
            ControlFlow::Continue(())
        };
        self.walk(segment, block, filter, &mut replayed.damage, keep)?;
        for (at, record) in kept.newest_first() {
            replayed.to = at;
            if show(at, record).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Records of one block, encoded one after the other: bounded by the block, or by the largest batch.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    /// Position, kind and where the body begins.
    records: Vec<(Position, u8, usize)>,
}

impl Kept {
    fn push(&mut self, at: Position, record: &Record<'_>) {
        self.records.push((at, record.kind() as u8, self.bytes.len()));
        record.encode(&mut self.bytes);
    }

    fn newest_first(&self) -> impl Iterator<Item = (Position, Record<'_>)> {
        let mut end = self.bytes.len();
        self.records.iter().rev().filter_map(move |(at, kind, begin)| {
            let body = &self.bytes[*begin..std::mem::replace(&mut end, *begin)];
            Record::decode(*kind, crate::record::RECORD_VERSION, body).ok().map(|record| (*at, record))
        })
    }
}
