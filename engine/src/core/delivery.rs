//! A delivery: one message on its way to one endpoint, and where it stands.
//!
//!   pending --success--> delivered
//!      | \--schedule spent, or 410--> exhausted
//!      +--endpoint or message taken back--> cancelled
//!
//! The three on the right are final. Where a delivery stands is never mixed up with how its last attempt
//! ended (`outcome`).

use super::ids::{EndpointId, MessageId};

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// It waits, or an attempt is in flight.
    Pending,
    /// The receiver has it.
    Delivered,
    /// The last attempt failed and there will be no other; it is kept and listed.
    Exhausted,
    /// Taken back before it arrived: its message or its endpoint was.
    Cancelled,
}

impl DeliveryState {
    /// Its number on disk. Numbers are never used again.
    pub const fn code(self) -> u8 {
        match self {
            Self::Pending => 1,
            Self::Delivered => 2,
            Self::Exhausted => 3,
            Self::Cancelled => 4,
        }
    }

    /// The state stored as this number; `None` for a number this version does not know.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Pending,
            2 => Self::Delivered,
            3 => Self::Exhausted,
            4 => Self::Cancelled,
            _ => return None,
        })
    }

    /// Its name in metrics, in the outcome stream and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Exhausted => "exhausted",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will happen.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending)
    }
}

/// What set an attempt off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Trigger {
    /// The retry policy, or the message itself.
    #[default]
    Scheduled,
    /// Somebody asked for it.
    Manual,
}

impl Trigger {
    /// Its number on disk and in the API.
    pub const fn code(self) -> u8 {
        match self {
            Self::Scheduled => 0,
            Self::Manual => 1,
        }
    }

    /// The trigger stored as this number; `None` for a number this version does not know.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Scheduled,
            1 => Self::Manual,
            _ => return None,
        })
    }

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Manual => "manual",
        }
    }
}

/// Which delivery: which message, to which endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// The message.
    pub message: MessageId,
    /// The endpoint.
    pub endpoint: EndpointId,
}

/// What is special about a delivery. Stays with it through shard, log and ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks(u8);

impl Marks {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// It must not pass others of the same ordering key.
    pub const ORDERED: Self = Self(1);
    /// Somebody asked for it after the message was accepted: a resend, a recovery.
    pub const BY_HAND: Self = Self(2);
    /// It goes to a URL that the message brought along: what comes back says nothing about the endpoint's own.
    pub const ELSEWHERE: Self = Self(4);
    /// Its endpoint stands in a chain, and others may follow.
    pub const CHAINED: Self = Self(8);

    /// Whether it has all of `marks`.
    pub const fn has(self, marks: Self) -> bool {
        self.0 & marks.0 == marks.0
    }

    /// These and `marks`, if `given`.
    #[must_use]
    pub const fn with(self, marks: Self, given: bool) -> Self {
        if given { Self(self.0 | marks.0) } else { self }
    }
}

/// How far a delivery has come: attempts that used up the schedule, and those that did not (the receiver
/// asked for patience); and what is special about it. Two bytes, as the ledger keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Attempts made that count against the retry policy.
    pub attempts: u8,
    /// Attempts made that do not: each was answered with `Retry-After`.
    pub patience: u8,
    /// What is special about the delivery.
    pub marks: Marks,
}

// In the number that is kept: 7 bits of attempts, 5 of patience, 4 of marks.
const ATTEMPTS_MASK: u16 = (1 << 7) - 1;
const PATIENCE_SHIFT: u16 = 7;
const PATIENCE_MASK: u16 = (1 << 5) - 1;
const MARKS_SHIFT: u16 = 12;

// What is counted must fit.
const _: () = assert!((super::retry::ATTEMPTS_MAX as u16) < ATTEMPTS_MASK);
const _: () = assert!((super::retry::PATIENT_WAITS_MAX as u16) < PATIENCE_MASK);

const fn at_most(number: u8, max: u16) -> u16 {
    if number as u16 > max { max } else { number as u16 }
}

impl Progress {
    /// As the ledger and the log keep it.
    pub const fn to_u16(self) -> u16 {
        (self.marks.0 as u16) << MARKS_SHIFT
            | at_most(self.patience, PATIENCE_MASK) << PATIENCE_SHIFT
            | at_most(self.attempts, ATTEMPTS_MASK)
    }

    /// As it was kept.
    pub const fn from_u16(raw: u16) -> Self {
        Self {
            attempts: (raw & ATTEMPTS_MASK) as u8,
            patience: (raw >> PATIENCE_SHIFT & PATIENCE_MASK) as u8,
            marks: Marks((raw >> MARKS_SHIFT) as u8),
        }
    }

    /// Attempts made in all.
    pub const fn made(self) -> u16 {
        self.attempts as u16 + self.patience as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_progress_read_back_as_they_were_kept() {
        for code in 0..=u8::MAX {
            if let Some(state) = DeliveryState::from_code(code) {
                assert_eq!(state.code(), code);
            }
        }
        for code in 0..=u8::MAX {
            assert!(Trigger::from_code(code).is_none_or(|trigger| trigger.code() == code));
        }
        let marks =
            Marks::NONE.with(Marks::ORDERED, true).with(Marks::ELSEWHERE, true).with(Marks::BY_HAND, false);
        let progress = Progress { attempts: 11, patience: 3, marks };
        assert_eq!(Progress::from_u16(progress.to_u16()), progress);
        assert!(marks.has(Marks::ORDERED) && marks.has(Marks::ELSEWHERE) && !marks.has(Marks::BY_HAND));
        assert_eq!(progress.made(), 14);
    }
}
