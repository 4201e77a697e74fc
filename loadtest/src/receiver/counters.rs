//! What a thread has seen, in numbers. Each thread counts for itself; whoever asks adds up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::behaviour::NAMES;

const STATUSES: usize = 600;

/// Counters of one thread. Only that thread adds to them.
pub(super) struct Counters {
    behaviours: [AtomicU64; NAMES.len()],
    /// By status; at 0 those that were not answered.
    statuses: Box<[AtomicU64]>,
    requests: AtomicU64,
    body_bytes: AtomicU64,
    signature_failures: AtomicU64,
    refused: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            behaviours: Default::default(),
            statuses: (0..STATUSES).map(|_| AtomicU64::new(0)).collect(),
            requests: AtomicU64::new(0),
            body_bytes: AtomicU64::new(0),
            signature_failures: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }
}

/// The counters of all threads together.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Sums {
    pub(super) requests: u64,
    pub(super) body_bytes: u64,
    /// A signature was wrong or missing.
    pub(super) signature_failures: u64,
    /// Input that was no request, or was over a limit.
    pub(super) refused: u64,
    /// Names and counts of the behaviours that were asked for.
    pub(super) behaviours: Vec<(&'static str, u64)>,
    /// Statuses that were answered, with their counts; 0 stands for no answer.
    pub(super) statuses: Vec<(u16, u64)>,
}

impl Counters {
    /// Counts a request, and the status it is answered with.
    pub(super) fn request(&self, status: Option<u16>, body_bytes: usize) {
        add(&self.requests, 1);
        add(&self.body_bytes, body_bytes as u64);
        add(&self.statuses[status.map_or(0, usize::from)], 1);
    }

    /// Counts what was asked for, by its place in [`NAMES`].
    pub(super) fn behaviour(&self, index: usize) {
        add(&self.behaviours[index], 1);
    }

    pub(super) fn signature_failure(&self) {
        add(&self.signature_failures, 1);
    }

    pub(super) fn refused(&self) {
        add(&self.refused, 1);
    }

    /// Requests of this thread so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Adds up what several threads have counted.
    pub(super) fn sums<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Sums {
        let sum = |pick: &dyn Fn(&Self) -> &AtomicU64| all.clone().map(|one| pick(one).load(Relaxed)).sum();
        let behaviours =
            NAMES.iter().enumerate().map(|(index, name)| (*name, sum(&|one| &one.behaviours[index])));
        let statuses = (0..STATUSES).map(|status| (status as u16, sum(&|one| &one.statuses[status])));
        Sums {
            requests: sum(&|one| &one.requests),
            body_bytes: sum(&|one| &one.body_bytes),
            signature_failures: sum(&|one| &one.signature_failures),
            refused: sum(&|one| &one.refused),
            behaviours: behaviours.filter(|(_, count)| *count > 0).collect(),
            statuses: statuses.filter(|(_, count)| *count > 0).collect(),
        }
    }
}

/// One writer, so a load and a store are enough, and cheaper than an addition that excludes others.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed) + more, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_are_added_up_and_what_did_not_happen_is_left_out() {
        let (one, other) = (Counters::default(), Counters::default());
        one.request(Some(204), 10);
        one.behaviour(0);
        other.request(None, 5);
        other.behaviour(0);
        other.signature_failure();
        let sums = Counters::sums([&one, &other].into_iter());
        let expected = Sums {
            requests: 2,
            body_bytes: 15,
            signature_failures: 1,
            refused: 0,
            behaviours: vec![("ok", 2)],
            statuses: vec![(0, 1), (204, 1)],
        };
        assert_eq!(sums, expected);
    }
}
