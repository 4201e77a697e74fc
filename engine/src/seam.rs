//! Seams: the few places where a simulation takes hold of the engine.
//!
//! A simulation runs the whole engine in one thread, in virtual time (see `simulation`). Almost all of the engine
//! cannot tell: its sockets are generic, its timers are the runtime's, its disk is a trait. What is left is here: what
//! the wall clock says, where blocking work goes, and how the thread of the writer learns that there is work.
//!
//! In a build without simulation, each function here is a constant and each type is empty.

#[cfg(any(test, feature = "simulation"))]
pub use simulated::*;

#[cfg(not(any(test, feature = "simulation")))]
pub(crate) use real::*;

#[cfg(not(any(test, feature = "simulation")))]
mod real {
    use std::time::Duration;

    /// What a simulation says that the wall clock shows, unix milliseconds.
    pub(crate) const fn wall_ms() -> Option<u64> {
        None
    }

    /// What a simulation has for a random number.
    pub(crate) const fn random() -> Option<u32> {
        None
    }

    /// Whether blocking work is to be done at once, where it is asked for.
    pub(crate) const fn blocks_inline() -> bool {
        false
    }

    /// How often something is looked after when nothing happens.
    pub(crate) const fn round(every: Duration) -> Duration {
        every
    }

    /// Whether something is broken on purpose, to see whether anybody notices.
    pub(crate) const fn is_planted(_: Bug) -> bool {
        false
    }

    /// What can be broken on purpose.
    #[derive(Clone, Copy)]
    pub(crate) enum Bug {
        AcknowledgeBeforeSync,
        RemoveNeeded,
        ForgetEnds,
    }

    /// Rings whenever something is put into a queue.
    #[derive(Debug, Clone)]
    pub(crate) struct Bell;

    impl Bell {
        pub(crate) const fn new() -> Self {
            Self
        }

        pub(crate) const fn ring(&self) {}
    }
}

#[cfg(any(test, feature = "simulation"))]
mod simulated {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::Notify;
    use tokio::time::Instant;

    const ROUND: Duration = Duration::from_secs(120);

    thread_local! {
        /// When the simulation of this thread began, and what the wall clock showed then.
        static WALL: Cell<Option<(Instant, u64)>> = const { Cell::new(None) };
        static RANDOM: Cell<u64> = const { Cell::new(0) };
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// What a simulation says that the wall clock shows, unix milliseconds.
    pub(crate) fn wall_ms() -> Option<u64> {
        let (since, ms) = WALL.get()?;
        Some(ms.saturating_add(u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)))
    }

    /// What a simulation has for a random number: they follow from each other.
    pub(crate) fn random() -> Option<u32> {
        WALL.get()?;
        RANDOM.set(
            RANDOM.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407),
        );
        Some((RANDOM.get() >> 32) as u32)
    }

    /// From now on the wall clock of this thread goes on from here, and the thread is a simulation's.
    pub(crate) fn set_wall_ms(ms: u64) {
        WALL.set(Some((Instant::now(), ms)));
    }

    /// The wall clock of this thread is the system's again.
    pub(crate) fn end_simulation() {
        WALL.set(None);
        PLANTED.set(None);
        RANDOM.set(0);
    }

    /// Whether blocking work is to be done at once, where it is asked for: a simulation has one thread.
    pub(crate) fn blocks_inline() -> bool {
        WALL.get().is_some()
    }

    /// How often something is looked after when nothing happens. Simulated days would be full of it.
    pub(crate) fn round(every: Duration) -> Duration {
        if blocks_inline() { every.max(ROUND) } else { every }
    }

    /// What can be broken on purpose.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Bug {
        /// Publishers get their ids before the log is synced.
        AcknowledgeBeforeSync,
        /// Segments are removed although pending deliveries need them, and nothing is carried out of them.
        RemoveNeeded,
        /// A recovery forgets which deliveries have ended.
        ForgetEnds,
    }

    /// Whether something is broken on purpose, to see whether anybody notices.
    pub(crate) fn is_planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// Breaks something on this thread.
    pub(crate) fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// Rings whenever something is put into a queue.
    #[derive(Debug, Clone)]
    pub(crate) struct Bell(Arc<Notify>);

    impl Bell {
        pub(crate) fn new() -> Self {
            Self(Arc::default())
        }

        pub(crate) fn ring(&self) {
            self.0.notify_one();
        }

        /// Ends when it has rung since the last call.
        pub(crate) async fn rung(&self) {
            self.0.notified().await;
        }
    }
}

/// Does what blocks where that harms nobody.
///
/// # Errors
/// When the runtime ended before it was done, or it panicked.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    if blocks_inline() {
        // Others get their turn, as they would while a thread is found for it.
        tokio::task::yield_now().await;
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await
}
