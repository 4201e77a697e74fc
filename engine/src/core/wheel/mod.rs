//! The wheel: what is due, when.
//!
//! Five rings, one inside the other, like the wheels of a mileage counter. A slot of the innermost ring is
//! one step of 16 ms; a slot of any other ring is as long as the whole ring inside it.
//!
//!   ring       0         1         2          3          4
//!   a slot     16 ms     1 s       66 s       70 min     75 h
//!   the ring   1 s       66 s      70 min     75 h       199 days
//!
//! An entry lies in the ring of the highest digit (base 64) in which its step differs from the wheel's
//! position. When the position reaches a slot of an outer ring, its entries are spread over the rings
//! inside; that happens to an entry at most four times. So inserting and expiring cost the same with ten
//! million entries as with ten, eight bytes and a little each.
//!
//! What the rings cannot hold lies outside, in a heap that knows no bounds: entries beyond the outermost
//! ring, and entries before the position. The latter is how a clock that goes back stays harmless.
//!
//! Invariants
//! - Nothing comes up early: its moment is rounded up to a step, the clock down.
//! - Where an entry lies follows from its moment and the position alone; so one can be found and cancelled.
//! - Every entry in the rings is at or after the position, in the same turn of the outermost ring; every
//!   entry outside is before the position or in a later turn.
//! - The position only grows, whatever the clock does.
//!
//! Not here: the clock (`now` is an argument), and what a token stands for.

mod slot;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::tick::Tick;
use slot::{Entry, Slot};

/// The length of a step, in milliseconds: nothing comes up more than this after it is due.
pub const WHEEL_STEP_MS: u64 = 16;
/// How far ahead the rings reach, in milliseconds: 198.8 days. Later entries are as right, but each costs
/// 16 bytes and the time of a heap.
pub const WHEEL_SPAN_MS: u64 = WHEEL_STEP_MS << SPAN_BITS;

const RINGS: usize = 5;
const DIGIT_BITS: u32 = 6;
const SLOTS_PER_RING: usize = 1 << DIGIT_BITS;
const SPAN_BITS: u32 = RINGS as u32 * DIGIT_BITS;

// A ring's slots are marked in one u64, and an entry keeps the low bits of its step in a u32.
const _: () = assert!(SLOTS_PER_RING == u64::BITS as usize && SPAN_BITS <= u32::BITS);
const _: () = assert!(WHEEL_SPAN_MS >= 60 * 24 * 3_600 * 1_000);

/// What is due, when. Entries are tokens of 32 bits; the owner knows what they stand for.
#[derive(Debug)]
pub struct Wheel {
    /// The position: the first step that has not come to its end.
    step: u64,
    /// Ring by ring.
    slots: Box<[Slot]>,
    /// Which slots of each ring hold entries.
    occupied: [u64; RINGS],
    /// Entries that the rings cannot hold, by step.
    outside: BinaryHeap<Reverse<(u64, u32)>>,
    len: usize,
}

/// What comes up first, with its step (for a slot of an outer ring: the step at which it begins).
enum First {
    /// An entry outside, before the position.
    Before(u64),
    /// A slot.
    Slot { ring: usize, index: usize, step: u64 },
    /// An entry outside, in a later turn; the rings are empty.
    Beyond(u64),
}

impl First {
    fn step(&self) -> u64 {
        match *self {
            Self::Before(step) | Self::Slot { step, .. } | Self::Beyond(step) => step,
        }
    }
}

impl Wheel {
    /// An empty wheel. What is due before `start` is held outside the rings: right, but slower.
    pub fn new(start: Tick) -> Self {
        Self {
            step: start.as_ms() / WHEEL_STEP_MS,
            slots: (0..RINGS * SLOTS_PER_RING).map(|_| Slot::default()).collect(),
            occupied: [0; RINGS],
            outside: BinaryHeap::new(),
            len: 0,
        }
    }

    /// Entries held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        let in_slots: usize = self.slots.iter().map(|slot| size_of::<Slot>() + slot.bytes()).sum();
        size_of::<Self>() + in_slots + self.outside.capacity() * size_of::<Reverse<(u64, u32)>>()
    }

    /// Lets `token` come up at `due` or up to [`WHEEL_STEP_MS`] later; at once if `due` has passed. The same
    /// token may be inserted more than once.
    pub fn insert(&mut self, due: Tick, token: u32) {
        self.len += 1;
        self.place(step_of(due), token);
    }

    /// Takes back an entry inserted with this `due` and `token`. Returns whether there was one.
    ///
    /// Looks through the entries of one slot, so it costs a nanosecond for each of those that are due
    /// about the same time. An owner with many to take back leaves them in instead, and disregards each
    /// when it comes up.
    pub fn cancel(&mut self, due: Tick, token: u32) -> bool {
        let step = step_of(due);
        let found = if self.is_outside(step) {
            self.cancel_outside(step, token)
        } else {
            let (ring, index) = self.place_of(step);
            let slot = &mut self.slots[ring * SLOTS_PER_RING + index];
            let found = slot.remove(Entry { due: step as u32, token });
            if slot.is_empty() {
                self.occupied[ring] &= !(1 << index);
            }
            found
        };
        self.len -= usize::from(found);
        found
    }

    /// The next token that is due at `now`, earliest first (within a step in no order); `None` when there
    /// is no other.
    ///
    /// One at a time, so that the caller bounds its work. A call that reaches a slot of an outer ring
    /// spreads all its entries over the rings inside, some nanoseconds each.
    pub fn pop_due(&mut self, now: Tick) -> Option<u32> {
        let now = now.as_ms() / WHEEL_STEP_MS;
        loop {
            let Some(first) = self.first().filter(|first| first.step() <= now) else {
                self.move_to(self.step.max(now));
                return None;
            };
            match first {
                First::Before(_) => {
                    let Reverse((_, token)) = self.outside.pop()?;
                    self.len -= 1;
                    return Some(token);
                }
                First::Slot { ring: 0, index, step } => {
                    self.move_to(step);
                    return self.take_from(index);
                }
                First::Slot { ring, index, step } => {
                    self.move_to(step);
                    self.spread(ring, index);
                }
                First::Beyond(step) => self.move_to(step),
            }
        }
    }

    /// When to call [`Self::pop_due`] again: never later than the next entry comes up, and at most four
    /// times too early for it. `None` when nothing waits. After `pop_due(now)` has returned `None` this is
    /// after `now`.
    pub fn next_due(&self) -> Option<Tick> {
        self.first().map(|first| Tick::from_ms(first.step().saturating_mul(WHEEL_STEP_MS)))
    }

    fn first(&self) -> Option<First> {
        let outside = self.outside.peek().map(|Reverse((step, _))| *step);
        if let Some(step) = outside
            && step < self.step
        {
            return Some(First::Before(step));
        }
        // Entries of an inner ring are due before those of the rings around it, and all slots of a ring lie
        // ahead of the position; so the first mark of the first ring that has one is the earliest.
        match self.occupied.iter().position(|&marks| marks != 0) {
            Some(ring) => {
                let index = self.occupied[ring].trailing_zeros() as usize;
                Some(First::Slot { ring, index, step: self.start_of(ring, index) })
            }
            None => outside.map(First::Beyond),
        }
    }

    /// The step at which a slot ahead of the position begins.
    fn start_of(&self, ring: usize, index: usize) -> u64 {
        let shift = ring as u32 * DIGIT_BITS;
        let above = self.step >> (shift + DIGIT_BITS) << (shift + DIGIT_BITS);
        above | (index as u64) << shift
    }

    fn is_outside(&self, step: u64) -> bool {
        step < self.step || (step ^ self.step) >> SPAN_BITS != 0
    }

    /// The ring and the slot in it for a step that is not outside.
    fn place_of(&self, step: u64) -> (usize, usize) {
        let differing = (step ^ self.step) | 1;
        let ring = differing.ilog2() / DIGIT_BITS;
        let index = (step >> (ring * DIGIT_BITS)) as usize % SLOTS_PER_RING;
        (ring as usize, index)
    }

    fn place(&mut self, step: u64, token: u32) {
        if self.is_outside(step) {
            self.outside.push(Reverse((step, token)));
            return;
        }
        let (ring, index) = self.place_of(step);
        self.slots[ring * SLOTS_PER_RING + index].push(Entry { due: step as u32, token });
        self.occupied[ring] |= 1 << index;
    }

    fn take_from(&mut self, index: usize) -> Option<u32> {
        let entry = self.slots[index].pop()?;
        if self.slots[index].is_empty() {
            self.occupied[0] &= !(1 << index);
        }
        self.len -= 1;
        Some(entry.token)
    }

    /// Moves the entries of a slot that the position has reached into the rings inside.
    fn spread(&mut self, ring: usize, index: usize) {
        self.occupied[ring] &= !(1 << index);
        let turn = self.step >> SPAN_BITS << SPAN_BITS;
        for entry in self.slots[ring * SLOTS_PER_RING + index].drain() {
            let low = u64::from(entry.due) & ((1 << SPAN_BITS) - 1);
            self.place(turn | low, entry.token);
        }
    }

    /// Moves the position, and into a new turn of the outermost ring (the rings are empty then) those
    /// entries from outside that belong to it.
    fn move_to(&mut self, step: u64) {
        let turn = step >> SPAN_BITS;
        let is_new = turn != self.step >> SPAN_BITS;
        self.step = step;
        if !is_new {
            return;
        }
        while let Some(&Reverse((step, token))) = self.outside.peek()
            && step >> SPAN_BITS == turn
        {
            debug_assert!(step >= self.step, "what is before the position comes up before it moves");
            self.outside.pop();
            self.place(step, token);
        }
    }

    fn cancel_outside(&mut self, step: u64, token: u32) -> bool {
        let mut found = false;
        self.outside.retain(|&Reverse(entry)| {
            let is_it = !found && entry == (step, token);
            found |= is_it;
            !is_it
        });
        found
    }
}

/// The step at which something due at this moment comes up: never before it.
fn step_of(due: Tick) -> u64 {
    due.as_ms().div_ceil(WHEEL_STEP_MS)
}
