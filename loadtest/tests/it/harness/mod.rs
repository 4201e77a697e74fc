//! What the tests stand on: the binary as a process, and HTTP/1.1 byte by byte.

mod engine;
mod forgetful;
mod process;
mod wire;

pub(crate) use engine::engine_binary;
pub(crate) use forgetful::Forgetful;
pub(crate) use process::{Receiver, binary, refusal, run, run_alone};
pub(crate) use wire::{Answer, Wire, webhook};

use std::time::{Duration, Instant};

/// Long enough for a machine that does other things too. Nothing waits so long that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until the answer is yes.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
    }
}
