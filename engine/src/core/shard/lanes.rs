//! Lanes: deliveries to one endpoint that must not pass each other.
//!
//! Messages with the same ordering key reach an endpoint one after the other, in the order in which they were accepted,
//! also when one of them has to be tried again for a day. Those behind wait beside the queue; other keys, and messages
//! without one, go their own way.
//!
//! ```text
//!   arrives --first of its lane--> queue or wheel --attempts--> ends
//!      |                               ^                          |
//!      +--another is before it--> held +------- the next one -----+
//! ```
//!
//! Invariants
//! - Of a lane, only the delivery of the oldest message is attempted.
//! - A delivery in a lane is held by the shard until it ends, however late it is due: the ledger would give it back
//!   without regard to the others. (A shard that is full parks those that arrive, and then order may be lost.)
//! - An endpoint that moves takes its lanes along, but for an attempt that is under way: the others do not wait for it.
//! - A lane without deliveries does not exist.

use std::collections::{BTreeMap, HashMap};

use posthaste_storage::EntryId;

use super::slots::{Delivery, Phase};
use super::{Body, Incoming, Shard};
use crate::core::ids::NumberHash;

/// Which lane: of which endpoint (by number in the shard), and which of its lanes.
type LaneKey = (u32, u64);

/// See the head of this file. Few deliveries are in one, so a slot does not say which.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: HashMap<LaneKey, BTreeMap<EntryId, u32>>,
    lane_of: HashMap<u32, (LaneKey, EntryId), NumberHash>,
}

impl Lanes {
    fn insert(&mut self, lane: LaneKey, message: EntryId, token: u32) {
        self.lane_of.insert(token, (lane, message));
        self.lanes.entry(lane).or_default().insert(message, token);
    }

    /// Takes a delivery out. Returns the first of those that stay.
    fn remove(&mut self, token: u32) -> Option<u32> {
        let (lane, message) = self.lane_of.remove(&token)?;
        let members = self.lanes.get_mut(&lane)?;
        if members.get(&message) == Some(&token) {
            members.remove(&message);
        }
        let first = members.values().next().copied();
        if first.is_none() {
            self.lanes.remove(&lane);
        }
        first
    }

    /// Whose turn it is in the lane of this delivery; `None` if it is in none.
    fn first_beside(&self, token: u32) -> Option<u32> {
        let (lane, _) = self.lane_of.get(&token)?;
        self.lanes.get(lane)?.values().next().copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lane_of.is_empty()
    }
}

impl<B: Body, R> Shard<B, R> {
    /// A delivery that must not pass others.
    pub(super) fn deliver_in_lane(&mut self, incoming: Incoming<B>, endpoint: u32) {
        let (lane, message) = ((endpoint, incoming.lane), incoming.key.message.0);
        let token = self.hold(Delivery::new(incoming, endpoint, Phase::Held));
        self.lanes.insert(lane, message, token);
        match self.lanes.first_beside(token) {
            Some(first) if first == token => {
                // Another may be under way that was thought to be the first. Its end brings this one up.
                if !self.has_attempt_in_flight(lane) {
                    self.release(token);
                }
            }
            _ => self.slots[token].body = None,
        }
    }

    fn has_attempt_in_flight(&self, lane: LaneKey) -> bool {
        let members = self.lanes.lanes.get(&lane);
        members
            .is_some_and(|members| members.values().any(|token| self.slots[*token].phase == Phase::InFlight))
    }

    /// Its turn has come: into the queue, or into the wheel until it is due.
    fn release(&mut self, token: u32) {
        let due = self.slots[token].due;
        if due > self.now {
            let delivery = &mut self.slots[token];
            (delivery.phase, delivery.body) = (Phase::Waiting, None);
            self.wheel.insert(due, token);
        } else {
            self.slots[token].phase = Phase::Queued;
            self.enqueue(token);
        }
    }

    /// A delivery ends, or leaves the shard: the next of its lane has its turn.
    pub(super) fn leave_lane(&mut self, token: u32) {
        if self.lanes.is_empty() {
            return;
        }
        if let Some(first) = self.lanes.remove(token)
            && self.slots[first].phase == Phase::Held
        {
            self.release(first);
        }
    }

    /// Whether an older one has arrived meanwhile, which then has its turn; this one is held again. It must be at the
    /// head of its endpoint's queue.
    pub(super) fn gives_way(&mut self, token: u32) -> bool {
        if self.lanes.is_empty() {
            return false;
        }
        let Some(first) = self.lanes.first_beside(token).filter(|first| *first != token) else {
            return false;
        };
        let endpoint = self.slots[token].endpoint;
        self.take_from_queue(endpoint);
        self.slots[token].phase = Phase::Held;
        if self.slots[first].phase == Phase::Held {
            self.release(first);
        }
        true
    }

    /// An attempt ended and is to be repeated: an older one that arrived meanwhile goes before it.
    pub(super) fn let_older_pass(&mut self, token: u32) {
        if self.lanes.is_empty() {
            return;
        }
        if let Some(first) = self.lanes.first_beside(token)
            && self.slots[first].phase == Phase::Held
        {
            self.release(first);
        }
    }
}
