//! A health state, packed into 64 bits so that one compare-and-swap moves all of it.
//!
//!   63..62   61..58   57..50        49..40     39..30    29..0
//!   phase    level    consecutive   failures   results   stamp
//!
//! The stamp is a moment in whole seconds; which one depends on the phase. Its 30 bits come round every 34
//! years. It is only ever compared with a moment within 17 years of it, and a stamp from before that is
//! taken for a clock that jumped, which the callers survive.
//!
//! All zeros is a healthy state about which nothing is known.

use std::fmt;
use std::time::Duration;

use crate::core::tick::Tick;

const STAMP_BITS: u32 = 30;
const COUNT_BITS: u32 = 10;
const CONSECUTIVE_BITS: u32 = 8;
const LEVEL_BITS: u32 = 4;
const PHASE_BITS: u32 = 2;

const RESULTS_SHIFT: u32 = STAMP_BITS;
const FAILURES_SHIFT: u32 = RESULTS_SHIFT + COUNT_BITS;
const CONSECUTIVE_SHIFT: u32 = FAILURES_SHIFT + COUNT_BITS;
const LEVEL_SHIFT: u32 = CONSECUTIVE_SHIFT + CONSECUTIVE_BITS;
const PHASE_SHIFT: u32 = LEVEL_SHIFT + LEVEL_BITS;
const _: () = assert!(PHASE_SHIFT + PHASE_BITS == u64::BITS);

/// Results that a window counts before it forgets half of them.
pub(super) const RESULTS_MAX: u16 = (1 << COUNT_BITS) - 1;
/// Growths of the wait that are told apart.
pub(super) const LEVEL_MAX: u8 = (1 << LEVEL_BITS) - 1;

/// Where a URL or host stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HealthPhase {
    /// Attempts are made.
    #[default]
    Healthy,
    /// Nothing is sent until the wait is over.
    LockedOut,
    /// One attempt is out to see whether the door is open.
    Probing,
}

impl HealthPhase {
    /// Its name in metrics and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::LockedOut => "locked_out",
            Self::Probing => "probing",
        }
    }
}

/// The health of a URL or host, as one number.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct HealthState(u64);

impl HealthState {
    pub(super) const fn from_u64(raw: u64) -> Self {
        Self(raw)
    }

    pub(super) const fn as_u64(self) -> u64 {
        self.0
    }

    pub(super) fn parts(self) -> Parts {
        let field = |shift: u32, bits: u32| (self.0 >> shift) & ((1 << bits) - 1);
        Parts {
            phase: match field(PHASE_SHIFT, PHASE_BITS) {
                0 => HealthPhase::Healthy,
                1 => HealthPhase::LockedOut,
                _ => HealthPhase::Probing,
            },
            level: field(LEVEL_SHIFT, LEVEL_BITS) as u8,
            consecutive: field(CONSECUTIVE_SHIFT, CONSECUTIVE_BITS) as u8,
            failures: field(FAILURES_SHIFT, COUNT_BITS) as u16,
            results: field(RESULTS_SHIFT, COUNT_BITS) as u16,
            stamp: Stamp(field(0, STAMP_BITS) as u32),
        }
    }
}

impl fmt::Debug for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.parts(), f)
    }
}

/// A health state, unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) phase: HealthPhase,
    /// How often the wait of the next lockout has grown.
    pub(super) level: u8,
    /// Failures in a row, up to 255.
    pub(super) consecutive: u8,
    /// Failures in the window.
    pub(super) failures: u16,
    /// Results in the window.
    pub(super) results: u16,
    /// Healthy: when the window began. LockedOut: when the wait is over. Probing: when the probe is written
    /// off.
    pub(super) stamp: Stamp,
}

impl Parts {
    pub(super) fn pack(self) -> HealthState {
        debug_assert!(
            self.level <= LEVEL_MAX && self.failures <= self.results && self.results <= RESULTS_MAX
        );
        let phase = match self.phase {
            HealthPhase::Healthy => 0,
            HealthPhase::LockedOut => 1,
            HealthPhase::Probing => 2,
        };
        HealthState(
            phase << PHASE_SHIFT
                | u64::from(self.level) << LEVEL_SHIFT
                | u64::from(self.consecutive) << CONSECUTIVE_SHIFT
                | u64::from(self.failures) << FAILURES_SHIFT
                | u64::from(self.results) << RESULTS_SHIFT
                | u64::from(self.stamp.0),
        )
    }
}

/// A moment in whole seconds, of which the low 30 bits are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(u32);

impl Stamp {
    /// The second that `now` lies in.
    pub(super) const fn at(now: Tick) -> Self {
        Self(now.as_secs() as u32 & ((1 << STAMP_BITS) - 1))
    }

    /// The first full second that is at least `wait` after `now`.
    pub(super) fn after(now: Tick, wait: Duration) -> Self {
        Self::at(now + wait + Duration::from_millis(999))
    }

    /// Seconds from `earlier` to this; negative if it is the later one.
    pub(super) const fn secs_since(self, earlier: Self) -> i32 {
        // Shifted up, the difference wraps and takes its sign as 32-bit numbers do.
        let spare = u32::BITS - STAMP_BITS;
        (self.0.wrapping_sub(earlier.0) << spare) as i32 >> spare
    }

    /// The moment meant, within 17 years of `now`.
    pub(super) const fn tick_near(self, now: Tick) -> Tick {
        let secs = now.as_secs().saturating_add_signed(self.secs_since(Self::at(now)) as i64);
        Tick::from_ms(secs.saturating_mul(1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_back_as_it_was_packed() {
        for phase in [HealthPhase::Healthy, HealthPhase::LockedOut, HealthPhase::Probing] {
            let stamp = Stamp((1 << STAMP_BITS) - 1);
            let full = Parts { phase, level: 15, consecutive: 255, failures: 1_023, results: 1_023, stamp };
            assert_eq!(full.pack().parts(), full);
            let few = Parts { phase, level: 1, consecutive: 2, failures: 3, results: 4, stamp: Stamp(5) };
            assert_eq!(few.pack().parts(), few);
            assert_eq!(HealthState::from_u64(few.pack().as_u64()), few.pack());
        }
        assert_eq!(HealthState::default().parts().phase, HealthPhase::Healthy);
    }

    #[test]
    fn a_stamp_is_right_across_the_moment_its_bits_come_round() {
        let round = 1_000 << STAMP_BITS;
        for start in [round - 5_000, 2 * round - 1, 1_732_300_000_123] {
            let now = Tick::from_ms(start);
            let later = Stamp::after(now, Duration::from_secs(900));
            assert!((900..=901).contains(&later.secs_since(Stamp::at(now))));
            assert!((-901..=-900).contains(&Stamp::at(now).secs_since(later)));
            assert!(later.tick_near(now) >= now + Duration::from_secs(900));
            assert!(later.tick_near(now) < now + Duration::from_secs(901));
        }
    }
}
