//! The time that an attempt has: one limit for the whole, one for each phase, one timer for all.
//!
//! A phase ends at its own limit or with the whole, whichever is earlier, and the outcome names the phase
//! that was running. So a host that swallows packets is told from one that answers slowly even when the
//! whole is shorter than the limit of the phase.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::core::outcome::Phase;

use super::failure::Failure;

/// The deadline of one attempt.
pub(super) struct Deadline<'a> {
    total_at: Instant,
    timer: Pin<&'a mut Sleep>,
}

impl<'a> Deadline<'a> {
    /// `timer` is set to the end of the whole attempt. On the warm path it is never set again.
    pub(super) fn new(timer: Pin<&'a mut Sleep>) -> Self {
        Self { total_at: timer.deadline(), timer }
    }

    /// Does `work`, a phase that began at `began` and may last for `limit`.
    ///
    /// The work comes pinned, here and in a connection's `drive`: passed by value, every future on the way
    /// down would hold a copy of it, and an attempt would take twice the memory.
    pub(super) fn within<F: Future>(
        &mut self,
        phase: Phase,
        began: Instant,
        limit: Duration,
        mut work: Pin<&mut F>,
    ) -> impl Future<Output = Result<F::Output, Failure>> {
        let end = began.checked_add(limit).map_or(self.total_at, |end| end.min(self.total_at));
        if self.timer.deadline() != end {
            self.timer.as_mut().reset(end);
        }
        poll_fn(move |cx| {
            if let Poll::Ready(output) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            self.timer.as_mut().poll(cx).map(|()| Err(Failure::timed_out(phase)))
        })
    }

    /// How long the attempt may still last.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.total_at.saturating_duration_since(now)
    }
}
