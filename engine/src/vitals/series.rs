//! A series: how an endpoint did over the last hour, minute by minute, and over the last day, half hour by half hour.
//!
//! Two rings of slots. A slot belongs to a stretch of time by its number (time divided by the stretch's length), so
//! that a slot which was not written for a whole turn says nothing, and nobody has to clear it. About 3 KiB.
//!
//! Not here: what the last minute, hour and day came to (`vitals`).

use crate::core::outcome::Outcome;

/// Lengths of the stretches, in milliseconds: a minute, half an hour.
const MINUTE_MS: u64 = 60_000;
const HALF_HOUR_MS: u64 = 1_800_000;
/// How many of each are kept: an hour, a day.
const MINUTES: usize = 60;
const HALF_HOURS: usize = 48;

/// See the head of this file.
pub(super) struct Series {
    minutes: Ring<MINUTES, MINUTE_MS>,
    half_hours: Ring<HALF_HOURS, HALF_HOUR_MS>,
}

/// How an endpoint did over time, oldest first. A stretch without attempts is there, with nothing in it.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointSeries {
    /// The last hour, minute by minute; the last is the one under way.
    pub minutes: Vec<Stretch>,
    /// The last day, half hour by half hour; the last is the one under way.
    pub half_hours: Vec<Stretch>,
}

/// What came of the attempts within a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Stretch {
    /// When it began, unix milliseconds.
    pub began_ms: u64,
    /// Attempts that succeeded.
    pub succeeded: u32,
    /// Attempts that failed.
    pub failed: u32,
    /// Attempts that a lockout refused.
    pub refused: u32,
    /// The mean time of attempts that were answered, milliseconds.
    pub mean_ms: Option<f64>,
    /// The longest of them.
    pub max_ms: Option<f64>,
}

struct Ring<const N: usize, const LENGTH_MS: u64> {
    slots: [Slot; N],
}

#[derive(Clone, Copy, Default)]
struct Slot {
    /// Which stretch this is about: time divided by its length.
    number: u64,
    sum_us: u64,
    succeeded: u32,
    failed: u32,
    refused: u32,
    answered: u32,
    max_us: u32,
}

impl Series {
    /// Nothing is known yet.
    pub(super) const fn new() -> Self {
        Self { minutes: Ring::new(), half_hours: Ring::new() }
    }

    /// Notes an attempt that ended, or was refused.
    pub(super) fn note(&mut self, now_ms: u64, outcome: Outcome, took_us: u32) {
        self.minutes.slot(now_ms).note(outcome, took_us);
        self.half_hours.slot(now_ms).note(outcome, took_us);
    }

    /// All of it.
    pub(super) fn read(&self, now_ms: u64) -> EndpointSeries {
        EndpointSeries { minutes: self.minutes.read(now_ms), half_hours: self.half_hours.read(now_ms) }
    }
}

impl<const N: usize, const LENGTH_MS: u64> Ring<N, LENGTH_MS> {
    const fn new() -> Self {
        let nothing =
            Slot { number: 0, sum_us: 0, succeeded: 0, failed: 0, refused: 0, answered: 0, max_us: 0 };
        Self { slots: [nothing; N] }
    }

    fn slot(&mut self, now_ms: u64) -> &mut Slot {
        let number = now_ms / LENGTH_MS;
        let slot = &mut self.slots[Self::place(number)];
        if slot.number != number {
            *slot = Slot { number, ..Slot::default() };
        }
        slot
    }

    fn read(&self, now_ms: u64) -> Vec<Stretch> {
        let last = now_ms / LENGTH_MS;
        let first = last.saturating_sub(N as u64 - 1);
        (first..=last)
            .map(|number| {
                let slot = self.slots[Self::place(number)];
                let slot = if slot.number == number { slot } else { Slot::default() };
                slot.stretch(number * LENGTH_MS)
            })
            .collect()
    }

    const fn place(number: u64) -> usize {
        (number % N as u64) as usize
    }
}

impl Slot {
    fn note(&mut self, outcome: Outcome, took_us: u32) {
        if outcome.is_lockout() {
            self.refused = self.refused.saturating_add(1);
            return;
        }
        let counter = if outcome.is_success() { &mut self.succeeded } else { &mut self.failed };
        *counter = counter.saturating_add(1);
        if outcome.status().is_some() {
            self.answered = self.answered.saturating_add(1);
            self.sum_us += u64::from(took_us);
            self.max_us = self.max_us.max(took_us);
        }
    }

    fn stretch(self, began_ms: u64) -> Stretch {
        let answered = (self.answered > 0).then_some(f64::from(self.answered));
        Stretch {
            began_ms,
            succeeded: self.succeeded,
            failed: self.failed,
            refused: self.refused,
            mean_ms: answered.map(|answered| self.sum_us as f64 / answered / 1_000.0),
            max_ms: answered.map(|_| f64::from(self.max_us) / 1_000.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Outcome = Outcome::Success { status: 200 };
    const BAD: Outcome = Outcome::BadStatus { status: 500 };
    const START_MS: u64 = 1_732_300_200_000;

    #[test]
    fn attempts_lie_in_the_minute_and_the_half_hour_in_which_they_ended() {
        let mut series = Series::new();
        series.note(START_MS, OK, 10_000);
        series.note(START_MS + 61_000, BAD, 30_000);
        series.note(START_MS + 62_000, Outcome::UrlLockedOut, 0);
        series.note(START_MS + 63_000, Outcome::ConnectFailed, 9_000);
        let read = series.read(START_MS + 65_000);
        assert_eq!((read.minutes.len(), read.half_hours.len()), (60, 48));
        let [.., before, last] = read.minutes[..] else { panic!() };
        assert_eq!((before.succeeded, before.failed, before.mean_ms), (1, 0, Some(10.0)));
        assert_eq!((last.succeeded, last.failed, last.refused, last.max_ms), (0, 2, 1, Some(30.0)));
        assert_eq!(last.began_ms, START_MS + 60_000);
        let half_hour = read.half_hours[47];
        assert_eq!((half_hour.succeeded, half_hour.failed, half_hour.mean_ms), (1, 2, Some(20.0)));
    }

    #[test]
    fn what_is_older_than_the_ring_is_not_taken_for_new() {
        let mut series = Series::new();
        series.note(START_MS, OK, 1);
        let hour_later = series.read(START_MS + 3_600_000);
        assert!(hour_later.minutes.iter().all(|minute| minute.succeeded == 0));
        assert_eq!(hour_later.half_hours[45].succeeded, 1);
        let day_later = series.read(START_MS + 86_400_000);
        assert!(day_later.half_hours.iter().all(|half_hour| half_hour.succeeded == 0));
    }
}
