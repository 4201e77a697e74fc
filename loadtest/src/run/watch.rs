//! Watching a play: samples for the plots, and a line for whoever waits.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::account::Account;
use crate::engine::{Engine, Reading};

const STEP: Duration = Duration::from_millis(100);
/// Where nobody looks at a terminal, a line each so often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What the engine's process was like at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Seconds since the play began.
    pub(crate) after_s: f64,
    pub(crate) reading: Reading,
}

/// Watches while `work` works.
pub(crate) fn during<T>(
    what: &str,
    engine: &Engine,
    account: &Account,
    work: impl FnOnce() -> T,
) -> (T, Vec<Sample>) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(what, engine, account, &done));
        let worked = work();
        done.store(true, Ordering::Relaxed);
        watching.thread().unpark();
        (worked, watching.join().unwrap_or_default())
    })
}

fn watch(what: &str, engine: &Engine, account: &Account, done: &AtomicBool) -> Vec<Sample> {
    let (began, mut samples) = (Instant::now(), Vec::new());
    let mut line = Line::new(what, account.totals().once);
    while !done.load(Ordering::Relaxed) {
        let after = began.elapsed();
        // A process that was killed on purpose has nothing to say.
        if let Ok(reading) = engine.reading() {
            samples.push(Sample { after_s: after.as_secs_f64(), reading });
        }
        line.show(after, account);
        std::thread::park_timeout(STEP);
    }
    line.erase();
    samples
}

/// The line that tells how it goes.
struct Line<'a> {
    what: &'a str,
    is_terminal: bool,
    shown_at: Duration,
    seen: u64,
}

impl<'a> Line<'a> {
    fn new(what: &'a str, seen: u64) -> Self {
        Self { what, is_terminal: std::io::stderr().is_terminal(), shown_at: Duration::ZERO, seen }
    }

    fn show(&mut self, after: Duration, account: &Account) {
        let every = if self.is_terminal { 2 * STEP } else { LINE_EVERY };
        let since = after.saturating_sub(self.shown_at);
        if since < every {
            return;
        }
        let totals = account.totals();
        let rate = (totals.once - self.seen.min(totals.once)) as f64 / since.as_secs_f64();
        let text = format!(
            "{}: {:.0} s, {} acknowledged, {} received, {rate:.0}/s, {} outstanding",
            self.what,
            after.as_secs_f64(),
            totals.acknowledged,
            totals.once,
            account.backlog.inside()
        );
        // Who cannot be told how it goes is told how it went.
        let _ = if self.is_terminal {
            write!(std::io::stderr(), "\r\x1b[K{text}")
        } else {
            writeln!(std::io::stderr(), "{text}")
        };
        (self.shown_at, self.seen) = (after, totals.once);
    }

    fn erase(&self) {
        if self.is_terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
