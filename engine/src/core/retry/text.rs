//! A retry policy as people write it, in the config and over the API.
//!
//!   5s, 30s, 2m, 10m                                      the delays one by one
//!   exponential first=5s factor=2 max=12h attempts=11     delays that grow
//!   none                                                  one attempt and no other
//!
//! Each may be followed by `jitter=20%`. Written back it is always the list.

use std::fmt;
use std::str::FromStr;

use super::policy::{Exponential, RetryPolicy, RetryPolicyError};
use crate::core::duration::{DurationText, DurationTextError};

/// The longest text of a policy, in bytes; the longest list needs 1,400.
pub const POLICY_TEXT_BYTES_MAX: usize = 2_000;

/// Why a text is not a retry policy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RetryPolicyTextError {
    /// Far more text than a policy needs.
    #[error("the policy is {bytes} bytes of text; the limit is {POLICY_TEXT_BYTES_MAX}")]
    TooLong {
        /// How much it is.
        bytes: usize,
    },
    /// Nothing there.
    #[error("the policy is empty; write its delays (5s, 30s, 2m), 'exponential ...' or 'none'")]
    Empty,
    /// A delay that cannot be read.
    #[error(transparent)]
    Duration(#[from] DurationTextError),
    /// A setting that there is not, here or at all.
    #[error("'{name}' is not a setting of this policy; there are: {allowed}")]
    UnknownSetting {
        /// What was given, cut to 64 characters.
        name: String,
        /// What may be given.
        allowed: &'static str,
    },
    /// A setting that is needed.
    #[error("an exponential policy needs {name}=...")]
    MissingSetting {
        /// Its name.
        name: &'static str,
    },
    /// A setting given twice.
    #[error("{name} is given twice")]
    RepeatedSetting {
        /// Its name.
        name: &'static str,
    },
    /// A setting whose value cannot be read.
    #[error("{name} is '{value}'; write {form}")]
    BadSetting {
        /// Its name.
        name: &'static str,
        /// What was given, cut to 64 characters.
        value: String,
        /// How it is written.
        form: &'static str,
    },
    /// Readable, and not allowed.
    #[error(transparent)]
    Policy(#[from] RetryPolicyError),
}

const SETTINGS: [&str; 5] = ["first", "factor", "max", "attempts", "jitter"];
const SETTINGS_OF_EXPONENTIAL: &str = "first, factor, max, attempts, jitter";
const SETTINGS_OF_LIST: &str = "jitter";

/// The settings of one text, in the order of [`SETTINGS`].
type Settings<'a> = [Option<&'a str>; SETTINGS.len()];

impl FromStr for RetryPolicy {
    type Err = RetryPolicyTextError;

    fn from_str(text: &str) -> Result<Self, RetryPolicyTextError> {
        if text.len() > POLICY_TEXT_BYTES_MAX {
            return Err(RetryPolicyTextError::TooLong { bytes: text.len() });
        }
        let (settings, words): (Vec<&str>, Vec<&str>) =
            text.split_whitespace().partition(|word| word.contains('='));
        let words = words.join(" ");
        let allowed = if words == "exponential" { SETTINGS_OF_EXPONENTIAL } else { SETTINGS_OF_LIST };
        let [first, factor, max, attempts, jitter] = sort_settings(&settings, allowed)?;
        let jitter_percent = jitter.map_or(Ok(Self::JITTER_PERCENT_DEFAULT), parse_jitter)?;
        match words.as_str() {
            "" => Err(RetryPolicyTextError::Empty),
            "none" => Ok(Self::new(&[], jitter_percent)?),
            "exponential" => {
                let shape = Exponential {
                    first: needed("first", first)?.parse::<DurationText>()?.0,
                    factor: parse_number("factor", needed("factor", factor)?)?,
                    max: needed("max", max)?.parse::<DurationText>()?.0,
                    attempts: parse_number("attempts", needed("attempts", attempts)?)?,
                };
                Ok(Self::exponential(shape, jitter_percent)?)
            }
            list => {
                let delays =
                    list.split(',').map(|delay| delay.trim().parse::<DurationText>().map(|delay| delay.0));
                Ok(Self::new(&delays.collect::<Result<Vec<_>, _>>()?, jitter_percent)?)
            }
        }
    }
}

impl fmt::Display for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.attempts_max() == 1 {
            f.write_str("none")?;
        }
        for (place, delay) in self.delays().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{}", DurationText(delay))?;
        }
        write!(f, " jitter={}%", self.jitter_percent())
    }
}

fn sort_settings<'a>(words: &[&'a str], allowed: &'static str) -> Result<Settings<'a>, RetryPolicyTextError> {
    let mut settings = Settings::default();
    for word in words {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let known = SETTINGS.iter().position(|known| *known == name && allowed.contains(name));
        let Some(place) = known else {
            return Err(RetryPolicyTextError::UnknownSetting { name: cut(name), allowed });
        };
        if settings[place].replace(value).is_some() {
            return Err(RetryPolicyTextError::RepeatedSetting { name: SETTINGS[place] });
        }
    }
    Ok(settings)
}

fn needed<'a>(name: &'static str, value: Option<&'a str>) -> Result<&'a str, RetryPolicyTextError> {
    value.ok_or(RetryPolicyTextError::MissingSetting { name })
}

fn parse_number<T: FromStr>(name: &'static str, value: &str) -> Result<T, RetryPolicyTextError> {
    let bad = |_| RetryPolicyTextError::BadSetting { name, value: cut(value), form: "a number" };
    value.parse().map_err(bad)
}

fn parse_jitter(value: &str) -> Result<u8, RetryPolicyTextError> {
    let percent = value.strip_suffix('%').and_then(|number| number.parse::<u64>().ok());
    let percent = percent.ok_or_else(|| RetryPolicyTextError::BadSetting {
        name: "jitter",
        value: cut(value),
        form: "whole percent, as in jitter=10%",
    })?;
    u8::try_from(percent).map_err(|_| RetryPolicyError::Jitter { percent }.into())
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, means: &str) {
        let written = text.parse::<RetryPolicy>().map(|policy| policy.to_string());
        assert_eq!(written.map_err(|error| error.to_string()), Ok(means.into()));
    }

    #[track_caller]
    fn refused(text: &str, sentence: &str) {
        let error = text.parse::<RetryPolicy>().map_err(|error| error.to_string());
        assert_eq!(error, Err(sentence.into()));
    }

    #[test]
    fn a_list_a_growth_and_none_are_understood() {
        check("5s,30s,2m", "5s, 30s, 2m jitter=10%");
        check(" 250ms ,\n 36h jitter=0%", "250ms, 36h jitter=0%");
        check("exponential first=5s factor=2 max=1m attempts=6", "5s, 10s, 20s, 40s, 1m jitter=10%");
        check("exponential attempts=4 jitter=20% factor=1.5 first=2s max=30d", "2s, 3s, 4500ms jitter=20%");
        check("none", "none jitter=10%");
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_policy() {
        let longest = [std::time::Duration::from_millis(2_591_999_999); 99];
        let longest = RetryPolicy::new(&longest, 50).expect("within the limits");
        let none = RetryPolicy::new(&[], 3).expect("a fine policy");
        for policy in [RetryPolicy::default(), longest, none] {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
    }

    #[test]
    fn each_bad_text_is_refused_with_its_own_sentence() {
        refused("", "the policy is empty; write its delays (5s, 30s, 2m), 'exponential ...' or 'none'");
        refused(
            "jitter=5%",
            "the policy is empty; write its delays (5s, 30s, 2m), 'exponential ...' or 'none'",
        );
        refused(
            "5s,,2m",
            "'' is not a duration; write a whole number with its unit: 250ms, 5s, 2m, 12h or 30d",
        );
        refused(
            "5s 2m",
            "'5s 2m' is not a duration; write a whole number with its unit: 250ms, 5s, 2m, 12h or 30d",
        );
        refused("5s first=2s", "'first' is not a setting of this policy; there are: jitter");
        refused(
            "exponential a=1",
            "'a' is not a setting of this policy; there are: first, factor, max, attempts, jitter",
        );
        refused("exponential first=2s factor=2", "an exponential policy needs max=...");
        refused("5s jitter=1% jitter=2%", "jitter is given twice");
        refused("5s jitter=1", "jitter is '1'; write whole percent, as in jitter=10%");
        refused("5s jitter=300%", "jitter is 300%; the limit is 50%");
        refused("exponential first=1s factor=x max=2s attempts=3", "factor is 'x'; write a number");
        refused("5s, 40d", "delay 2 is 40d; the longest allowed is 30d");
        refused(&"1s,".repeat(900), "the policy is 2700 bytes of text; the limit is 2000");
    }
}
