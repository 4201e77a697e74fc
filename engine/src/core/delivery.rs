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

/// Which delivery: which message, to which endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// The message.
    pub message: MessageId,
    /// The endpoint.
    pub endpoint: EndpointId,
}

/// How far a delivery has come: attempts that used up the schedule, and those that did not (the receiver
/// asked for patience). Two bytes, as the ledger keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Attempts made that count against the retry policy.
    pub attempts: u8,
    /// Attempts made that do not: each was answered with `Retry-After`.
    pub patience: u8,
}

impl Progress {
    /// As the ledger and the log keep it.
    pub const fn to_u16(self) -> u16 {
        (self.patience as u16) << 8 | self.attempts as u16
    }

    /// As it was kept.
    pub const fn from_u16(raw: u16) -> Self {
        Self { attempts: raw as u8, patience: (raw >> 8) as u8 }
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
        let progress = Progress { attempts: 11, patience: 3 };
        assert_eq!(Progress::from_u16(progress.to_u16()), progress);
        assert_eq!(progress.made(), 14);
    }
}
