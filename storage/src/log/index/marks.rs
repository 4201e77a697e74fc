//! Marks: which endpoints and which kinds of facts may be found in a stretch of the log, in 132 bytes.
//!
//! So that "what failed at this endpoint" reads the few blocks that may know of it, and not the whole log. A mark is
//! a bit that is shared by all that have the same hash: it may be set for what is not there, and is never missing for
//! what is.

use crate::checksum::mix;
use crate::record::{Record, RecordKind};

/// Words of the set of endpoints: 1,024 bits. With a hundred endpoints in a block, one in ten of the others is
/// looked for in vain; with a thousand, six in ten.
const WORDS: usize = 16;
/// Bits of traits, from the lowest: six for the classes of statuses, eight for states, then those of kinds.
const STATES_FROM: u8 = 6;
const STATES: u8 = 8;
const KINDS_FROM: u8 = STATES_FROM + STATES;
/// Deliveries are spoken of without naming their endpoints.
const ANY_ENDPOINT: u32 = 1 << 31;

// The kinds and the last bit must not meet.
const _: () = assert!(KINDS_FROM as usize + RecordKind::ALL.len() < 31);

/// Properties of records that can be searched for: a set of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traits(u32);

impl Traits {
    /// Every property.
    pub const ANY: Self = Self(u32::MAX);
    /// No property.
    pub const NONE: Self = Self(0);

    /// Attempts whose status is of this class: 0 for those without an answer, 1 to 5 for 1xx to 5xx.
    pub const fn status_class(class: u16) -> Self {
        // What is beyond 5xx is no status; it shares the last bit.
        Self(1 << if class < STATES_FROM as u16 { class } else { STATES_FROM as u16 - 1 })
    }

    /// Attempts after which the delivery stood so, and deliveries that were settled so.
    pub const fn state(state: u8) -> Self {
        Self(1 << (STATES_FROM + state % STATES))
    }

    /// Records of this kind.
    pub const fn kind(kind: RecordKind) -> Self {
        Self(1 << (KINDS_FROM + kind as u8 - 1))
    }

    /// What is in either.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether they have something in common.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// What this record has.
    pub(in crate::log) fn of(record: &Record<'_>) -> Self {
        let kind = Self::kind(record.kind());
        match record {
            Record::Attempt(attempt) => {
                kind.or(Self::status_class(attempt.status / 100)).or(Self::state(attempt.state))
            }
            Record::Settled(settled) => {
                let named = if settled.endpoint == 0 { Self(ANY_ENDPOINT) } else { Self::NONE };
                kind.or(Self::state(settled.state)).or(named)
            }
            _ => kind,
        }
    }
}

/// See the head of this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::log) struct Marks {
    pub(super) endpoints: [u64; WORDS],
    pub(super) traits: u32,
}

impl Marks {
    pub(super) const ALL: Self = Self { endpoints: [u64::MAX; WORDS], traits: u32::MAX };

    /// Marks what is in a record.
    pub(in crate::log) fn add(&mut self, record: &Record<'_>) {
        self.traits |= Traits::of(record).0;
        match record {
            Record::Message(message) => message.endpoints.iter().for_each(|endpoint| self.insert(endpoint)),
            Record::Carried(carried) => {
                carried.pending.iter().for_each(|pending| self.insert(pending.endpoint));
            }
            Record::Attempt(attempt) => self.insert(attempt.endpoint),
            Record::Parked(parked) => self.insert(parked.endpoint),
            Record::Settled(settled) => self.insert(settled.endpoint),
            Record::Change(_) => {}
        }
    }

    /// Marks what is marked there.
    pub(in crate::log) fn merge(&mut self, other: &Self) {
        self.traits |= other.traits;
        self.endpoints.iter_mut().zip(other.endpoints).for_each(|(word, other)| *word |= other);
    }

    fn place(endpoint: u64) -> (usize, u64) {
        let hash = mix(endpoint);
        ((hash >> 6) as usize % WORDS, 1 << (hash % 64))
    }

    fn insert(&mut self, endpoint: u64) {
        let (word, bit) = Self::place(endpoint);
        self.endpoints[word] |= bit;
    }

    /// Whether something about this endpoint may be here.
    pub(in crate::log) fn may_hold(&self, endpoint: u64) -> bool {
        let (word, bit) = Self::place(endpoint);
        self.endpoints[word] & bit != 0 || self.traits & ANY_ENDPOINT != 0
    }

    /// Whether something with one of these properties may be here.
    pub(in crate::log) fn may_have(&self, traits: Traits) -> bool {
        self.traits & traits.0 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EntryId;
    use crate::record::Settled;

    fn settled(endpoint: u64, state: u8) -> Record<'static> {
        Record::Settled(Settled { message: EntryId::new(1, 1), application: 1, endpoint, state, at_ms: 1 })
    }

    #[test]
    fn an_endpoint_and_a_property_that_are_there_are_never_denied() {
        let mut marks = Marks::default();
        assert!(!(0..1_000).any(|endpoint| marks.may_hold(endpoint)));
        (1..=100).for_each(|endpoint| marks.add(&settled(endpoint, 3)));
        assert!((1..=100).all(|endpoint| marks.may_hold(endpoint)));
        assert!(marks.may_have(Traits::state(3)) && !marks.may_have(Traits::state(2)));
        assert!(!marks.may_have(Traits::status_class(5)));
        let wrong = (101..1_101).filter(|endpoint| marks.may_hold(*endpoint)).count();
        assert!(wrong < 150, "{wrong} of 1000 in vain");
    }

    #[test]
    fn a_message_that_was_taken_back_as_a_whole_speaks_of_every_endpoint() {
        let mut marks = Marks::default();
        marks.add(&settled(0, 4));
        assert!((0..1_000).all(|endpoint| marks.may_hold(endpoint)));
    }
}
