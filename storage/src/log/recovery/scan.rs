//! Reading a segment through, batch by batch, to make its index.
//!
//! A batch enters the index only once it was seen to its end, or was left because of damage.

use std::io;

use crate::log::index::{GrowingIndex, Marks, Note};
use crate::log::walker::{Step, Walker};

/// A segment being read through.
pub(super) struct Scan<'a> {
    pub(super) walker: Walker<'a>,
    pub(super) index: GrowingIndex,
    /// The batch being read: offset and number.
    batch: Option<(u32, u64)>,
    notes: Vec<Note>,
    marks: Marks,
    /// What is lost of the batch being read.
    lost: Vec<(u32, u32)>,
}

/// What one step met.
pub(super) enum Met {
    Whole,
    Invalid { at: u32, what: &'static str },
    Newer { at: u32, kind: u8, version: u8 },
    End,
}

impl<'a> Scan<'a> {
    /// Reads from where the walker stands into an index that is empty so far.
    pub(super) fn new(walker: Walker<'a>, index: GrowingIndex) -> Self {
        Self { walker, index, batch: None, notes: Vec::new(), marks: Marks::default(), lost: Vec::new() }
    }

    pub(super) fn step(&mut self) -> io::Result<Met> {
        match self.walker.step()? {
            Step::Batch { at, number } => self.batch = Some((at, number)),
            Step::Record { at, record } => {
                self.notes.push(Note::new(at, &record));
                self.marks.add(&record);
            }
            Step::Invalid { at, what } => return Ok(Met::Invalid { at, what }),
            Step::Newer { at, kind, version } => return Ok(Met::Newer { at, kind, version }),
            Step::End => return Ok(Met::End),
        }
        if self.walker.is_between_batches() {
            self.end_batch();
        }
        Ok(Met::Whole)
    }

    /// Whether a later batch proves that the one that is not whole was synced.
    pub(super) fn is_followed(&mut self) -> io::Result<bool> {
        // What is invalid proves nothing about itself.
        let (from, number) = (self.walker.behind_invalid(), self.index.facts().next_batch + 1);
        Ok(self.walker.find_batch(from, number)?.is_some())
    }

    /// Leaves what is invalid at `at` behind; returns where the log goes on.
    pub(super) fn skip(&mut self, at: u32) -> io::Result<u32> {
        let to = self.walker.skip_invalid()?;
        self.lost.push((at, to));
        if self.walker.is_between_batches() {
            self.end_batch();
        }
        Ok(to)
    }

    /// Takes what was read of the batch into the index.
    fn end_batch(&mut self) {
        if let Some((at, number)) = self.batch.take() {
            self.index.add_batch(number, at, self.walker.at(), &self.notes, &self.marks);
        }
        for (from, to) in self.lost.drain(..) {
            self.index.add_damage(from, to);
        }
        self.notes.clear();
        self.marks = Marks::default();
    }
}
