//! The clock: the only place that asks what time it is, outside the core that is told.
//!
//! Scheduling runs on the wall clock as it stood at start, carried forward by the monotonic clock. So a wall
//! clock that jumps neither fires a day of retries at once nor stops them; a restart takes the new time.
//! What receivers check against their own clocks (the signature's timestamp) is read from the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::core::tick::Tick;
use crate::seam;

/// A clock that only goes forward. Copies agree with each other.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    start_ms: u64,
}

impl Clock {
    /// A clock that starts at the wall clock's time.
    pub fn start() -> Self {
        Self { start: Instant::now(), start_ms: unix_ms() }
    }

    /// Now.
    pub fn now(&self) -> Tick {
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Tick::from_ms(self.start_ms.saturating_add(elapsed))
    }

    /// Now, in unix microseconds.
    pub fn now_us(&self) -> u64 {
        let elapsed = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.start_ms.saturating_mul(1_000).saturating_add(elapsed)
    }

    /// The moment as the async runtime's timers want it.
    pub fn instant_of(&self, tick: Tick) -> Instant {
        let ms = tick.as_ms().saturating_sub(self.start_ms);
        // A century ahead is as good as never, and cannot overflow.
        let ms = ms.min(100 * 365 * 86_400_000);
        self.start + std::time::Duration::from_millis(ms)
    }
}

/// Unix milliseconds as people and programs read them: RFC 3339 in UTC. What is beyond the year 9999 becomes its end.
pub fn rfc3339(unix_ms: u64) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// The wall clock, in unix milliseconds.
pub fn unix_ms() -> u64 {
    if let Some(ms) = seam::wall_ms() {
        return ms;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The wall clock, in unix seconds.
pub fn unix_secs() -> u64 {
    unix_ms() / 1_000
}
