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
//! - Endpoints that have not answered promptly of late share half of the shard's attempts in flight, so a
//!   shard full of hanging endpoints still serves the healthy ones.
//!
//! Invariants
//! - No attempt starts before its delivery is due.
//! - A refused attempt (lockout) is recorded as failed and is never sent.
//! - While a URL or host is probing, at most one attempt to it is in flight; the others wait.
//! - Every delivery that goes in comes out: as `Ended` with a final state, as `Settle`, or forgotten to the
//!   ledger (`Park`, or `Ended` with a retry beyond the horizon).
//!
//! Not here: when a delivery is tried again (`retry`), how long a door stays shut (`health`), and
//! anything that touches a socket or a disk.

mod endpoint;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use posthaste_storage::Position;

use super::delivery::{DeliveryKey, DeliveryState, Progress};
use super::health::{Admit, HealthCell, HealthChange, LockoutRule};
use super::ids::{ApplicationId, EndpointId, MessageId};
use super::outcome::{Blame, Outcome};
use super::retry::{self, Next, RetryPolicy};
use super::tick::Tick;
use super::wheel::Wheel;
use endpoint::{Endpoint, Host};
use slots::{Delivery, Phase, Slots};

/// A payload held in memory, as far as the core cares.
pub trait Body {
    /// Bytes it keeps in memory.
    fn bytes(&self) -> usize;
}

/// What bounds a shard.
#[derive(Debug, Clone)]
pub struct ShardSettings {
    /// Attempts in flight in the whole shard.
    pub in_flight_max: u32,
    /// Attempts in flight towards one host.
    pub host_in_flight_max: u32,
    /// Deliveries queued for one endpoint; further ones are parked in the ledger.
    pub queue_max: u32,
    /// Deliveries held: queued, waiting and in flight; further ones are parked in the ledger.
    pub deliveries_max: usize,
    /// Bytes of payload held for queued deliveries; beyond it payloads are read back from the log.
    pub body_bytes_max: usize,
    /// How long a delivery is parked when its endpoint's queue is full, beyond the horizon.
    pub park_for: Duration,
    /// When a URL is locked out.
    pub url_lockout: LockoutRule,
    /// When a host is locked out.
    pub host_lockout: LockoutRule,
}

/// Everything the core needs to know of an endpoint.
#[derive(Debug, Clone)]
pub struct EndpointSettings {
    /// Which endpoint.
    pub id: EndpointId,
    /// Whose it is.
    pub application: ApplicationId,
    /// The host its URL leads to, by hash.
    pub host: u64,
    /// Grows with every change of the endpoint; attempts are recorded with it.
    pub revision: u32,
    /// When to try again.
    pub retry: Arc<RetryPolicy>,
    /// The widest its window of attempts in flight may grow.
    pub in_flight_max: u16,
    /// The health of its URL.
    pub url_health: Arc<HealthCell>,
    /// The health of its host.
    pub host_health: Arc<HealthCell>,
}

/// A delivery that comes to the shard.
#[derive(Debug, Clone)]
pub struct Incoming<B> {
    /// Which delivery.
    pub key: DeliveryKey,
    /// Whose message it is.
    pub application: ApplicationId,
    /// Where the message stands in the log.
    pub message_at: Position,
    /// How far it has come.
    pub progress: Progress,
    /// When it may be attempted; in the past means now.
    pub due: Tick,
    /// Who remembers it besides this shard.
    pub home: Home,
    /// Its payload, if at hand.
    pub body: Option<B>,
}

/// Who remembers a pending delivery, should this process end now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// Only the log: it was never attempted since it was published. The number is the place of its message
    /// in the writer's list of such messages.
    Log(u32),
    /// The ledger.
    Ledger,
}

/// What becomes of an endpoint's deliveries when a shard has it no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// They end in this state.
    Ended(DeliveryState),
    /// Another shard makes them: its URL leads to another host now.
    Moved,
}

/// What is told to the shard. `R` is the report that comes with an attempt's end; the core hands it on.
#[derive(Debug)]
pub enum Input<B, R> {
    /// An endpoint is there, or has changed.
    Endpoint(EndpointSettings),
    /// An endpoint is no more, or no more here.
    EndpointGone(EndpointId, Gone),
    /// A delivery to be made.
    Deliver(Incoming<B>),
    /// The attempt with this token has ended.
    Ended {
        /// The token of [`Start`].
        token: u32,
        /// How it ended.
        outcome: Outcome,
        /// How long it took.
        took: Duration,
        /// Handed on in [`AttemptEnded`].
        report: R,
    },
    /// A message is taken back: what is pending of it ends as cancelled.
    Cancel(MessageId),
    /// Deliveries due up to here are held by the shard; later ones by the ledger alone.
    Horizon(Tick),
    /// Messages before this position should not rest on the log alone any longer: park what is queued.
    RememberBefore(Position),
    /// Time has passed.
    Wake,
}

/// Make this attempt.
#[derive(Debug)]
pub struct Start<B> {
    /// To be given back in [`Input::Ended`].
    pub token: u32,
    /// Which delivery.
    pub key: DeliveryKey,
    /// Where the message stands in the log.
    pub message_at: Position,
    /// The payload; `None` means it is to be read from the log.
    pub body: Option<B>,
}

/// An attempt has ended, or was refused: record it.
#[derive(Debug)]
pub struct AttemptEnded<R> {
    /// Which delivery.
    pub key: DeliveryKey,
    /// Whose message it is.
    pub application: ApplicationId,
    /// Where the message stands in the log.
    pub message_at: Position,
    /// Which attempt of its delivery; the first is 1.
    pub number: u16,
    /// The endpoint's revision at the time.
    pub revision: u32,
    /// When it started.
    pub started: Tick,
    /// How it ended.
    pub outcome: Outcome,
    /// Where the delivery stands now.
    pub state: DeliveryState,
    /// When it is tried again.
    pub next_attempt: Option<Tick>,
    /// How far it has come, this attempt included.
    pub progress: Progress,
    /// Who remembered it until now.
    pub home: Home,
    /// Whether from now on the ledger alone knows it.
    pub forgotten: bool,
    /// What came with [`Input::Ended`]; `None` when the attempt was refused.
    pub report: Option<R>,
}

/// A delivery is handed to the ledger without an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parked {
    /// Which delivery.
    pub key: DeliveryKey,
    /// Whose message it is.
    pub application: ApplicationId,
    /// Where the message stands in the log.
    pub message_at: Position,
    /// How far it has come.
    pub progress: Progress,
    /// When it may be attempted.
    pub due: Tick,
    /// Who remembered it until now.
    pub home: Home,
    /// Whether from now on the ledger alone knows it.
    pub forgotten: bool,
}

/// A delivery ended without an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Which delivery.
    pub key: DeliveryKey,
    /// Whose message it is.
    pub application: ApplicationId,
    /// Where the message stands in the log.
    pub message_at: Position,
    /// How far it had come.
    pub progress: Progress,
    /// How it stands.
    pub state: DeliveryState,
    /// Who remembered it until now.
    pub home: Home,
}

/// What is to be done. Drain [`Shard::poll_action`] after every input.
#[derive(Debug)]
pub enum Action<B, R> {
    /// Make an attempt.
    Start(Start<B>),
    /// Record an attempt.
    Ended(AttemptEnded<R>),
    /// Record that the ledger takes a delivery.
    Park(Parked),
    /// Record that a delivery has ended.
    Settle(Settled),
    /// The receiver wants nothing more at this URL (410): disable the endpoint.
    Disable(EndpointId),
    /// A lockout began or ended: for people to hear of.
    Health {
        /// The endpoint whose attempt brought it about.
        endpoint: EndpointId,
        /// Its URL, or the host.
        door: Door,
        /// What happened.
        change: HealthChange,
    },
}

/// What can be locked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The URL of one endpoint.
    Url,
    /// A host, with all URLs on it.
    Host,
}

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

/// Wheel tokens with this bit stand for an endpoint whose pause ends, the others for a delivery.
const ENDPOINT_TOKEN: u32 = 1 << 31;
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
    wheel: Wheel,
    endpoints: Vec<Endpoint>,
    endpoint_by_id: HashMap<EndpointId, u32>,
    endpoints_free: Vec<u32>,
    hosts: Vec<Host>,
    host_by_hash: HashMap<u64, u32>,
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
            wheel: Wheel::new(now),
            endpoints: Vec::new(),
            endpoint_by_id: HashMap::new(),
            endpoints_free: Vec::new(),
            hosts: Vec::new(),
            host_by_hash: HashMap::new(),
            line: VecDeque::new(),
            line_not_prompt: VecDeque::new(),
            in_flight: 0,
            in_flight_not_prompt: 0,
            body_bytes: 0,
            actions: VecDeque::new(),
        }
    }

    // ---- Getters

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

    // ---- Input

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
            return self.park(&incoming, incoming.due.max(self.now));
        };
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

    fn ended(&mut self, token: u32, outcome: Outcome, took: Duration, report: R) {
        let delivery = &self.slots[token];
        debug_assert_eq!(delivery.phase, Phase::InFlight, "an attempt ends once");
        let (endpoint, counted_prompt) = (delivery.endpoint, delivery.counted_prompt);
        let probes = delivery.probes;
        self.in_flight -= 1;
        if !counted_prompt {
            self.in_flight_not_prompt -= 1;
        }
        self.learn(endpoint, outcome, took, probes);
        self.conclude(token, outcome, took, Some(report));
        self.relist_after_end(endpoint, probes);
    }

    /// Health, window and pause learn from an attempt.
    fn learn(&mut self, slot: u32, outcome: Outcome, took: Duration, probes: Probes) {
        let endpoint = &mut self.endpoints[slot as usize];
        endpoint.in_flight -= 1;
        endpoint.learn_window(outcome, took <= PROMPT);
        let host = &mut self.hosts[endpoint.host as usize];
        host.in_flight -= 1;
        host.probes -= u32::from(probes.any());
        match outcome {
            Outcome::RetryAfter { wait, .. } => self.pause(slot, wait),
            Outcome::Gone => self.pause(slot, DISABLING),
            _ => {}
        }
        self.learn_health(slot, outcome, probes);
    }

    fn pause(&mut self, slot: u32, wait: Duration) {
        let until = self.now + wait;
        let endpoint = &mut self.endpoints[slot as usize];
        endpoint.paused_until = endpoint.paused_until.max(until);
        endpoint.pauses += 1;
        self.wheel.insert(until, slot | ENDPOINT_TOKEN);
    }

    fn learn_health(&mut self, slot: u32, outcome: Outcome, probes: Probes) {
        let settings = &self.endpoints[slot as usize].settings;
        let answered = outcome.status().is_some();
        let url_verdict = match outcome.blame() {
            _ if outcome.is_success() => Some(true),
            // Asking for patience is not failing, but a probe so answered has not opened the door.
            Blame::Url if probes.url || !matches!(outcome, Outcome::RetryAfter { .. }) => Some(false),
            _ => None,
        };
        let host_verdict = match outcome.blame() {
            Blame::Host => Some(false),
            _ if answered => Some(true),
            _ => None,
        };
        let url = (&settings.url_health, url_verdict, probes.url, &self.settings.url_lockout);
        let host = (&settings.host_health, host_verdict, probes.host, &self.settings.host_lockout);
        for (door, (health, verdict, probe, rule)) in [(Door::Url, url), (Door::Host, host)] {
            let change = match verdict {
                Some(success) => health.on_outcome(self.now, success, probe, rule),
                None => {
                    if probe {
                        health.release_probe(self.now);
                    }
                    None
                }
            };
            if let Some(change) = change {
                self.actions.push_back(Action::Health { endpoint: settings.id, door, change });
            }
        }
    }

    /// What an attempt's end means for its delivery: done, again, or never again.
    fn conclude(&mut self, token: u32, outcome: Outcome, took: Duration, report: Option<R>) {
        let delivery = &mut self.slots[token];
        let endpoint = &self.endpoints[delivery.endpoint as usize];
        let key = delivery.key(endpoint);
        let (progress, next) = retry_of(&endpoint.settings.retry, key, delivery.progress, outcome, self.now);
        let (state, next) = match (next, endpoint.gone) {
            _ if outcome.is_success() => (DeliveryState::Delivered, None),
            _ if delivery.taken_back => (DeliveryState::Cancelled, None),
            (_, Some(Gone::Ended(state))) => (state, None),
            (Some(at), _) => (DeliveryState::Pending, Some(at)),
            (None, _) => (DeliveryState::Exhausted, None),
        };
        let forgotten = next.is_some_and(|at| at > self.horizon || endpoint.gone.is_some());
        self.actions.push_back(Action::Ended(AttemptEnded {
            key,
            application: endpoint.settings.application,
            message_at: delivery.message_at,
            number: progress.made(),
            revision: delivery.revision,
            started: self.now - took,
            outcome,
            state,
            next_attempt: next,
            progress,
            home: delivery.home(),
            forgotten,
            report,
        }));
        if outcome == Outcome::Gone && endpoint.gone.is_none() {
            self.actions.push_back(Action::Disable(endpoint.settings.id));
        }
        match next {
            Some(at) if !forgotten => {
                delivery.progress = progress;
                delivery.due = at;
                delivery.set_home(Home::Ledger);
                delivery.phase = Phase::Waiting;
                delivery.body = None;
                self.wheel.insert(at, token);
            }
            _ => self.drop_slot(token),
        }
    }

    fn endpoint(&mut self, settings: EndpointSettings) {
        let id = settings.id;
        if let Some(&slot) = self.endpoint_by_id.get(&id) {
            let endpoint = &mut self.endpoints[slot as usize];
            if endpoint.has_same_doors(&settings) {
                endpoint.change(settings);
                return self.list(slot);
            }
            // Attempts in flight knock at the old doors, whose health and room they belong to. So the old
            // endpoint stays until they have ended, and the new one begins with nothing.
            self.endpoint_gone(id, Gone::Moved);
        }
        let host = self.host(settings.host);
        let slot = self.add_endpoint(Endpoint::new(settings, host));
        self.endpoint_by_id.insert(id, slot);
    }

    fn add_endpoint(&mut self, endpoint: Endpoint) -> u32 {
        if let Some(slot) = self.endpoints_free.pop() {
            self.endpoints[slot as usize] = endpoint;
            return slot;
        }
        let slot = self.endpoints.len() as u32;
        assert!(slot < ENDPOINT_TOKEN, "a shard holds fewer than 2^31 endpoints");
        self.endpoints.push(endpoint);
        slot
    }

    fn host(&mut self, hash: u64) -> u32 {
        let hosts = &mut self.hosts;
        *self.host_by_hash.entry(hash).or_insert_with(|| {
            hosts.push(Host::default());
            hosts.len() as u32 - 1
        })
    }

    fn endpoint_gone(&mut self, id: EndpointId, gone: Gone) {
        let Some(slot) = self.endpoint_by_id.remove(&id) else { return };
        for token in self.slots.of_endpoint(slot) {
            self.part_with(token, gone);
        }
        let endpoint = &mut self.endpoints[slot as usize];
        endpoint.gone = Some(gone);
        // What its queue names is dead; a last turn frees it.
        endpoint.paused_until = Tick::ZERO;
        self.list(slot);
        self.reclaim(slot);
    }

    fn cancel(&mut self, message: MessageId) {
        for token in self.slots.of_message(message) {
            self.slots[token].taken_back = true;
            self.part_with(token, Gone::Ended(DeliveryState::Cancelled));
        }
    }

    /// Gives up a delivery that is not in flight. (One in flight is concluded when its attempt ends.)
    /// The queue or the wheel still names its slot, which is freed when they come to it.
    fn part_with(&mut self, token: u32, gone: Gone) {
        let delivery = &mut self.slots[token];
        if !matches!(delivery.phase, Phase::Queued | Phase::Waiting) {
            return;
        }
        let endpoint = &self.endpoints[delivery.endpoint as usize];
        let (key, application, home) =
            (delivery.key(endpoint), endpoint.settings.application, delivery.home());
        if delivery.phase == Phase::Queued {
            self.body_bytes -= delivery.body.take().map_or(0, |body| body.bytes());
        }
        self.actions.push_back(match gone {
            Gone::Ended(state) => {
                let (message_at, progress) = (delivery.message_at, delivery.progress);
                Action::Settle(Settled { key, application, message_at, progress, state, home })
            }
            Gone::Moved => Action::Park(Parked {
                key,
                application,
                message_at: delivery.message_at,
                progress: delivery.progress,
                due: delivery.due,
                home,
                forgotten: true,
            }),
        });
        delivery.phase = Phase::Dead;
    }

    fn remember_before(&mut self, position: Position) {
        let at_risk = |slot: &Delivery<B>| {
            matches!(slot.phase, Phase::Queued | Phase::Waiting)
                && slot.message_at < position
                && slot.home() != Home::Ledger
        };
        for token in self.slots.find(at_risk) {
            let delivery = &mut self.slots[token];
            let endpoint = &self.endpoints[delivery.endpoint as usize];
            self.actions.push_back(Action::Park(Parked {
                key: delivery.key(endpoint),
                application: endpoint.settings.application,
                message_at: delivery.message_at,
                progress: delivery.progress,
                due: delivery.due,
                home: delivery.home(),
                forgotten: false,
            }));
            delivery.set_home(Home::Ledger);
        }
    }

    // ---- Turns

    /// Moves what is due from the wheel into the queues. Returns whether anything was.
    fn expire(&mut self) -> bool {
        for turn in 0..EXPIRED_PER_TURN {
            let Some(token) = self.wheel.pop_due(self.now) else { return turn > 0 };
            if token & ENDPOINT_TOKEN != 0 {
                let slot = token & !ENDPOINT_TOKEN;
                self.endpoints[slot as usize].pauses -= 1;
                self.list(slot);
                self.reclaim(slot);
                continue;
            }
            match self.slots[token].phase {
                Phase::Waiting => {
                    self.slots[token].phase = Phase::Queued;
                    self.enqueue(token);
                }
                _ => self.drop_slot(token),
            }
        }
        true
    }

    /// Puts a delivery at the end of its endpoint's queue.
    fn enqueue(&mut self, token: u32) {
        let delivery = &mut self.slots[token];
        let bytes = delivery.body.as_ref().map_or(0, Body::bytes);
        if self.body_bytes + bytes > self.settings.body_bytes_max {
            delivery.body = None;
        } else {
            self.body_bytes += bytes;
        }
        let endpoint = delivery.endpoint;
        self.endpoints[endpoint as usize].queue.push(&mut self.slots, token);
        self.list(endpoint);
    }

    /// Puts an endpoint in the line, if it has something to send and may.
    fn list(&mut self, slot: u32) {
        let endpoint = &mut self.endpoints[slot as usize];
        if endpoint.wants_turn(self.now) {
            endpoint.listed = true;
            self.line.push_back(slot);
        }
    }

    /// An attempt has ended. Who waited for its room, or for what it found out, goes before its endpoint.
    fn relist_after_end(&mut self, slot: u32, probes: Probes) {
        let host = self.endpoints[slot as usize].host;
        if probes.any() {
            while let Some(waiting) = self.hosts[host as usize].waiting_for_probe.pop_front() {
                self.endpoints[waiting as usize].listed = false;
                self.list(waiting);
            }
        }
        self.call_for_room(host);
        self.list(slot);
    }

    /// Gives room at a host to the endpoint that has waited for it longest. The room stays its own until its
    /// turn, or endpoints that come later could take it for ever.
    fn call_for_room(&mut self, host: u32) {
        let host = &mut self.hosts[host as usize];
        while host.has_room(self.settings.host_in_flight_max)
            && let Some(slot) = host.waiting_for_room.pop_front()
        {
            let endpoint = &mut self.endpoints[slot as usize];
            endpoint.listed = false;
            if endpoint.wants_turn(self.now) {
                endpoint.listed = true;
                endpoint.called = true;
                host.called += 1;
                self.line.push_back(slot);
            }
        }
    }

    /// One turn for the endpoint at the head of the line. Returns whether the line may go on.
    fn serve(&mut self) -> bool {
        if self.in_flight >= self.settings.in_flight_max {
            return false;
        }
        let Some(slot) = self.next_in_line() else { return false };
        let endpoint = &mut self.endpoints[slot as usize];
        endpoint.listed = false;
        let host = endpoint.host;
        if std::mem::take(&mut endpoint.called) {
            self.hosts[host as usize].called -= 1;
        }
        self.turn(slot);
        self.call_for_room(host);
        true
    }

    /// Who waited for the half of the endpoints that are not prompt goes first, as long as it has room.
    fn next_in_line(&mut self) -> Option<u32> {
        let waited = if self.is_half_full() { None } else { self.line_not_prompt.pop_front() };
        waited.or_else(|| self.line.pop_front())
    }

    /// Whether endpoints that are not prompt have all the room they get.
    fn is_half_full(&self) -> bool {
        self.in_flight_not_prompt >= (self.settings.in_flight_max / 2).max(1)
    }

    fn turn(&mut self, slot: u32) {
        let Some(token) = self.head_of_queue(slot) else { return };
        let is_half_full = self.is_half_full();
        let endpoint = &mut self.endpoints[slot as usize];
        if !endpoint.wants_turn(self.now) {
            return;
        }
        if !endpoint.prompt && is_half_full {
            // One with an attempt in flight is listed when that ends, perhaps as a prompt one.
            if endpoint.in_flight == 0 {
                endpoint.listed = true;
                self.line_not_prompt.push_back(slot);
            }
            return;
        }
        let host = &mut self.hosts[endpoint.host as usize];
        if !host.has_room(self.settings.host_in_flight_max) {
            endpoint.listed = true;
            host.waiting_for_room.push_back(slot);
            return;
        }
        self.ask_health(slot, token);
    }

    /// The first live delivery of the endpoint's queue; dead ones are freed on the way.
    fn head_of_queue(&mut self, slot: u32) -> Option<u32> {
        loop {
            let token = self.endpoints[slot as usize].queue.head()?;
            if self.slots[token].phase == Phase::Queued {
                return Some(token);
            }
            self.endpoints[slot as usize].queue.pop(&self.slots);
            self.drop_slot(token);
        }
    }

    /// Both doors must be open; neither probe is spent before both agree.
    fn ask_health(&mut self, slot: u32, token: u32) {
        let now = self.now;
        let endpoint = &mut self.endpoints[slot as usize];
        let (url, host) = (&endpoint.settings.url_health, &endpoint.settings.host_health);
        let shut = match (url.peek(now), host.peek(now)) {
            (Admit::Refuse { .. }, _) => Some((url.is_probing(now), Outcome::UrlLockedOut)),
            (_, Admit::Refuse { .. }) => Some((host.is_probing(now), Outcome::HostLockedOut)),
            _ => None,
        };
        match shut {
            None => {
                let probes = Probes {
                    url: url.admit(now, &self.settings.url_lockout) == Admit::GoAsProbe,
                    host: host.admit(now, &self.settings.host_lockout) == Admit::GoAsProbe,
                };
                self.start(slot, token, probes);
            }
            // A probe is under way: what it finds decides for the others, who wait for it.
            Some((true, _)) if self.hosts[endpoint.host as usize].probes == 0 => {
                self.pause(slot, PROBE_ELSEWHERE);
            }
            Some((true, _)) => {
                endpoint.listed = true;
                self.hosts[endpoint.host as usize].waiting_for_probe.push_back(slot);
            }
            Some((false, outcome)) => {
                self.take_from_queue(slot);
                self.conclude(token, outcome, Duration::ZERO, None);
                self.list(slot);
            }
        }
    }

    fn take_from_queue(&mut self, slot: u32) -> Option<B> {
        let endpoint = &mut self.endpoints[slot as usize];
        let token = endpoint.queue.pop(&self.slots)?;
        let delivery = &mut self.slots[token];
        delivery.revision = endpoint.settings.revision;
        let body = delivery.body.take();
        self.body_bytes -= body.as_ref().map_or(0, Body::bytes);
        body
    }

    fn start(&mut self, slot: u32, token: u32, probes: Probes) {
        let body = self.take_from_queue(slot);
        let endpoint = &mut self.endpoints[slot as usize];
        endpoint.in_flight += 1;
        let host = &mut self.hosts[endpoint.host as usize];
        host.in_flight += 1;
        host.probes += u32::from(probes.any());
        self.in_flight += 1;
        let delivery = &mut self.slots[token];
        delivery.phase = Phase::InFlight;
        delivery.probes = probes;
        delivery.counted_prompt = endpoint.prompt;
        if !endpoint.prompt {
            self.in_flight_not_prompt += 1;
        }
        self.actions.push_back(Action::Start(Start {
            token,
            key: delivery.key(endpoint),
            message_at: delivery.message_at,
            body,
        }));
        self.list(slot);
    }
}

/// Asks the retry policy. Returns how far the delivery has come with this attempt, and when it goes on.
fn retry_of(
    policy: &RetryPolicy,
    key: DeliveryKey,
    before: Progress,
    outcome: Outcome,
    now: Tick,
) -> (Progress, Option<Tick>) {
    let (uses_attempt, at) = match retry::next_attempt(policy, key, before, outcome, now) {
        Next::After { at, uses_attempt } => (uses_attempt, Some(at)),
        Next::GiveUp => (true, None),
    };
    let mut progress = before;
    let counted = if uses_attempt { &mut progress.attempts } else { &mut progress.patience };
    *counted = counted.saturating_add(1);
    (progress, at)
}
