//! Lockout: stop knocking at a door that stays shut, and knock again gently.
//!
//!   Healthy --N failures in a row, or too many in a window--> LockedOut
//!      ^                                                       |    ^
//!      |                                         the wait is over   failure: the wait grows
//!      |                                                       v    |
//!      +--------------------------- success ------------------ Probing
//!
//! Every URL and every host has one health. A state is one 64-bit number and its next state a pure
//! function of it, so that a compare-and-swap loop may ask as often as it likes, and ingest, API and
//! metrics read it from any thread at no cost ([`HealthCell`]).
//!
//! Rules
//! - Results count while Healthy. A run of failures is broken by a success, or by two windows without any
//!   result: what fails once a day is not failing "over a short time".
//! - While LockedOut or Probing only the probe decides. Attempts that began before the lockout come back
//!   late; their failures must not prolong it, and their successes tell of the time before.
//! - The wait of a lockout grows by a factor each time the door proves shut: when a probe fails, and when
//!   it shuts again soon after it opened. Each window spent Healthy takes one growth back.
//! - A probe whose result never comes back is written off after its timeout, and another may go. Should the
//!   first come back after all, whichever result is here first decides.
//!
//! Invariants
//! - While LockedOut nothing is sent before the wait is over; then one probe, and no other until its
//!   result is here or written off.
//! - No lockout lasts longer than [`LOCKOUT_WAIT_MAX`], even if the clock goes back.
//!
//! Not here: when a delivery is tried again (`retry`), and whose health an outcome speaks for (`outcome`).

mod cell;
mod rule;
mod state;
#[cfg(test)]
mod tests;

use super::tick::Tick;
use state::{Parts, RESULTS_MAX, Stamp};

pub use cell::{HealthCell, HealthCellOn};
pub use rule::{
    LOCKOUT_WAIT_MAX, LOCKOUT_WAIT_MIN, LockoutRule, LockoutRuleError, LockoutSettings, PROBE_TIMEOUT_MAX,
    WINDOW_MAX,
};
pub use state::{HealthPhase, HealthState};

/// Longer than this nothing is refused, whatever the stamp says: the longest wait, and the second to which
/// it was rounded up.
const REFUSED_SECS_MAX: i32 = LOCKOUT_WAIT_MAX.as_secs() as i32 + 1;

/// Whether an attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admit {
    /// Yes.
    Go,
    /// Yes, and it alone decides whether the lockout ends. Its result, or that it was never sent, must be
    /// told.
    GoAsProbe,
    /// No.
    Refuse {
        /// When to ask again: the end of the wait, or of the time a probe is given.
        until: Tick,
    },
}

/// What a health state says, for people and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthView {
    /// Where it stands.
    pub phase: HealthPhase,
    /// Failures in a row, counted up to 255.
    pub consecutive_failures: u8,
    /// Failures among the results of the current window, or of the one that ended in the lockout; percent.
    pub failure_percent: u8,
    /// Until when a LockedOut one waits (in the past: the next attempt will be the probe), or a Probing one
    /// for the result of its probe.
    pub until: Option<Tick>,
}

/// What an outcome changed that people want to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthChange {
    /// A healthy one is locked out.
    LockedOut {
        /// When its first probe may go.
        until: Tick,
    },
    /// Its probe failed: it stays locked out.
    StaysLockedOut {
        /// When the next probe may go.
        until: Tick,
    },
    /// Its probe succeeded.
    Recovered,
}

/// What [`admit`] would answer. A URL and its host can both be asked before either gives its probe away.
pub fn peek(state: HealthState, now: Tick) -> Admit {
    let parts = state.parts();
    match parts.phase {
        HealthPhase::Healthy => Admit::Go,
        HealthPhase::LockedOut | HealthPhase::Probing => match parts.stamp.secs_since(Stamp::at(now)) {
            1..=REFUSED_SECS_MAX => Admit::Refuse { until: parts.stamp.tick_near(now) },
            _ => Admit::GoAsProbe,
        },
    }
}

/// Whether an attempt may be made at `now`, and the state if it is.
pub fn admit(state: HealthState, now: Tick, rule: &LockoutRule) -> (Admit, HealthState) {
    let answer = peek(state, now);
    let next = match answer {
        Admit::Go | Admit::Refuse { .. } => state,
        Admit::GoAsProbe => {
            let written_off = Stamp::after(now, rule.probe_timeout());
            Parts { phase: HealthPhase::Probing, stamp: written_off, ..state.parts() }.pack()
        }
    };
    (answer, next)
}

/// The state after an attempt ended. `was_probe`: it was admitted with [`Admit::GoAsProbe`].
pub fn on_outcome(
    state: HealthState,
    now: Tick,
    success: bool,
    was_probe: bool,
    rule: &LockoutRule,
) -> HealthState {
    let parts = state.parts();
    let next = match parts.phase {
        HealthPhase::Healthy => count(roll_window(parts, now, rule), now, success, rule),
        HealthPhase::Probing if was_probe && success => recover(parts, now),
        HealthPhase::Probing if was_probe => lock_out(parts, now, rule),
        HealthPhase::Probing | HealthPhase::LockedOut => return state,
    };
    next.pack()
}

/// The state after a probe that was admitted but never sent: the next one may go at once.
pub fn release_probe(state: HealthState, now: Tick) -> HealthState {
    let parts = state.parts();
    match parts.phase {
        HealthPhase::Probing => {
            Parts { phase: HealthPhase::LockedOut, stamp: Stamp::at(now), ..parts }.pack()
        }
        HealthPhase::Healthy | HealthPhase::LockedOut => state,
    }
}

/// What a state says.
pub fn view(state: HealthState, now: Tick) -> HealthView {
    let parts = state.parts();
    let percent = (u32::from(parts.failures) * 100).checked_div(parts.results.into());
    HealthView {
        phase: parts.phase,
        consecutive_failures: parts.consecutive,
        failure_percent: percent.unwrap_or(0) as u8,
        until: (parts.phase != HealthPhase::Healthy).then(|| parts.stamp.tick_near(now)),
    }
}

/// What the step from one state to another means for people; `None` for most steps.
pub fn change(before: HealthState, after: HealthState, now: Tick) -> Option<HealthChange> {
    let after = after.parts();
    let until = after.stamp.tick_near(now);
    match (before.parts().phase, after.phase) {
        (HealthPhase::Healthy, HealthPhase::LockedOut) => Some(HealthChange::LockedOut { until }),
        (HealthPhase::Probing, HealthPhase::LockedOut) => Some(HealthChange::StaysLockedOut { until }),
        (HealthPhase::Probing, HealthPhase::Healthy) => Some(HealthChange::Recovered),
        _ => None,
    }
}

/// Begins a new window where the current one is over.
fn roll_window(parts: Parts, now: Tick, rule: &LockoutRule) -> Parts {
    let elapsed = Stamp::at(now).secs_since(parts.stamp);
    let window = rule.window_secs();
    // Shards read the clock one after the other, so a window may begin a little in the future.
    if (-window..window).contains(&elapsed) {
        return parts;
    }
    let windows = elapsed / window;
    let is_run_broken = !(0..2).contains(&windows);
    Parts {
        level: parts.level.saturating_sub(windows.clamp(0, u8::MAX.into()) as u8),
        consecutive: if is_run_broken { 0 } else { parts.consecutive },
        failures: 0,
        results: 0,
        stamp: Stamp::at(now),
        ..parts
    }
}

fn count(mut parts: Parts, now: Tick, success: bool, rule: &LockoutRule) -> Parts {
    if parts.results == RESULTS_MAX {
        // Forget half: the share stays, and younger results weigh more.
        parts.results /= 2;
        parts.failures /= 2;
    }
    parts.results += 1;
    if success {
        parts.consecutive = 0;
        return parts;
    }
    parts.failures += 1;
    parts.consecutive = parts.consecutive.saturating_add(1);
    if rule.locks_out(parts.consecutive, parts.failures, parts.results) {
        return lock_out(parts, now, rule);
    }
    parts
}

fn lock_out(parts: Parts, now: Tick, rule: &LockoutRule) -> Parts {
    let (wait, level) = rule.wait(parts.level);
    Parts { phase: HealthPhase::LockedOut, level, stamp: Stamp::after(now, wait), ..parts }
}

/// Healthy again, with a clean sheet but for the growth of the wait: the door may shut again.
fn recover(parts: Parts, now: Tick) -> Parts {
    let phase = HealthPhase::Healthy;
    Parts { phase, level: parts.level, consecutive: 0, failures: 0, results: 0, stamp: Stamp::at(now) }
}
