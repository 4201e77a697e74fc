//! When a URL or host is locked out, and for how long.

use std::time::Duration;

use super::state::{LEVEL_MAX, RESULTS_MAX};
use crate::core::duration::DurationText;

/// The shortest wait of a lockout. Health counts in seconds.
pub const LOCKOUT_WAIT_MIN: Duration = Duration::from_secs(1);
/// The longest wait of a lockout. What is shut for longer is for people to disable.
pub const LOCKOUT_WAIT_MAX: Duration = Duration::from_secs(24 * 3_600);
/// The longest window over which failures are counted.
pub const WINDOW_MAX: Duration = Duration::from_secs(3_600);
/// The longest time that is waited for the result of a probe.
pub const PROBE_TIMEOUT_MAX: Duration = Duration::from_secs(3_600);

const WAIT_FACTOR_MAX: u32 = 10;

/// The numbers of a lockout rule as the config holds them. The default is what the config ships.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockoutSettings {
    /// Failures in a row that lock out, 1 to 255. Default 10: a restart of the receiver passes for healthy,
    /// a crash loop does not.
    pub consecutive_failures: u32,
    /// The window in which failures are counted, 1 s to [`WINDOW_MAX`]; windows follow each other without
    /// overlap. Default 60 s.
    pub window: Duration,
    /// Failures in one window without which their share means nothing, 1 to 1023. Default 20.
    pub window_failures_min: u32,
    /// The share of failures in a window that locks out, in percent, 1 to 100. Default 50.
    pub failure_percent: u32,
    /// The wait of the first lockout, [`LOCKOUT_WAIT_MIN`] to `wait_max`. Default 30 s.
    pub wait_first: Duration,
    /// The longest wait, up to [`LOCKOUT_WAIT_MAX`]. Default 15 min.
    pub wait_max: Duration,
    /// From each wait to the next, 1 to 10. Default 2.
    pub wait_factor: u32,
    /// How long a probe's result is waited for, 1 s to [`PROBE_TIMEOUT_MAX`]. It must be longer than an
    /// attempt may take, or a second probe goes out beside a slow one. Default 60 s.
    pub probe_timeout: Duration,
}

impl Default for LockoutSettings {
    fn default() -> Self {
        Self {
            consecutive_failures: 10,
            window: Duration::from_secs(60),
            window_failures_min: 20,
            failure_percent: 50,
            wait_first: Duration::from_secs(30),
            wait_max: Duration::from_secs(15 * 60),
            wait_factor: 2,
            probe_timeout: Duration::from_secs(60),
        }
    }
}

/// Why a lockout rule is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockoutRuleError {
    /// A number outside its range.
    #[error("{name} is {value}; allowed are {min} to {max}")]
    Number {
        /// Which.
        name: &'static str,
        /// What was given.
        value: u32,
        /// The smallest allowed.
        min: u32,
        /// The largest allowed.
        max: u32,
    },
    /// A duration outside its range.
    #[error("{name} is {value}; allowed are {min} to {max}")]
    Duration {
        /// Which.
        name: &'static str,
        /// What was given.
        value: DurationText,
        /// The shortest allowed.
        min: DurationText,
        /// The longest allowed.
        max: DurationText,
    },
    /// A count and a share that are never reached together.
    #[error(
        "window_failures_min is {failures}, which failure_percent {percent} never reaches: \
         a window counts {RESULTS_MAX} results, so at most {max} can be asked for"
    )]
    NeverReached {
        /// The count that was given.
        failures: u32,
        /// The share that was given.
        percent: u32,
        /// The largest count that goes with this share.
        max: u32,
    },
}

/// When a URL or host is locked out, and for how long. Validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LockoutRule(LockoutSettings);

impl LockoutRule {
    /// The rule with these numbers.
    ///
    /// # Errors
    /// A number outside its range, named with the range; or a window that can never lock out.
    pub fn new(settings: LockoutSettings) -> Result<Self, LockoutRuleError> {
        let s = &settings;
        let second = Duration::from_secs(1);
        number("consecutive_failures", s.consecutive_failures, 1, u8::MAX.into())?;
        duration("window", s.window, second, WINDOW_MAX)?;
        number("window_failures_min", s.window_failures_min, 1, RESULTS_MAX.into())?;
        number("failure_percent", s.failure_percent, 1, 100)?;
        duration("wait_max", s.wait_max, LOCKOUT_WAIT_MIN, LOCKOUT_WAIT_MAX)?;
        duration("wait_first", s.wait_first, LOCKOUT_WAIT_MIN, s.wait_max)?;
        number("wait_factor", s.wait_factor, 1, WAIT_FACTOR_MAX)?;
        duration("probe_timeout", s.probe_timeout, second, PROBE_TIMEOUT_MAX)?;
        let max = u32::from(RESULTS_MAX) * s.failure_percent / 100;
        if s.window_failures_min > max {
            let (failures, percent) = (s.window_failures_min, s.failure_percent);
            return Err(LockoutRuleError::NeverReached { failures, percent, max });
        }
        Ok(Self(settings))
    }

    /// The numbers of the rule.
    pub const fn settings(&self) -> &LockoutSettings {
        &self.0
    }

    /// Whether so many failures lock out.
    pub(super) fn locks_out(&self, consecutive: u8, failures: u16, results: u16) -> bool {
        let (failures, results) = (u32::from(failures), u32::from(results));
        u32::from(consecutive) >= self.0.consecutive_failures
            || failures >= self.0.window_failures_min && failures * 100 >= results * self.0.failure_percent
    }

    /// The wait of a lockout after `level` growths, and the level of the one that follows it.
    pub(super) fn wait(&self, level: u8) -> (Duration, u8) {
        let grown = self.0.wait_first.saturating_mul(self.0.wait_factor.saturating_pow(level.into()));
        if grown < self.0.wait_max {
            (grown, level.saturating_add(1).min(LEVEL_MAX))
        } else {
            // Grown enough. Were the level to grow on, it would take as long to come down again.
            (self.0.wait_max, level)
        }
    }

    /// The window, in whole seconds.
    pub(super) fn window_secs(&self) -> i32 {
        self.0.window.as_secs() as i32
    }

    pub(super) const fn probe_timeout(&self) -> Duration {
        self.0.probe_timeout
    }
}

fn number(name: &'static str, value: u32, min: u32, max: u32) -> Result<(), LockoutRuleError> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(LockoutRuleError::Number { name, value, min, max })
    }
}

fn duration(
    name: &'static str,
    value: Duration,
    min: Duration,
    max: Duration,
) -> Result<(), LockoutRuleError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    let [value, min, max] = [value, min, max].map(DurationText);
    Err(LockoutRuleError::Duration { name, value, min, max })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: fn() -> LockoutSettings = LockoutSettings::default;

    #[track_caller]
    fn refused(settings: LockoutSettings, sentence: &str) {
        assert_eq!(LockoutRule::new(settings).map_err(|error| error.to_string()), Err(sentence.into()));
    }

    #[test]
    fn the_default_rule_is_valid() {
        assert_eq!(LockoutRule::new(LockoutSettings::default()), Ok(LockoutRule::default()));
    }

    #[test]
    fn each_bad_number_is_refused_with_its_range() {
        let zero = Duration::ZERO;
        refused(
            LockoutSettings { consecutive_failures: 256, ..FINE() },
            "consecutive_failures is 256; allowed are 1 to 255",
        );
        refused(LockoutSettings { window: zero, ..FINE() }, "window is 0ms; allowed are 1s to 1h");
        refused(
            LockoutSettings { failure_percent: 0, ..FINE() },
            "failure_percent is 0; allowed are 1 to 100",
        );
        refused(LockoutSettings { wait_factor: 0, ..FINE() }, "wait_factor is 0; allowed are 1 to 10");
        refused(
            LockoutSettings { probe_timeout: zero, ..FINE() },
            "probe_timeout is 0ms; allowed are 1s to 1h",
        );
    }

    #[test]
    fn waits_out_of_order_or_too_long_are_refused() {
        let [second, minute, week] = [1, 60, 7 * 86_400].map(Duration::from_secs);
        refused(LockoutSettings { wait_max: week, ..FINE() }, "wait_max is 7d; allowed are 1s to 1d");
        refused(
            LockoutSettings { wait_first: minute, wait_max: second, ..FINE() },
            "wait_first is 1m; allowed are 1s to 1s",
        );
    }

    #[test]
    fn a_window_that_could_never_lock_out_is_refused() {
        refused(
            LockoutSettings { window_failures_min: 20, failure_percent: 1, ..FINE() },
            "window_failures_min is 20, which failure_percent 1 never reaches: \
             a window counts 1023 results, so at most 10 can be asked for",
        );
    }

    #[test]
    fn waits_grow_up_to_their_max() {
        let rule = LockoutRule::default();
        let mut level = 0;
        let waits = std::array::from_fn(|_| {
            let (wait, next) = rule.wait(level);
            level = next;
            wait.as_secs()
        });
        assert_eq!(waits, [30, 60, 120, 240, 480, 900, 900, 900]);
        assert_eq!(level, 5);
    }
}
