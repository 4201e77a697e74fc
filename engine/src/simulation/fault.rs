//! Faults: what can go wrong in a simulation, by name, and how often it did.

use std::collections::BTreeMap;

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[rustfmt::skip]
#[allow(missing_docs, reason = "their names are what they are")]
pub enum Fault {
    // The disk
    WriteFails, ReadFails, SyncFails, DiskFull, DiskSlow, IndexMissing, LedgerDeleted, CatalogDeleted,
    LedgerFails,
    // The process and the machine
    Killed, KilledBetweenOperations, PowerCut, PowerCutTornSectors, PowerCutBetweenOperations, CutDuringRecovery,
    Restarted, WallClockForward, WallClockBackward,
    // Receivers
    Refused, DialHangs, NameMissing, NameForbidden, BadStatus, Redirects, AsksForPatience, Gone, NeverAnswers,
    AnswersSlowly, AnswersTooSlowly, TricklesHeaders, ClosesBeforeAnswer, ClosesInHeaders, ClosesInBody, Garbage,
    EndlessBody, InterimAnswers, ClosesIdle,
    // Producers
    HangsUpInFrame, SpeaksGarbage, DoesNotRead,
    // Operators
    EndpointDisabled, EndpointEnabled, EndpointMoved, EndpointRemoved, SecretRotated, SubscriptionChanged,
    MessageCancelled, MessageResent,
}

/// How often each happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(BTreeMap<Fault, u64>);

impl Faults {
    pub(super) fn count(&mut self, fault: Fault) {
        *self.0.entry(fault).or_default() += 1;
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        for (fault, count) in &other.0 {
            *self.0.entry(*fault).or_default() += count;
        }
    }

    /// Each kind that happened, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Fault, u64)> {
        self.0.iter().map(|(fault, count)| (*fault, *count))
    }
}
