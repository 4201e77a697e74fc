//! The shard: who is served next.
//!
//! A shard owns a share of the hosts, and with them every decision about the deliveries that lead there:
//! attempt now, wait, or refuse. It has one mouth and one hand. What happens is told to it through
//! [`Shard::handle`]; what is to be done comes out of [`Shard::poll_action`]; when it wants to be asked
//! again without anything happening is [`Shard::next_wakeup`]. It never blocks and cannot fail.
//!
//! The way of a delivery through here:
//!
//!   Deliver, Resume -> queue of its endpoint -> Start -> (in flight) -> Ended -> done
//!                           ^                                            |
//!                           +---- wheel <---- a retry that is due soon --+---- one due later: the
//!                                                                              ledger keeps it (forgotten)
//!
//! Fairness
//! - Endpoints with something to send stand in one line; each turn serves one attempt of one endpoint.
//! - An endpoint has a window of attempts in flight. It widens while the endpoint answers and halves when
//!   it does not. A host has a cap over all its endpoints.
//! - An endpoint, or an application, that wants only so many attempts a second is served at that pace; the others do
//!   not wait for it, and waiting uses up no attempt.
//! - Endpoints that have not answered promptly of late share half of the shard's attempts in flight, so a
//!   shard full of hanging endpoints still serves the healthy ones.
//!
//! Invariants
//! - No attempt starts before its delivery is due.
//! - Messages with the same ordering key reach an endpoint in their order (`lanes`).
//! - A refused attempt (lockout) is recorded as failed and is never sent.
//! - While a URL or host is probing, at most one attempt to it is in flight; the others wait.
//! - Every delivery that goes in comes out: as `Ended` with a final state, as `Settle`, or forgotten to the
//!   ledger (`Park`, or `Ended` with a retry beyond the horizon).
//!
//! Not here: when a delivery is tried again (`retry`), how long a door stays shut (`health`), and
//! anything that touches a socket or a disk.

mod action;
mod application;
mod endpoint;
mod ends;
mod input;
mod lanes;
mod members;
mod slots;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::delivery::Marks;
use super::ids::{ApplicationId, EndpointId, NumberHash};
use super::tick::Tick;
use super::wheel::Wheel;
pub use action::{Action, AttemptEnded, Door, Parked, Settled, Start};
use application::Application;
use endpoint::{Endpoint, Host};
pub use input::{Body, EndpointSettings, Gone, Home, Incoming, Input, ShardSettings};
use lanes::Lanes;
use slots::{Delivery, Phase, Slots};

/// Whether an attempt is the probe of its URL, of its host, or of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Probes {
    url: bool,
    host: bool,
}

impl Probes {
    fn any(self) -> bool {
        self.url || self.host
    }
}

/// Wheel tokens with this bit stand for an endpoint whose pause ends, or for an application; the others for a delivery.
const ENDPOINT_TOKEN: u32 = 1 << 31;
/// Those with both bits stand for an application whose endpoints wait for its pace.
const APPLICATION_TOKEN: u32 = ENDPOINT_TOKEN | MEMBERS_MAX;
/// A shard holds fewer endpoints than this, and fewer applications: their tokens must stay apart.
const MEMBERS_MAX: u32 = 1 << 30;
/// Wheel entries handled in one turn, so that a turn stays short.
const EXPIRED_PER_TURN: usize = 64;
/// An endpoint that answers within this time is prompt; the others share half of the shard.
const PROMPT: Duration = Duration::from_secs(1);
/// Nothing is sent for so long after a 410, while the endpoint is being disabled.
const DISABLING: Duration = Duration::from_secs(10);
/// How often to look whether a probe that another shard sent has come back.
const PROBE_ELSEWHERE: Duration = Duration::from_secs(1);

/// The shard. See the head of this file.
pub struct Shard<B, R> {
    settings: ShardSettings,
    now: Tick,
    horizon: Tick,
    slots: Slots<B>,
    lanes: Lanes,
    wheel: Wheel,
    endpoints: Vec<Endpoint>,
    endpoint_by_id: HashMap<EndpointId, u32, NumberHash>,
    endpoints_free: Vec<u32>,
    hosts: Vec<Host>,
    host_by_hash: HashMap<u64, u32>,
    applications: Vec<Application>,
    application_by_id: HashMap<ApplicationId, u32, NumberHash>,
    /// Endpoints to be served, in turn.
    line: VecDeque<u32>,
    /// Endpoints that are not prompt and wait for their half of the shard.
    line_not_prompt: VecDeque<u32>,
    in_flight: u32,
    in_flight_not_prompt: u32,
    body_bytes: usize,
    actions: VecDeque<Action<B, R>>,
}

impl<B: Body, R> Shard<B, R> {
    /// An empty shard whose time begins at `now`.
    pub fn new(settings: ShardSettings, now: Tick) -> Self {
        Self {
            settings,
            now,
            // Until it is told otherwise, the ledger alone keeps what is to be tried again.
            horizon: Tick::ZERO,
            slots: Slots::default(),
            lanes: Lanes::default(),
            wheel: Wheel::new(now),
            endpoints: Vec::new(),
            endpoint_by_id: HashMap::default(),
            endpoints_free: Vec::new(),
            hosts: Vec::new(),
            host_by_hash: HashMap::new(),
            applications: Vec::new(),
            application_by_id: HashMap::default(),
            line: VecDeque::new(),
            line_not_prompt: VecDeque::new(),
            in_flight: 0,
            in_flight_not_prompt: 0,
            body_bytes: 0,
            actions: VecDeque::new(),
        }
    }

    /// Deliveries held: queued, waiting or in flight.
    pub fn deliveries(&self) -> usize {
        self.slots.len()
    }

    /// Attempts in flight.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Bytes of payload held for queued deliveries.
    pub fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// When to call [`Self::handle`] with [`Input::Wake`] if nothing happens before.
    pub fn next_wakeup(&self) -> Option<Tick> {
        self.wheel.next_due()
    }

    /// Something happened, or time passed. A clock that goes back is ignored.
    pub fn handle(&mut self, now: Tick, input: Input<B, R>) {
        self.now = self.now.max(now);
        match input {
            Input::Deliver(incoming) => self.deliver(incoming),
            Input::Ended { token, outcome, took, report } => self.ended(token, outcome, took, report),
            Input::Endpoint(settings) => self.endpoint(settings),
            Input::EndpointGone(id, gone) => self.endpoint_gone(id, gone),
            Input::Cancel(message) => self.cancel(message),
            Input::Horizon(horizon) => self.horizon = horizon,
            Input::RememberBefore(position) => self.remember_before(position),
            Input::Wake => {}
        }
    }

    /// The next thing to do, or `None` when nothing can be done before the next input.
    pub fn poll_action(&mut self) -> Option<Action<B, R>> {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return Some(action);
            }
            // Both have their turn, so that a million that fall due at once keep nobody waiting.
            if !(self.expire() | self.serve()) {
                return None;
            }
        }
    }

    /// What has already happened and is to be recorded; starts nothing. For a shard that is held back or ends.
    pub fn poll_happened(&mut self) -> Option<Action<B, R>> {
        self.actions.pop_front()
    }

    fn deliver(&mut self, incoming: Incoming<B>) {
        let Some(&endpoint) = self.endpoint_by_id.get(&incoming.key.endpoint) else {
            // It has just gone or moved; whoever hands out the ledger's deliveries knows where to.
            let ordered = incoming.progress.marks.has(Marks::ORDERED);
            return self.park(&incoming, if ordered { Tick::ZERO } else { incoming.due.max(self.now) });
        };
        if incoming.replaces && self.stand_aside(&incoming, endpoint) {
            return;
        }
        if incoming.lane != 0 && self.slots.len() < self.settings.deliveries_max {
            return self.deliver_in_lane(incoming, endpoint);
        }
        let due = incoming.due;
        if self.is_full(endpoint, due) {
            // The ledger keeps it until there may be room.
            self.park(&incoming, due.max(self.horizon.max(self.now) + self.settings.park_for));
        } else if due > self.now.max(self.horizon) && incoming.home != Home::Ledger {
            self.park(&incoming, due);
        } else if due > self.now {
            let waiting = Incoming { body: None, ..incoming };
            let token = self.hold(Delivery::new(waiting, endpoint, Phase::Waiting));
            self.wheel.insert(due, token);
        } else {
            let token = self.hold(Delivery::new(incoming, endpoint, Phase::Queued));
            self.enqueue(token);
        }
    }

    /// Makes room for a delivery that is to be attempted now, though it may be held here already. Returns whether its
    /// attempt is under way, so that there is nothing to do.
    fn stand_aside(&mut self, incoming: &Incoming<B>, endpoint: u32) -> bool {
        for token in self.slots.of_message(incoming.key.message) {
            let delivery = &self.slots[token];
            let phase = delivery.phase;
            if delivery.endpoint != endpoint || matches!(phase, Phase::Dead | Phase::Free) {
                continue;
            }
            self.leave_log(token, incoming);
            if phase == Phase::InFlight {
                return true;
            }
            self.abandon(token);
        }
        false
    }

    /// From now on the ledger remembers it, and no longer the log alone: whoever counts those must hear of it.
    fn leave_log(&mut self, token: u32, incoming: &Incoming<B>) {
        let delivery = &mut self.slots[token];
        let home = delivery.home();
        if home == Home::Ledger {
            return;
        }
        delivery.set_home(Home::Ledger);
        self.actions.push_back(Action::Park(Parked {
            key: incoming.key,
            application: incoming.application,
            message_at: incoming.message_at,
            progress: incoming.progress,
            due: incoming.due,
            home,
            forgotten: false,
        }));
    }

    /// Whether a further delivery to this endpoint must wait in the ledger.
    fn is_full(&self, endpoint: u32, due: Tick) -> bool {
        let is_queue_full = self.endpoints[endpoint as usize].queue.len() >= self.settings.queue_max;
        self.slots.len() >= self.settings.deliveries_max || due <= self.now && is_queue_full
    }

    fn hold(&mut self, delivery: Delivery<B>) -> u32 {
        self.endpoints[delivery.endpoint as usize].held += 1;
        self.slots.insert(delivery)
    }

    fn drop_slot(&mut self, token: u32) {
        self.leave_lane(token);
        let endpoint = self.slots[token].endpoint;
        self.slots.remove(token);
        self.endpoints[endpoint as usize].held -= 1;
        self.reclaim(endpoint);
    }

    /// Frees the slot of an endpoint that is gone, once nothing names it.
    fn reclaim(&mut self, slot: u32) {
        let endpoint = &mut self.endpoints[slot as usize];
        if endpoint.gone.is_some() && endpoint.held == 0 && !endpoint.listed && endpoint.pauses == 0 {
            endpoint.held = u32::MAX; // never zero again until the slot is used anew
            self.endpoints_free.push(slot);
        }
    }

    fn park(&mut self, incoming: &Incoming<B>, due: Tick) {
        self.actions.push_back(Action::Park(Parked {
            key: incoming.key,
            application: incoming.application,
            message_at: incoming.message_at,
            progress: incoming.progress,
            due,
            home: incoming.home,
            forgotten: true,
        }));
    }
}
