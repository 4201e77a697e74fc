//! The shard as claims about a world in virtual time: receivers that misbehave on purpose, a ledger, a
//! catalog, and a clock that jumps to whatever happens next (`world`).
//!
//! The world keeps books on every delivery (`books`) and stops a test at the first thing that must never
//! happen: an attempt too early or into a lockout, a second end, more in flight than is allowed. So every
//! claim here proves those as well, and `properties` looks for inputs that break them.

mod books;
mod cancellation;
mod endpoints;
mod fairness;
mod flights;
mod handover;
mod lanes;
mod lockout;
mod pace;
mod properties;
mod receiver;
mod schedule;
mod world;

use std::time::Duration;

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(super) fn hours(hours: u64) -> Duration {
    secs(hours * 3_600)
}
