//! A retry policy: the waits between the attempts of a delivery.
//!
//! Whether it was given as a list or as a formula, it is kept as the list: what is done in the end is then
//! the same few lines for all, and what a policy means can be read off it.

use std::time::Duration;

use crate::core::duration::DurationText;

/// The longest delay between two attempts, in milliseconds: 30 days.
pub const RETRY_DELAY_MS_MAX: u64 = 30 * 24 * 3_600 * 1_000;
/// The shortest delay between two attempts, in milliseconds. Without one, a policy could knock as fast as
/// the network answers.
pub const RETRY_DELAY_MS_MIN: u64 = 10;
/// Attempts that a policy may allow, the first one included.
pub const ATTEMPTS_MAX: u8 = 100;
/// The largest jitter, in percent of a delay.
pub const JITTER_PERCENT_MAX: u8 = 50;
/// The fastest growth of exponential delays.
pub const FACTOR_MAX: f64 = 10.0;

// Delays are kept in 32 bits.
const _: () = assert!(RETRY_DELAY_MS_MAX <= u32::MAX as u64);

/// 5 s, 30 s, 2 min, 10 min, 30 min, 1 h, 2 h, 4 h, 8 h, 12 h: close together while it may be a restart,
/// then far enough apart to span a day, so that somebody can repair the receiver in working hours.
const DELAYS_S_DEFAULT: [u32; 10] = [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200];
const JITTER_PERCENT_DEFAULT: u8 = 10;

// By default a receiver has more than a day, even where the jitter takes off each delay what it can.
const _: () = assert!(sum_s(&DELAYS_S_DEFAULT) * (100 - JITTER_PERCENT_DEFAULT as u64) / 100 > 24 * 3_600);

const fn sum_s(delays: &[u32]) -> u64 {
    match delays {
        [first, rest @ ..] => *first as u64 + sum_s(rest),
        [] => 0,
    }
}

/// When to try again, and how often. Validated: whoever holds one may follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    delays_ms: Box<[u32]>,
    jitter_percent: u8,
}

/// Delays that grow by a factor: `first`, `first * factor`, and so on, none above `max`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exponential {
    /// The delay after the first attempt.
    pub first: Duration,
    /// From each delay to the next, 1 to [`FACTOR_MAX`].
    pub factor: f64,
    /// The longest delay.
    pub max: Duration,
    /// Attempts in all, the first one included.
    pub attempts: u32,
}

/// Why a retry policy is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RetryPolicyError {
    /// Too many attempts.
    #[error("the policy makes {attempts} attempts; the limit is {ATTEMPTS_MAX}, the first one included")]
    TooManyAttempts {
        /// Attempts it would make.
        attempts: u64,
    },
    /// Not even the first attempt.
    #[error("the policy makes no attempt; 'attempts' counts the first one, so it is at least 1")]
    NoAttempt,
    /// A delay too long.
    #[error("delay {number} is {delay}; the longest allowed is {max}", max = DurationText(Duration::from_millis(RETRY_DELAY_MS_MAX)))]
    DelayTooLong {
        /// Which one; the delay after the first attempt is 1.
        number: usize,
        /// How long it is.
        delay: DurationText,
    },
    /// A delay too short.
    #[error("delay {number} is {delay}; the shortest allowed is {min}", min = DurationText(Duration::from_millis(RETRY_DELAY_MS_MIN)))]
    DelayTooShort {
        /// Which one; the delay after the first attempt is 1.
        number: usize,
        /// How long it is.
        delay: DurationText,
    },
    /// A factor that shrinks delays, or lets them grow too fast.
    #[error("factor is {factor}; allowed are 1 to {FACTOR_MAX}")]
    Factor {
        /// What was given.
        factor: f64,
    },
    /// The first delay is longer than the longest.
    #[error("first is {first}, longer than max, which is {max}")]
    FirstOverMax {
        /// The first delay.
        first: DurationText,
        /// The longest delay.
        max: DurationText,
    },
    /// Too much jitter.
    #[error("jitter is {percent}%; the limit is {JITTER_PERCENT_MAX}%")]
    Jitter {
        /// What was given.
        percent: u64,
    },
}

impl RetryPolicy {
    /// The jitter of a policy that does not name its own, in percent of each delay.
    pub const JITTER_PERCENT_DEFAULT: u8 = JITTER_PERCENT_DEFAULT;

    /// A policy that waits `delays[0]` after the first attempt, and so on; each is blurred by up to
    /// `jitter_percent` of it. No delays: one attempt and no other.
    ///
    /// # Errors
    /// More than [`ATTEMPTS_MAX`] attempts, a delay outside [`RETRY_DELAY_MS_MIN`] to
    /// [`RETRY_DELAY_MS_MAX`], or a jitter above [`JITTER_PERCENT_MAX`].
    pub fn new(delays: &[Duration], jitter_percent: u8) -> Result<Self, RetryPolicyError> {
        if jitter_percent > JITTER_PERCENT_MAX {
            return Err(RetryPolicyError::Jitter { percent: jitter_percent.into() });
        }
        if delays.len() >= usize::from(ATTEMPTS_MAX) {
            return Err(RetryPolicyError::TooManyAttempts { attempts: delays.len() as u64 + 1 });
        }
        let delays_ms =
            (1..).zip(delays).map(|(number, delay)| delay_ms(number, *delay)).collect::<Result<_, _>>()?;
        Ok(Self { delays_ms, jitter_percent })
    }

    /// A policy whose delays grow by a factor.
    ///
    /// # Errors
    /// As [`Self::new`]; a factor outside 1 to [`FACTOR_MAX`], no attempt, or a first delay over the longest.
    pub fn exponential(shape: Exponential, jitter_percent: u8) -> Result<Self, RetryPolicyError> {
        let Exponential { first, factor, max, attempts } = shape;
        if !(1.0..=FACTOR_MAX).contains(&factor) {
            return Err(RetryPolicyError::Factor { factor });
        }
        if first > max {
            return Err(RetryPolicyError::FirstOverMax {
                first: DurationText(first),
                max: DurationText(max),
            });
        }
        if attempts > u32::from(ATTEMPTS_MAX) {
            return Err(RetryPolicyError::TooManyAttempts { attempts: attempts.into() });
        }
        let retries = attempts.checked_sub(1).ok_or(RetryPolicyError::NoAttempt)?;
        // Refused here, before it is multiplied.
        delay_ms(1, first)?;
        let grow = |delay: &Duration| {
            Some(Duration::from_millis((delay.as_millis() as f64 * factor) as u64).min(max))
        };
        let delays: Vec<_> = std::iter::successors(Some(first), grow).take(retries as usize).collect();
        Self::new(&delays, jitter_percent)
    }

    /// Attempts it makes, the first one included; those that a receiver put off with `Retry-After` come on
    /// top.
    pub const fn attempts_max(&self) -> u8 {
        self.delays_ms.len() as u8 + 1
    }

    /// The delay after this many attempts, before jitter; `None` when there is no other attempt.
    pub fn delay_after(&self, attempts: u8) -> Option<Duration> {
        let place = usize::from(attempts).checked_sub(1)?;
        self.delays_ms.get(place).map(|ms| Duration::from_millis(u64::from(*ms)))
    }

    /// The delays, before jitter.
    pub fn delays(&self) -> impl Iterator<Item = Duration> {
        self.delays_ms.iter().map(|ms| Duration::from_millis(u64::from(*ms)))
    }

    /// From the first attempt to the last, before jitter and without the time attempts take.
    pub fn span(&self) -> Duration {
        self.delays().sum()
    }

    /// How far a delay is blurred to either side, in percent of it.
    pub const fn jitter_percent(&self) -> u8 {
        self.jitter_percent
    }
}

impl Default for RetryPolicy {
    /// 11 attempts over more than 27 hours, as the config ships it.
    fn default() -> Self {
        let delays_ms = DELAYS_S_DEFAULT.iter().map(|s| s * 1_000).collect();
        Self { delays_ms, jitter_percent: JITTER_PERCENT_DEFAULT }
    }
}

fn delay_ms(number: usize, delay: Duration) -> Result<u32, RetryPolicyError> {
    match delay.as_millis() {
        ms if ms < u128::from(RETRY_DELAY_MS_MIN) => {
            Err(RetryPolicyError::DelayTooShort { number, delay: DurationText(delay) })
        }
        ms if ms > u128::from(RETRY_DELAY_MS_MAX) => {
            Err(RetryPolicyError::DelayTooLong { number, delay: DurationText(delay) })
        }
        ms => Ok(ms as u32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[track_caller]
    fn refused(policy: Result<RetryPolicy, RetryPolicyError>, sentence: &str) {
        assert_eq!(policy.map_err(|error| error.to_string()), Err(sentence.into()));
    }

    #[test]
    fn the_default_policy_makes_eleven_attempts_over_more_than_27_hours() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.attempts_max(), 11);
        assert_eq!(policy.span(), secs(99_755));
        let delays: Vec<_> = policy.delays().collect();
        assert_eq!(RetryPolicy::new(&delays, 10), Ok(policy), "it would be refused if it were written out");
    }

    #[test]
    fn exponential_delays_grow_up_to_their_max() {
        let shape = Exponential { first: secs(5), factor: 3.0, max: secs(100), attempts: 6 };
        let policy = RetryPolicy::exponential(shape, 0).expect("a fine policy");
        assert!(policy.delays().eq([5, 15, 45, 100, 100].map(secs)));
        assert_eq!(policy.attempts_max(), 6);
    }

    #[test]
    fn each_bad_policy_is_refused_with_its_own_sentence() {
        let day = secs(86_400);
        refused(
            RetryPolicy::new(&[day; 100], 0),
            "the policy makes 101 attempts; the limit is 100, the first one included",
        );
        refused(RetryPolicy::new(&[day, 31 * day], 0), "delay 2 is 31d; the longest allowed is 30d");
        refused(RetryPolicy::new(&[Duration::ZERO], 0), "delay 1 is 0ms; the shortest allowed is 10ms");
        refused(RetryPolicy::new(&[day], 51), "jitter is 51%; the limit is 50%");
    }

    #[test]
    fn each_bad_growth_is_refused_with_its_own_sentence() {
        let fine = Exponential { first: secs(5), factor: 2.0, max: secs(60), attempts: 5 };
        let check = |shape, sentence| refused(RetryPolicy::exponential(shape, 0), sentence);
        check(Exponential { factor: 0.5, ..fine }, "factor is 0.5; allowed are 1 to 10");
        check(Exponential { factor: f64::NAN, ..fine }, "factor is NaN; allowed are 1 to 10");
        check(Exponential { max: secs(4), ..fine }, "first is 5s, longer than max, which is 4s");
        check(
            Exponential { attempts: 0, ..fine },
            "the policy makes no attempt; 'attempts' counts the first one, so it is at least 1",
        );
        check(
            Exponential { attempts: u32::MAX, ..fine },
            "the policy makes 4294967295 attempts; the limit is 100, the first one included",
        );
        check(Exponential { first: Duration::ZERO, ..fine }, "delay 1 is 0ms; the shortest allowed is 10ms");
    }

    #[test]
    fn the_limits_themselves_are_allowed() {
        let delays = [Duration::from_millis(RETRY_DELAY_MS_MAX); ATTEMPTS_MAX as usize - 1];
        let policy = RetryPolicy::new(&delays, JITTER_PERCENT_MAX).expect("within the limits");
        assert_eq!(policy.attempts_max(), ATTEMPTS_MAX);
        assert!(RetryPolicy::new(&[Duration::from_millis(RETRY_DELAY_MS_MIN)], 0).is_ok());
        assert_eq!(RetryPolicy::new(&[], 0).map(|policy| policy.attempts_max()), Ok(1));
    }
}
