//! When an alert is raised: the numbers behind the conditions.

use std::time::Duration;

/// The numbers of `[alerts]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AlertRules {
    /// Failures in a row after which an endpoint is failing.
    pub failing_attempts: u32,
    /// ... if the first and the last of them are at least so far apart.
    pub failing_for: Duration,
    /// How long a window is whose success rate is looked at.
    pub rate_window: Duration,
    /// Attempts in a window below which its rate says nothing.
    pub rate_attempts_min: u32,
    /// Percent of the attempts in a window that should succeed.
    pub rate_percent_min: u32,
    /// How long further exhausted deliveries of an endpoint are summed up.
    pub exhausted_every: Duration,
    /// How long every attempt must have failed for an endpoint to be disabled.
    pub disable_after: Duration,
    /// ... and how many at least.
    pub disable_attempts_min: u32,
    /// Alerts raised a minute at most.
    pub per_minute_max: u32,
}
