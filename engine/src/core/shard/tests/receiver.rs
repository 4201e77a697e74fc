//! A receiver that answers as it is told.

use std::collections::VecDeque;
use std::time::Duration;

use super::{ms, secs};
use crate::core::outcome::{Outcome, Phase};

/// The deadline of an attempt.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// How an attempt ends, and how long it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    pub(super) took: Duration,
}

impl Answer {
    /// The same, but it takes this long.
    pub(super) fn after(self, took: Duration) -> Self {
        Self { took, ..self }
    }
}

fn at_once(outcome: Outcome) -> Answer {
    Answer { outcome, took: ms(10) }
}

/// Answers with this status.
pub(super) fn status(status: u16) -> Answer {
    at_once(match status {
        200..=299 => Outcome::Success { status },
        300..=399 => Outcome::Redirect { status },
        410 => Outcome::Gone,
        _ => Outcome::BadStatus { status },
    })
}

/// Takes the request and is silent until the deadline.
pub(super) fn hangs() -> Answer {
    Answer { outcome: Outcome::TimedOut(Phase::FirstByte), took: TIMEOUT }
}

/// Refuses the connection.
pub(super) fn refuses() -> Answer {
    at_once(Outcome::ConnectFailed)
}

/// Asks for patience.
pub(super) fn asks_for(wait_secs: u64) -> Answer {
    at_once(Outcome::RetryAfter { status: 429, wait: secs(wait_secs) })
}

/// Nothing is sent, because no request can be built.
pub(super) fn unsendable() -> Answer {
    at_once(Outcome::RequestInvalid)
}

/// What a receiver does when its script is over.
#[derive(Debug, Clone, Copy)]
pub(super) enum Manner {
    /// Always the same.
    Always(Answer),
    /// Fails so many of a hundred requests with a 500, drawn from `seed`.
    Flaky { percent: u64, seed: u64 },
}

impl From<Answer> for Manner {
    fn from(answer: Answer) -> Self {
        Self::Always(answer)
    }
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) script: VecDeque<Answer>,
    pub(super) then: Manner,
}

impl Receiver {
    pub(super) fn answer(&mut self) -> Answer {
        if let Some(answer) = self.script.pop_front() {
            return answer;
        }
        match &mut self.then {
            Manner::Always(answer) => *answer,
            Manner::Flaky { percent, seed } => {
                // Knuth's MMIX numbers; the high bits are good enough for a coin.
                *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                status(if (*seed >> 33) % 100 < *percent { 500 } else { 204 })
            }
        }
    }
}
