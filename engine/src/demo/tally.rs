//! The tally: what the demo, from outside, knows of every message it published.
//!
//! Acknowledged ids come from the publisher, the rest from the outcome stream that any producer can follow.
//! Each message of the demo goes to one endpoint, so a message's state is its delivery's state.

use std::collections::{BTreeMap, HashMap};

use posthaste_protocol::{OutcomeRecord, StreamId};

/// What happened at one endpoint.
#[derive(Debug, Default, Clone)]
pub(super) struct EndpointTally {
    pub(super) acknowledged: u64,
    pub(super) delivered: u64,
    pub(super) exhausted: u64,
    pub(super) cancelled: u64,
    pub(super) attempts_sent: u64,
    pub(super) refused_by_lockout: u64,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The endpoint that each acknowledged message goes to, and whether its delivery has ended.
    messages: HashMap<StreamId, (usize, bool)>,
    pub(super) endpoints: BTreeMap<usize, EndpointTally>,
    /// Outcomes of messages whose acknowledgement has not been seen yet.
    early: Vec<OutcomeRecord>,
    /// Ends that were told twice, which must not happen.
    pub(super) ended_twice: u64,
}

impl Tally {
    pub(super) fn acknowledged(&mut self, id: StreamId, endpoint: usize) {
        self.messages.insert(id, (endpoint, false));
        self.endpoints.entry(endpoint).or_default().acknowledged += 1;
    }

    pub(super) fn outcome(&mut self, outcome: OutcomeRecord) {
        let Some((endpoint, ended)) = self.messages.get_mut(&outcome.message) else {
            self.early.push(outcome);
            return;
        };
        let tally = self.endpoints.entry(*endpoint).or_default();
        match outcome.outcome.as_str() {
            "url_locked_out" | "host_locked_out" => tally.refused_by_lockout += 1,
            "withdrawn" => {}
            _ => tally.attempts_sent += 1,
        }
        let count = match outcome.state.as_str() {
            "delivered" => &mut tally.delivered,
            "exhausted" => &mut tally.exhausted,
            "cancelled" => &mut tally.cancelled,
            _ => return,
        };
        if std::mem::replace(ended, true) {
            self.ended_twice += 1;
        } else {
            *count += 1;
        }
    }

    /// Outcomes that overtook their acknowledgement are counted once it is there.
    pub(super) fn settle_early(&mut self) {
        for outcome in std::mem::take(&mut self.early) {
            self.outcome(outcome);
        }
    }

    pub(super) fn total(&self) -> EndpointTally {
        let mut total = EndpointTally::default();
        for tally in self.endpoints.values() {
            total.acknowledged += tally.acknowledged;
            total.delivered += tally.delivered;
            total.exhausted += tally.exhausted;
            total.cancelled += tally.cancelled;
            total.attempts_sent += tally.attempts_sent;
            total.refused_by_lockout += tally.refused_by_lockout;
        }
        total
    }

    /// Acknowledged messages whose delivery has not ended, as far as the outcome stream tells.
    pub(super) fn open(&self) -> u64 {
        self.messages.values().filter(|(_, ended)| !ended).count() as u64
    }
}
