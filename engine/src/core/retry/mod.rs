//! Retry: when a delivery that did not arrive is tried again, and when it is given up.
//!
//!   attempt --success, 410, payload damaged--> no other attempt
//!      |
//!      +--"come back in 60 s" (Retry-After)--> attempt, after that wait; the schedule stands still
//!      |                                       (the 21st time it counts as any other failure)
//!      +--any other failure--> attempt, after the next delay of the policy; none left: given up
//!
//! Waits are blurred a little, so that ten thousand deliveries that failed in one second do not come back
//! in one second. The blur is drawn from the ids of the delivery and the number of the attempt, not from
//! dice: whoever asks again, after a crash or in a simulation, gets the same answer.
//!
//! Invariants
//! - No attempt earlier than the receiver asked for (within the limits it is granted).
//! - Every delivery comes to an end: at most [`ATTEMPTS_MAX`] attempts that count and
//!   [`PATIENT_WAITS_MAX`] that do not, whatever the receiver answers.
//! - Same delivery, same progress, same outcome: same answer.
//!
//! Not here: lockouts (`health`; an attempt refused by one is a failure as any other), and where a
//! delivery waits (`wheel`).

mod policy;
mod text;

use std::time::Duration;

use super::delivery::{DeliveryKey, Progress};
use super::outcome::Outcome;
use super::tick::Tick;
use super::wheel::WHEEL_SPAN_MS;

pub use policy::{
    ATTEMPTS_MAX, Exponential, FACTOR_MAX, JITTER_PERCENT_MAX, RETRY_DELAY_MS_MAX, RETRY_DELAY_MS_MIN,
    RetryPolicy, RetryPolicyError,
};
pub use text::{POLICY_TEXT_BYTES_MAX, RetryPolicyTextError};

/// Waits a receiver may ask for that use up no attempt, per delivery. A receiver that says "come back in a
/// minute" is working and deserves to be heard; one that says it for ever must not keep a delivery alive
/// for ever.
pub const PATIENT_WAITS_MAX: u8 = 20;

const DELAY_MAX: Duration = Duration::from_millis(RETRY_DELAY_MS_MAX);

// The longest retry with its blur must fit the wheel, or it would cost the time of a heap.
const _: () = assert!(RETRY_DELAY_MS_MAX * (100 + JITTER_PERCENT_MAX as u64) / 100 < WHEEL_SPAN_MS);
// Progress counts each kind of attempt in one byte.
const _: () = assert!(ATTEMPTS_MAX as u32 <= u8::MAX as u32);

/// What comes after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another attempt.
    After {
        /// Not before this.
        at: Tick,
        /// Whether the attempt that ended counts against the policy. If not, it counts as patience.
        uses_attempt: bool,
    },
    /// No other attempt: none is needed, none would help, or the policy is spent.
    GiveUp,
}

/// What comes after an attempt that ended with `outcome` at `ended_at`, for a delivery that had come as far
/// as `before` when it was made.
pub fn next_attempt(
    policy: &RetryPolicy,
    key: DeliveryKey,
    before: Progress,
    outcome: Outcome,
    ended_at: Tick,
) -> Next {
    if is_last_word(outcome) {
        return Next::GiveUp;
    }
    let random = random_of(key, before.made());
    let asked = match outcome {
        Outcome::RetryAfter { wait, .. } => blur_later(wait.min(DELAY_MAX), policy.jitter_percent(), random),
        _ => Duration::ZERO,
    };
    if matches!(outcome, Outcome::RetryAfter { .. }) && before.patience < PATIENT_WAITS_MAX {
        return Next::After { at: ended_at + asked, uses_attempt: false };
    }
    match policy.delay_after(before.attempts.saturating_add(1)) {
        Some(delay) => {
            let delay = blur(delay, policy.jitter_percent(), random);
            Next::After { at: ended_at + delay.max(asked), uses_attempt: true }
        }
        None => Next::GiveUp,
    }
}

/// Whether nothing can change this outcome: the message has arrived, the receiver wants no more at this
/// URL, or there is no payload to send. Settings from which no request can be built are not among them:
/// the endpoint may be corrected before the next attempt.
const fn is_last_word(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Success { .. } | Outcome::Gone | Outcome::PayloadDamaged)
}

/// What a receiver may ask for with `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAfterLimits {
    /// A shorter wait is drawn out to this.
    pub min: Duration,
    /// A longer wait is cut to this.
    pub max: Duration,
}

impl Default for RetryAfterLimits {
    /// One second to one day, as the config ships it.
    fn default() -> Self {
        Self { min: Duration::from_secs(1), max: Duration::from_secs(24 * 3_600) }
    }
}

/// The wait that is granted to a receiver that asked for `wait` (RFC 9110 section 10.2.3). Where the
/// limits contradict each other, `max` wins.
pub fn clamp_retry_after(wait: Duration, limits: &RetryAfterLimits) -> Duration {
    wait.max(limits.min).min(limits.max)
}

/// `wait`, or up to `percent` of it more or less.
fn blur(wait: Duration, percent: u8, random: u64) -> Duration {
    let spread = share(wait, percent);
    wait - spread + part_of(spread * 2, random)
}

/// `wait`, or up to `percent` of it more.
fn blur_later(wait: Duration, percent: u8, random: u64) -> Duration {
    wait + part_of(share(wait, percent), random)
}

fn share(wait: Duration, percent: u8) -> Duration {
    wait * u32::from(percent) / 100
}

/// From nothing to all of `whole`, in milliseconds, as `random` goes from 0 to its maximum.
fn part_of(whole: Duration, random: u64) -> Duration {
    let choices = whole.as_millis() + 1;
    Duration::from_millis(((choices * u128::from(random)) >> u64::BITS) as u64)
}

/// A number that looks random and belongs to this attempt of this delivery.
fn random_of(key: DeliveryKey, number: u16) -> u64 {
    let message = mix(key.message.0.as_u64());
    let endpoint = mix(message ^ key.endpoint.as_u64());
    mix(endpoint ^ u64::from(number))
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014):
/// every bit of the input changes half of the output.
const fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
