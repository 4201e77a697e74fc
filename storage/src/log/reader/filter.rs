//! What a reader wants to see: the blocks that may hold it, and the records that are it.

use crate::log::index::{Block, Traits};
use crate::record::Record;

/// What a search looks for. Every condition must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Search {
    /// Records of this application.
    pub application: u64,
    /// Records about deliveries to this endpoint: attempts and the like, those about all deliveries of a message,
    /// and messages that go there.
    pub endpoint: Option<u64>,
    /// Records that have one of these properties, and one of those. [`Traits::ANY`] where nothing is asked.
    pub traits: [Traits; 2],
}

/// Which records to show.
#[derive(Clone, Copy)]
pub(in crate::log) struct Filter {
    application: Option<u64>,
    endpoint: Option<u64>,
    traits: [Traits; 2],
}

impl Filter {
    /// Every record.
    pub(in crate::log) const ALL: Self = Self { application: None, endpoint: None, traits: [Traits::ANY; 2] };

    pub(super) fn application(application: u64) -> Self {
        Self { application: Some(application), ..Self::ALL }
    }

    pub(super) fn takes(&self, record: &Record<'_>) -> bool {
        let traits = Traits::of(record);
        self.application.is_none_or(|application| record.application() == Some(application))
            && self.traits.iter().all(|wanted| wanted.meets(traits))
            && self.endpoint.is_none_or(|endpoint| speaks_of(record, endpoint))
    }

    pub(in crate::log) fn may_be_in(&self, block: &Block) -> bool {
        self.application.is_none_or(|application| block.applications.may_hold(application))
            && self.endpoint.is_none_or(|endpoint| block.marks.may_hold(endpoint))
            && self.traits.iter().all(|wanted| *wanted == Traits::ANY || block.marks.may_have(*wanted))
    }
}

impl From<&Search> for Filter {
    fn from(search: &Search) -> Self {
        Self { application: Some(search.application), endpoint: search.endpoint, traits: search.traits }
    }
}

fn speaks_of(record: &Record<'_>, endpoint: u64) -> bool {
    match record {
        Record::Message(message) => message.endpoints.iter().any(|one| one == endpoint),
        Record::Carried(carried) => carried.pending.iter().any(|pending| pending.endpoint == endpoint),
        Record::Attempt(attempt) => attempt.endpoint == endpoint,
        Record::Parked(parked) => parked.endpoint == endpoint,
        Record::Settled(settled) => settled.endpoint == endpoint || settled.endpoint == 0,
        Record::Change(_) => false,
    }
}
