//! Names: which application, which endpoint, which message, which attempt.
//!
//! An application or endpoint is a 64-bit number: 42 bits of unix milliseconds at its creation, 22 random
//! bits. It is written as eleven base-62 digits behind a prefix, and sorts by creation as number and as
//! text. Messages and attempts take their ids from the log ([`EntryId`]).

use std::fmt;
use std::str::FromStr;

use posthaste_storage::EntryId;

use super::digits::write_decimal;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not an id of the form {form}")]
pub struct IdError {
    /// What was given, cut to 64 characters.
    pub text: String,
    /// The form that was expected.
    pub form: &'static str,
}

impl IdError {
    fn new(text: &str, form: &'static str) -> Self {
        Self { text: text.chars().take(64).collect(), form }
    }
}

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Base-62 digits that hold any 64-bit number.
const DIGITS_LEN: usize = 11;
const RANDOM_BITS: u32 = 22;

fn write_base62(mut number: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [b'0'; DIGITS_LEN];
    for place in text.iter_mut().rev() {
        *place = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    f.write_str(std::str::from_utf8(&text).expect("base-62 digits are ASCII"))
}

fn parse_base62(text: &str) -> Option<u64> {
    if text.len() != DIGITS_LEN {
        return None;
    }
    text.bytes().try_fold(0u64, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'Z' => digit - b'A' + 10,
            b'a'..=b'z' => digit - b'a' + 36,
            _ => return None,
        };
        number.checked_mul(62)?.checked_add(u64::from(value))
    })
}

macro_rules! catalog_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// What its text begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id for something created at `now_ms`; `random` spreads those of one millisecond.
            pub const fn new(now_ms: u64, random: u32) -> Self {
                Self(now_ms << RANDOM_BITS | (random as u64 & ((1 << RANDOM_BITS) - 1)))
            }

            /// The id stored as this number.
            pub const fn from_u64(raw: u64) -> Self {
                Self(raw)
            }

            /// The number under which it is stored.
            pub const fn as_u64(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Self::PREFIX)?;
                write_base62(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(Self::PREFIX)
                    .and_then(parse_base62)
                    .map(Self)
                    .ok_or_else(|| IdError::new(text, concat!($prefix, "<11 base-62 digits>")))
            }
        }
    };
}

catalog_id!(
    /// An application: whose endpoints these are.
    ApplicationId,
    "app_"
);
catalog_id!(
    /// An endpoint: a URL that wants messages.
    EndpointId,
    "ep_"
);
catalog_id!(
    /// An alert: something about an endpoint that somebody should hear of.
    AlertId,
    "al_"
);

catalog_id!(
    /// A key that was made over the API.
    ApiKeyId,
    "key_"
);

catalog_id!(
    /// A background task.
    TaskId,
    "qtask_"
);

/// Hashes ids and other numbers that are ours to choose: spread by a multiplication, where the hash of the standard
/// library also guards against keys that an attacker picks.
#[derive(Debug, Clone, Copy, Default)]
pub struct NumberHasher(u64);

/// Makes [`NumberHasher`]s.
pub type NumberHash = std::hash::BuildHasherDefault<NumberHasher>;

impl std::hash::Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    /// Both halves of the product: maps use the high bits as well as the low ones.
    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.0 ^ number) * 0x9E37_79B9_7F4A_7C15;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }
}

macro_rules! log_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub EntryId);

        impl $name {
            /// What its text begins with.
            pub const PREFIX: &'static str = $prefix;

            /// Writes its text behind `out`.
            pub fn write(self, out: &mut Vec<u8>) {
                out.extend_from_slice(Self::PREFIX.as_bytes());
                write_decimal(self.0.ms(), out);
                out.push(b'-');
                write_decimal(self.0.sequence().into(), out);
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", Self::PREFIX, self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(Self::PREFIX)
                    .and_then(|id| id.parse().ok())
                    .map(Self)
                    .ok_or_else(|| IdError::new(text, concat!($prefix, "<unix ms>-<sequence>")))
            }
        }
    };
}

log_id!(
    /// A message, `msg_<unix ms>-<sequence>`: also what receivers see as `webhook-id`.
    MessageId,
    "msg_"
);
log_id!(
    /// An attempt, `atmpt_<unix ms>-<sequence>`.
    AttemptId,
    "atmpt_"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_as_they_were_written() {
        let endpoint = EndpointId::new(1_732_300_000_000, 12_345);
        assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
        assert_eq!(endpoint.to_string().len(), "ep_".len() + 11);
        let message = MessageId(EntryId::new(1_732_300_000_000, 3));
        assert_eq!(message.to_string(), "msg_1732300000000-3");
        assert_eq!(message.to_string().parse(), Ok(message));
        let mut text = Vec::new();
        message.write(&mut text);
        assert_eq!(text, message.to_string().as_bytes());
    }

    #[test]
    fn neighbouring_numbers_are_spread_over_the_high_and_the_low_bits() {
        use std::hash::BuildHasher as _;

        let hashes: Vec<u64> = (0..1_000u64).map(|number| NumberHash::default().hash_one(number)).collect();
        let distinct =
            |bits: fn(&u64) -> u64| hashes.iter().map(bits).collect::<std::collections::HashSet<_>>().len();
        assert_eq!(distinct(|hash| *hash), 1_000);
        // A thousand balls into so many boxes: a fair hash leaves at most a few empty or shared.
        assert_eq!(distinct(|hash| hash >> 57), 128, "the bits that a map tells entries apart by");
        assert!(distinct(|hash| hash & 0xFFFF) > 950, "the bits that a map finds its boxes by");
    }

    #[test]
    fn ids_sort_by_creation_as_numbers_and_as_text() {
        let (early, late) = (ApplicationId::new(1_000, 4_000_000), ApplicationId::new(2_000, 1));
        assert!(early < late);
        assert!(early.to_string() < late.to_string());
    }

    #[test]
    fn an_id_of_another_kind_or_form_is_refused() {
        for text in ["", "ep_", "app_00000000000", "ep_0000000000", "ep_zzzzzzzzzzz", "ep_0000000000-"] {
            assert!(text.parse::<EndpointId>().is_err(), "{text}");
        }
        assert!("msg_1".parse::<MessageId>().is_err());
        assert!("1-1".parse::<MessageId>().is_err());
    }
}
