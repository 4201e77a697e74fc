//! One record after the other: forward from a place, or backward from it.

use std::ops::ControlFlow;

use super::LogReader;
use super::filter::{Filter, Search};
use crate::log::segment::Segment;
use crate::log::walker::{Step, Walker};
use crate::log::{Damage, ReadError};
use crate::record::Record;
use crate::{EntryId, Position};

/// How far reading came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Going forward: the first byte not read. Going backward: the position of the last record shown.
    pub to: Position,
    /// What was lost on the way. Empty unless damage is accepted; otherwise damage is an error.
    pub damage: Vec<Damage>,
}

/// How far a search came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Searched {
    /// What is wanted and lies at or after this position (and before where the search began) was shown. Where `show`
    /// broke: the position of the last record shown.
    pub to: Position,
    /// Whether all was read down to where the search was to end.
    pub whole: bool,
    /// What was lost on the way, as in [`Replayed`].
    pub damage: Vec<Damage>,
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
        self.forward(from, to, Filter::ALL, show)
    }

    /// Like [`Self::replay`], for the records of one application: reads only the blocks that may hold some.
    pub fn replay_application(
        &self,
        application: u64,
        from: Position,
        to: Position,
        show: impl FnMut(Position, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Replayed, ReadError> {
        self.forward(from, to, Filter::application(application), show)
    }

    /// Shows every committed record before `from`, newest first, until `show` breaks.
    pub fn scan_back(
        &self,
        from: Position,
        show: impl FnMut(Position, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Replayed, ReadError> {
        self.backward(from, Filter::ALL, show)
    }

    /// Like [`Self::scan_back`], for the records of one application: reads only the blocks that may hold some.
    pub fn scan_back_application(
        &self,
        application: u64,
        from: Position,
        show: impl FnMut(Position, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Replayed, ReadError> {
        self.backward(from, Filter::application(application), show)
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
            for part in segment.parts(begin, end, &filter) {
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

    /// Shows the committed records in `to..from` that are wanted, newest first, until `show` breaks or `bytes` of the
    /// log were read; at least one block is read whatever it says, so that a search that goes on from where the last
    /// one stopped comes to an end.
    pub fn search_back(
        &self,
        search: &Search,
        (to, from): (Position, Position),
        bytes: u64,
        mut show: impl FnMut(Position, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Searched, ReadError> {
        let mut limits = Limits { to, bytes };
        let from = from.min(self.end());
        let mut replayed = Replayed { to: from, damage: Vec::new() };
        let ended = self.backward_within(from, &mut limits, search.into(), &mut replayed, &mut show)?;
        let reached = match ended {
            BackwardEnd::Broke => replayed.to,
            BackwardEnd::Spent { at } => at,
            BackwardEnd::Whole => to.min(from),
        };
        Ok(Searched { to: reached, whole: ended == BackwardEnd::Whole, damage: replayed.damage })
    }

    /// Shows the committed records in `from..to` that are wanted, oldest first; otherwise like [`Self::search_back`].
    /// [`Searched::to`] is where a search that goes on begins.
    pub fn search(
        &self,
        search: &Search,
        (from, to): (Position, Position),
        mut bytes: u64,
        mut show: impl FnMut(Position, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Searched, ReadError> {
        let to = to.min(self.end());
        let filter = Filter::from(search);
        let mut damage = Vec::new();
        let mut before = None;
        let mut spent = false;
        for segment in self.shared.segments() {
            let number = segment.number();
            if number < from.segment || number > to.segment {
                continue;
            }
            self.check_gap(before.replace(number), number, &mut damage)?;
            let begin = if number == from.segment { from.offset } else { 0 };
            let end = if number == to.segment { to.offset } else { u32::MAX };
            for (block, stop) in segment.blocks(begin, end, &filter) {
                let at = Position { segment: number, offset: block };
                if spent {
                    return Ok(Searched { to: at, whole: false, damage });
                }
                if let Some(to) = self.walk(&segment, (block, stop), filter, &mut damage, &mut show)? {
                    return Ok(Searched { to, whole: false, damage });
                }
                bytes = bytes.saturating_sub(u64::from(stop - block));
                spent = bytes == 0;
            }
        }
        Ok(Searched { to: to.max(from), whole: true, damage })
    }

    /// The id of the first message or attempt at or after a position; `None` if there is none. Reads little: ids are
    /// rarely far apart.
    pub fn id_from(&self, at: Position) -> Result<Option<EntryId>, ReadError> {
        let mut found = None;
        self.forward(at, self.end(), Filter::ALL, |_, record| {
            found = record.own_id();
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(found)
    }

    fn backward(
        &self,
        from: Position,
        filter: Filter,
        mut show: impl FnMut(Position, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Replayed, ReadError> {
        let from = from.min(self.end());
        let mut replayed = Replayed { to: from, damage: Vec::new() };
        let mut limits = Limits { to: Position::START, bytes: u64::MAX };
        self.backward_within(from, &mut limits, filter, &mut replayed, &mut show)?;
        Ok(replayed)
    }

    fn backward_within(
        &self,
        from: Position,
        limits: &mut Limits,
        filter: Filter,
        replayed: &mut Replayed,
        show: &mut impl FnMut(Position, Record<'_>) -> ControlFlow<()>,
    ) -> Result<BackwardEnd, ReadError> {
        let mut after = None;
        let mut spent = false;
        for segment in self.shared.segments().iter().rev() {
            let number = segment.number();
            if number > from.segment {
                continue;
            }
            if number < limits.to.segment {
                break;
            }
            if let Some(after) = after.replace(number) {
                self.check_gap(Some(number), after, &mut replayed.damage)?;
            }
            let begin = if number == limits.to.segment { limits.to.offset } else { 0 };
            let end = if number == from.segment { from.offset } else { u32::MAX };
            for (block, to) in segment.blocks(0, end, &filter).into_iter().rev() {
                if to <= begin {
                    break;
                }
                if spent {
                    return Ok(BackwardEnd::Spent { at: Position { segment: number, offset: to } });
                }
                let mut show = |at: Position, record: Record<'_>| match at < limits.to {
                    true => ControlFlow::Continue(()),
                    false => show(at, record),
                };
                if self.walk_back(segment, (block, to), filter, replayed, &mut show)?.is_break() {
                    return Ok(BackwardEnd::Broke);
                }
                limits.bytes = limits.bytes.saturating_sub(u64::from(to - block));
                spent = limits.bytes == 0;
            }
        }
        Ok(BackwardEnd::Whole)
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

/// Where reading backward is to end.
struct Limits {
    to: Position,
    bytes: u64,
}

/// Why reading backward ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BackwardEnd {
    Whole,
    Broke,
    /// So much was read that what lies before `at` is left for another time.
    Spent {
        at: Position,
    },
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
