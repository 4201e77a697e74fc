//! The time that an attempt has: one limit for the whole, one for each phase, one timer for all.
//!
//! A phase ends at its own limit or with the whole, whichever is earlier, and the outcome names the phase
//! that was running. So a host that swallows packets is told from one that answers slowly even when the
//! whole is shorter than the limit of the phase.
//!
//! A timer is set rarely. Nearly every exchange is over long before its deadline, and the next one over the same
//! connection has a later one: the timer is left where it is, and set again only when it goes off too early.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::core::outcome::Phase;

use super::failure::Failure;

/// A timer that is set rarely. See the head of this file.
#[derive(Default)]
pub(super) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Ready once `end` has passed.
    fn poll_until(&mut self, cx: &mut Context<'_>, end: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if sleep.deadline() > end {
            sleep.as_mut().reset(end);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= end || Instant::now() >= end {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(end);
        }
    }
}

/// The deadline of one attempt.
pub(super) struct Deadline {
    total_at: Instant,
    timer: Timer,
}

impl Deadline {
    /// The whole attempt is to end at this time.
    pub(super) fn new(total_at: Instant) -> Self {
        Self { total_at, timer: Timer::default() }
    }

    /// Changes timers with a connection: before an exchange, and back after it.
    pub(super) fn swap_timer(&mut self, timer: &mut Timer) {
        std::mem::swap(&mut self.timer, timer);
    }

    /// Does `work`, a phase that began at `began` and may last for `limit`.
    ///
    /// The work comes pinned: passed by value, every future on the way down would hold a copy of it, and an
    /// attempt would take twice the memory.
    pub(super) fn within<F: Future>(
        &mut self,
        phase: Phase,
        began: Instant,
        limit: Duration,
        mut work: Pin<&mut F>,
    ) -> impl Future<Output = Result<F::Output, Failure>> {
        let end = began.checked_add(limit).map_or(self.total_at, |end| end.min(self.total_at));
        poll_fn(move |cx| {
            if let Poll::Ready(output) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            self.timer.poll_until(cx, end).map(|()| Err(Failure::timed_out(phase)))
        })
    }

    /// How long the attempt may still last.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.total_at.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_was_set_for_an_earlier_deadline_waits_for_the_later_one() {
        let (mut timer, began) = (Timer::default(), Instant::now());
        let second = Duration::from_secs(1);
        let mut nothing = Context::from_waker(Waker::noop());
        assert!(timer.poll_until(&mut nothing, began + second).is_pending());
        poll_fn(|cx| timer.poll_until(cx, began + 5 * second)).await;
        assert_eq!(began.elapsed(), 5 * second);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_was_set_for_a_later_deadline_does_not_wait_for_it() {
        let (mut timer, began) = (Timer::default(), Instant::now());
        let second = Duration::from_secs(1);
        let mut nothing = Context::from_waker(Waker::noop());
        assert!(timer.poll_until(&mut nothing, began + 5 * second).is_pending());
        poll_fn(|cx| timer.poll_until(cx, began + second)).await;
        assert_eq!(began.elapsed(), second);
    }
}
