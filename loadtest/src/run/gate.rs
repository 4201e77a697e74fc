//! A gate with a limit: who enters waits while too many are inside.
//!
//! Two stand on the way of a message: one counts messages that await their acknowledgement on a connection, the
//! other deliveries that await their receipt. Without the second, full speed would measure how fast a queue grows.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How long a wait lasts before whoever waits looks at what else happened.
const LOOK_UP: Duration = Duration::from_millis(50);

/// See the head of this file.
pub(crate) struct Gate {
    limit: u64,
    entered: AtomicU64,
    left: AtomicU64,
    waiting: AtomicBool,
    asleep: Mutex<()>,
    room: Condvar,
}

impl Gate {
    pub(crate) fn new(limit: u64) -> Self {
        let (entered, left, waiting) = Default::default();
        Self { limit, entered, left, waiting, asleep: Mutex::new(()), room: Condvar::new() }
    }

    /// How many may be inside.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// How many are inside.
    pub(crate) fn inside(&self) -> u64 {
        // More may have left than entered: what was given up may come all the same.
        self.entered.load(Ordering::SeqCst).saturating_sub(self.left.load(Ordering::SeqCst))
    }

    /// So many go in, whether or not there is room.
    pub(crate) fn enter(&self, count: u64) {
        self.entered.fetch_add(count, Ordering::SeqCst);
    }

    /// So many come out.
    pub(crate) fn leave(&self, count: u64) {
        self.left.fetch_add(count, Ordering::SeqCst);
        // Whoever waits is woken when there is room for more than one, or every receipt would be a wake-up.
        if self.waiting.load(Ordering::SeqCst) && self.inside() <= self.limit - self.limit / 8 {
            self.wake();
        }
    }

    /// Waits for room; `false` when `is_over` says that it is no longer wanted.
    pub(crate) fn wait(&self, is_over: impl Fn() -> bool) -> bool {
        while self.inside() >= self.limit {
            if is_over() {
                return false;
            }
            let mut asleep = self.asleep.lock();
            self.waiting.store(true, Ordering::SeqCst);
            // Looked at again: somebody may have left just before it was said that somebody waits.
            if self.inside() >= self.limit {
                self.room.wait_for(&mut asleep, LOOK_UP);
            }
        }
        true
    }

    fn wake(&self) {
        let _asleep = self.asleep.lock();
        self.waiting.store(false, Ordering::SeqCst);
        self.room.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_while_there_is_room() {
        let gate = Gate::new(2);
        assert!(gate.wait(|| panic!("there is room")));
        gate.enter(1);
        assert!(gate.wait(|| panic!("there is room")));
    }

    #[test]
    fn a_full_gate_is_given_up_when_it_is_over() {
        let gate = Gate::new(1);
        gate.enter(5);
        assert!(!gate.wait(|| true));
    }

    #[test]
    fn whoever_waits_goes_on_when_enough_have_left() {
        let gate = Gate::new(8);
        gate.enter(8);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.wait(|| false));
            gate.leave(1);
            assert!(waiting.join().unwrap());
        });
        assert_eq!(gate.inside(), 7);
    }

    #[test]
    fn what_was_given_up_and_comes_all_the_same_makes_no_negative_count() {
        let gate = Gate::new(8);
        gate.enter(1);
        gate.leave(1);
        gate.leave(1);
        assert_eq!(gate.inside(), 0);
    }
}
