//! Whether messages are accepted: what those who know say, for whoever decides where to send traffic.
//!
//! Not here: whether the process lives (that it answers says so), and how endpoints are doing (`core::health`).

use std::sync::atomic::{AtomicBool, Ordering};

/// See the head of this file. The writer says what the disk does, the engine that it stops.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    full: AtomicBool,
    poisoned: AtomicBool,
    stopping: AtomicBool,
}

/// Why no message is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotReady {
    /// It is as good as gone.
    #[error("the server is stopping")]
    Stopping,
    /// Until a restart.
    #[error("the log stopped after a failed sync; nothing is accepted until a restart")]
    LogPoisoned,
    /// Until there is space.
    #[error("the disk is full; publishers are refused until there is space")]
    DiskFull,
}

impl Readiness {
    /// There is no space, or there is some again.
    pub(crate) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    /// The log stopped.
    pub(crate) fn set_poisoned(&self) {
        self.poisoned.store(true, Ordering::Relaxed);
    }

    /// The engine stops.
    pub(crate) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// What lasts longest is named first.
    pub(crate) fn check(&self) -> Result<(), NotReady> {
        let causes = [
            (&self.stopping, NotReady::Stopping),
            (&self.poisoned, NotReady::LogPoisoned),
            (&self.full, NotReady::DiskFull),
        ];
        let cause = causes.into_iter().find(|(is_so, _)| is_so.load(Ordering::Relaxed));
        cause.map_or(Ok(()), |(_, why)| Err(why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_recovers_and_a_log_or_a_stop_does_not() {
        let readiness = Readiness::default();
        assert_eq!(readiness.check(), Ok(()));
        readiness.set_full(true);
        assert_eq!(readiness.check(), Err(NotReady::DiskFull));
        readiness.set_full(false);
        assert_eq!(readiness.check(), Ok(()));
        readiness.set_poisoned();
        readiness.set_full(false);
        assert_eq!(readiness.check(), Err(NotReady::LogPoisoned));
        readiness.set_stopping();
        assert_eq!(readiness.check(), Err(NotReady::Stopping));
    }
}
