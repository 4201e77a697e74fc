//! A world around one shard: it makes the attempts that the shard asks for, keeps what the ledger would
//! keep, and lets time jump to whatever happens next.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use posthaste_storage::{EntryId, Position};

use super::books::{Account, Books, Place};
use super::flights::{Flight, Flights};
use super::receiver::{Answer, Manner, Receiver};
use super::{ms, secs};
use crate::core::delivery::{DeliveryKey, DeliveryState, Marks, Progress};
use crate::core::health::{HealthCell, HealthChange, LockoutRule, LockoutSettings};
use crate::core::ids::{ApplicationId, EndpointId, MessageId};
use crate::core::outcome::Outcome;
use crate::core::pace::PaceCell;
use crate::core::retry::RetryPolicy;
use crate::core::shard::{
    Action, AttemptEnded, Body, Door, EndpointSettings, Gone, Home, Incoming, Input, Parked, Settled, Shard,
    ShardSettings,
};
use crate::core::tick::Tick;

/// Some moment in 2024, not at the start of a second or of a step of the wheel.
pub(super) const START: Tick = Tick::from_ms(1_732_300_000_123);
/// How far ahead the shard holds deliveries.
const HORIZON: Duration = Duration::from_secs(120);
const APPLICATION: ApplicationId = ApplicationId::from_u64(1);
const PAYLOAD_BYTES: usize = 1_000;

/// A payload, of which only the size matters.
#[derive(Debug)]
pub(super) struct Payload(usize);

impl Body for Payload {
    fn bytes(&self) -> usize {
        self.0
    }
}

/// An endpoint as the catalog has it.
#[derive(Debug)]
struct Listed {
    settings: EndpointSettings,
    receiver: Receiver,
    presence: Presence,
    arrivals: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Here,
    Elsewhere,
    Removed,
}

/// A request that a receiver saw.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) at: Tick,
    pub(super) key: DeliveryKey,
    /// Whether the payload came with it; otherwise it was read back from the log.
    pub(super) in_hand: bool,
}

/// See the head of this file.
pub(super) struct World {
    pub(super) shard: Shard<Payload, usize>,
    pub(super) limits: ShardSettings,
    pub(super) now: Tick,
    pub(super) books: Books,
    pub(super) flights: Flights,
    ids: BTreeMap<&'static str, EndpointId>,
    endpoints: BTreeMap<EndpointId, Listed>,
    hosts: BTreeMap<u64, Arc<HealthCell>>,
    /// The pace of the application that all endpoints belong to.
    pub(super) pace: Arc<PaceCell>,
    /// What the ledger alone has, by due time.
    ledger: BTreeSet<(Tick, DeliveryKey)>,
    /// The horizon: what the ledger has due before it was handed out.
    loaded_until: Tick,
    messages: u32,
    /// Whether the shard is only asked for what has happened.
    pub(super) is_held_back: bool,
    pub(super) requests: Vec<Request>,
    pub(super) ended: Vec<AttemptEnded<usize>>,
    pub(super) parked: Vec<Parked>,
    pub(super) settled: Vec<Settled>,
    pub(super) disabled: Vec<EndpointId>,
    pub(super) health: Vec<(EndpointId, Door, HealthChange)>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A world whose shard has other limits than a small shard usually has.
    pub(super) fn with(change: impl FnOnce(&mut ShardSettings)) -> Self {
        let mut limits = ShardSettings {
            in_flight_max: 1_024,
            host_in_flight_max: 256,
            queue_max: 100_000,
            deliveries_max: 1_000_000,
            body_bytes_max: 64 << 20,
            park_for: secs(30),
            url_lockout: LockoutRule::default(),
            host_lockout: LockoutRule::default(),
        };
        change(&mut limits);
        let mut world = Self {
            shard: Shard::new(limits.clone(), START),
            limits,
            now: START,
            books: Books::default(),
            flights: Flights::default(),
            ids: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            hosts: BTreeMap::new(),
            pace: Arc::default(),
            ledger: BTreeSet::new(),
            loaded_until: Tick::ZERO,
            messages: 0,
            is_held_back: false,
            requests: Vec::new(),
            ended: Vec::new(),
            parked: Vec::new(),
            settled: Vec::new(),
            disabled: Vec::new(),
            health: Vec::new(),
        };
        world.load();
        world
    }

    // ---- The catalog

    /// An endpoint on a host of its own.
    pub(super) fn endpoint(self, name: &'static str, manner: impl Into<Manner>) -> Self {
        self.endpoint_on(name, name, manner)
    }

    pub(super) fn endpoint_on(
        mut self,
        host: &'static str,
        name: &'static str,
        manner: impl Into<Manner>,
    ) -> Self {
        self.add_endpoint(host, name, manner);
        self
    }

    pub(super) fn add_endpoint(
        &mut self,
        host: &'static str,
        name: &'static str,
        manner: impl Into<Manner>,
    ) -> EndpointId {
        let id = EndpointId::from_u64(self.endpoints.len() as u64 + 1);
        let (host, host_health) = self.host(host);
        let settings = EndpointSettings {
            id,
            application: APPLICATION,
            host,
            revision: 1,
            retry: Arc::new(RetryPolicy::default()),
            in_flight_max: 128,
            pace: None,
            application_pace: self.pace.clone(),
            url_health: Arc::default(),
            host_health,
        };
        let receiver = Receiver { script: [].into(), then: manner.into() };
        self.ids.insert(name, id);
        self.endpoints.insert(id, Listed { settings, receiver, presence: Presence::Elsewhere, arrivals: 0 });
        self.arrive(name);
        id
    }

    fn host(&mut self, name: &str) -> (u64, Arc<HealthCell>) {
        let hash = name.bytes().fold(7, |hash: u64, byte| hash.wrapping_mul(31) + u64::from(byte));
        (hash, self.hosts.entry(hash).or_default().clone())
    }

    fn listed(&mut self, name: &str) -> &mut Listed {
        let id = self.id(name);
        self.endpoints.get_mut(&id).expect("a name has an endpoint")
    }

    pub(super) fn id(&self, name: &str) -> EndpointId {
        self.ids[name]
    }

    pub(super) fn settings(&self, name: &str) -> &EndpointSettings {
        &self.endpoints[&self.id(name)].settings
    }

    /// From now on the receiver does this.
    pub(super) fn answers(&mut self, name: &str, manner: impl Into<Manner>) -> &mut Self {
        self.listed(name).receiver.then = manner.into();
        self
    }

    /// First the receiver answers like this, then as before.
    pub(super) fn first(&mut self, name: &str, script: &[Answer]) -> &mut Self {
        self.listed(name).receiver.script.extend(script);
        self
    }

    /// The endpoint's settings change.
    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut EndpointSettings)) -> &mut Self {
        let listed = self.listed(name);
        change(&mut listed.settings);
        listed.settings.revision += 1;
        let (settings, presence) = (listed.settings.clone(), listed.presence);
        if presence == Presence::Here {
            self.tell(Input::Endpoint(settings));
        }
        self
    }

    pub(super) fn retries(&mut self, name: &str, policy: &str) -> &mut Self {
        let policy: RetryPolicy = policy.parse().expect("a fine policy");
        self.change(name, |settings| settings.retry = Arc::new(policy))
    }

    /// From now on it wants so many attempts a second at most; 0: as many as there are.
    pub(super) fn paces(&mut self, name: &str, rate: u16) -> &mut Self {
        let pace = NonZeroU16::new(rate).map(|rate| Arc::new(PaceCell::new(Some(rate))));
        self.change(name, |settings| settings.pace = pace)
    }

    /// The endpoint's URL changes, and leads to this host.
    pub(super) fn change_url(&mut self, name: &str, host: &str) -> &mut Self {
        let (host, host_health) = self.host(host);
        let id = self.id(name);
        self.books.moved(id);
        self.change(name, |settings| {
            settings.host = host;
            settings.host_health = host_health;
            settings.url_health = Arc::default();
        })
    }

    /// The endpoint is deleted or disabled.
    pub(super) fn remove(&mut self, name: &str, state: DeliveryState) -> &mut Self {
        self.leave(name, Presence::Removed, Gone::Ended(state))
    }

    /// Another shard makes the endpoint's deliveries.
    pub(super) fn move_away(&mut self, name: &str) -> &mut Self {
        self.leave(name, Presence::Elsewhere, Gone::Moved)
    }

    fn leave(&mut self, name: &str, presence: Presence, gone: Gone) -> &mut Self {
        let listed = self.listed(name);
        let was = std::mem::replace(&mut listed.presence, presence);
        let id = listed.settings.id;
        if was == Presence::Here {
            self.books.moved(id);
            self.tell(Input::EndpointGone(id, gone));
        }
        self
    }

    /// The shard makes the endpoint's deliveries (again), and the ledger's are handed to it.
    pub(super) fn arrive(&mut self, name: &str) -> &mut Self {
        let listed = self.listed(name);
        if std::mem::replace(&mut listed.presence, Presence::Here) != Presence::Here {
            listed.arrivals += 1;
        }
        let settings = listed.settings.clone();
        self.tell(Input::Endpoint(settings));
        self.hand_out();
        self
    }

    // ---- Messages

    /// A message for each of these endpoints.
    pub(super) fn publish(&mut self, names: &[&str]) -> MessageId {
        self.publish_due(names, Tick::ZERO)
    }

    pub(super) fn publish_due(&mut self, names: &[&str], due: Tick) -> MessageId {
        self.publish_in_lane(names, due, 0)
    }

    /// A message that must not pass others of its lane; 0: it may.
    pub(super) fn publish_in_lane(&mut self, names: &[&str], due: Tick, lane: u64) -> MessageId {
        self.messages += 1;
        let message = MessageId(EntryId::from_u64(self.now.as_ms() << 16 | u64::from(self.messages)));
        for name in names {
            let incoming = Incoming {
                key: DeliveryKey { message, endpoint: self.id(name) },
                application: APPLICATION,
                message_at: self.log_end(),
                progress: Progress {
                    marks: Marks::NONE.with(Marks::ORDERED, lane != 0),
                    ..Progress::default()
                },
                due,
                lane,
                home: Home::Log(self.messages),
                replaces: false,
                body: Some(Payload(PAYLOAD_BYTES)),
            };
            self.books.open(&incoming);
            self.tell(Input::Deliver(incoming));
        }
        message
    }

    /// Somebody wants this delivery, which is pending, attempted now.
    pub(super) fn send_again(&mut self, message: MessageId, name: &str) -> &mut Self {
        let key = DeliveryKey { message, endpoint: self.id(name) };
        let now = self.now;
        let account = self.books.of(key);
        account.due = now.min(account.due);
        let home = account.home;
        let again = Incoming { replaces: true, ..resumed(key, account, now) };
        self.tell(Input::Deliver(again));
        if home != Home::Ledger {
            let left = self
                .parked
                .iter()
                .any(|parked| parked.key == key && parked.home == home && !parked.forgotten);
            assert!(left, "the log is told that it is not the only one to remember {key:?}");
        }
        self
    }

    pub(super) fn publish_to(&mut self, name: &str, count: usize) -> &mut Self {
        for _ in 0..count {
            self.publish(&[name]);
        }
        self
    }

    /// Where the last message stands in the log.
    pub(super) fn log_end(&self) -> Position {
        Position { segment: 1, offset: self.messages }
    }

    /// A message is taken back, wherever its deliveries are.
    pub(super) fn cancel(&mut self, message: MessageId) -> &mut Self {
        self.tell(Input::Cancel(message));
        self.ledger.retain(|(_, key)| {
            let is_its = key.message == message;
            if is_its {
                self.books.of(*key).end(DeliveryState::Cancelled);
            }
            !is_its
        });
        self
    }

    // ---- Time

    /// Lets this time pass.
    pub(super) fn run_for(&mut self, time: Duration) -> &mut Self {
        self.run_until(self.now + time)
    }

    pub(super) fn run_until(&mut self, end: Tick) -> &mut Self {
        while let Some(at) = self.next_event()
            && at <= end
        {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = end;
        self.tell(Input::Wake);
        self
    }

    /// Lets time pass until every delivery has ended.
    pub(super) fn run_to_the_end(&mut self) -> &mut Self {
        let end = self.now + Duration::from_secs(60 * 24 * 3_600);
        while let Some(at) = self.next_event() {
            assert!(at < end, "deliveries come to an end");
            self.now = self.now.max(at);
            self.step();
        }
        for (key, account) in self.books.all() {
            assert!(matches!(account.place, Place::Ended(_)), "{key:?} is stuck: {account:?}");
        }
        self
    }

    fn next_event(&self) -> Option<Tick> {
        let wakeup = if self.is_held_back { None } else { self.shard.next_wakeup() };
        let end = self.flights.next_end().map(|(at, _)| at);
        let load = self.ledger.iter().any(|(_, key)| self.is_wanted(key.endpoint)).then(|| self.next_load());
        [wakeup, end, load].into_iter().flatten().min()
    }

    fn step(&mut self) {
        while let Some((at, token)) = self.flights.next_end()
            && at <= self.now
        {
            self.end_attempt(token);
        }
        if self.next_load() <= self.now {
            self.load();
        }
        self.tell(Input::Wake);
    }

    fn end_attempt(&mut self, token: u32) {
        let flight = self.flights.end(token, self.now);
        let Answer { outcome, took } = flight.answer;
        self.tell(Input::Ended { token, outcome, took, report: flight.number });
    }

    // ---- The ledger

    fn is_wanted(&self, endpoint: EndpointId) -> bool {
        self.endpoints[&endpoint].presence != Presence::Elsewhere
    }

    /// Half a horizon of slack.
    fn next_load(&self) -> Tick {
        self.loaded_until - HORIZON / 2
    }

    fn load(&mut self) {
        self.loaded_until = self.now + HORIZON;
        for entry in self.due() {
            self.resume(entry);
        }
        self.tell(Input::Horizon(self.loaded_until));
    }

    /// What the ledger has due before the horizon, but for endpoints that another shard has.
    fn due(&self) -> Vec<(Tick, DeliveryKey)> {
        let due = self.ledger.iter().take_while(|(due, _)| *due <= self.loaded_until);
        due.filter(|(_, key)| self.is_wanted(key.endpoint)).copied().collect()
    }

    /// Hands out what the shard has given back although it is due before the horizon.
    fn hand_out(&mut self) {
        loop {
            let due = self.due();
            if due.is_empty() {
                return;
            }
            due.into_iter().for_each(|entry| self.resume(entry));
        }
    }

    fn resume(&mut self, entry: (Tick, DeliveryKey)) {
        self.ledger.remove(&entry);
        let (due, key) = entry;
        let is_here = self.endpoints[&key.endpoint].presence == Presence::Here;
        let account = self.books.of(key);
        if !is_here {
            // Nobody makes its deliveries any more.
            return account.end(DeliveryState::Cancelled);
        }
        account.place = Place::Shard;
        let incoming = resumed(key, account, due);
        self.give(Input::Deliver(incoming));
    }

    // ---- The shard

    /// Tells the shard, and does what it asks for.
    pub(super) fn tell(&mut self, input: Input<Payload, usize>) {
        self.give(input);
        self.hand_out();
        if !self.is_held_back {
            let wakeup = self.shard.next_wakeup();
            assert!(wakeup.is_none_or(|at| at > self.now), "everything due was done");
        }
        assert_eq!(self.shard.in_flight() as usize, self.flights.len());
        assert!(self.shard.body_bytes() <= self.limits.body_bytes_max);
        assert!(self.shard.deliveries() <= self.limits.deliveries_max);
    }

    fn give(&mut self, input: Input<Payload, usize>) {
        self.shard.handle(self.now, input);
        while let Some(action) = self.poll() {
            self.act(action);
        }
    }

    fn poll(&mut self) -> Option<Action<Payload, usize>> {
        if self.is_held_back { self.shard.poll_happened() } else { self.shard.poll_action() }
    }

    fn act(&mut self, action: Action<Payload, usize>) {
        match action {
            Action::Start(start) => {
                self.books.started(&start, self.now);
                let (key, in_hand) = (start.key, start.body.is_some());
                self.start(start.token, key);
                self.requests.push(Request { at: self.now, key, in_hand });
            }
            Action::Ended(ended) => {
                self.books.ended(&ended, self.now);
                if ended.forgotten {
                    self.ledger.insert((ended.next_attempt.expect("it is pending"), ended.key));
                }
                self.ended.push(ended);
            }
            Action::Park(parked) => {
                self.books.parked(&parked, self.now);
                if parked.forgotten {
                    self.ledger.insert((parked.due, parked.key));
                }
                self.parked.push(parked);
            }
            Action::Settle(settled) => {
                self.books.settled(&settled);
                self.settled.push(settled);
            }
            Action::Disable(endpoint) => self.disabled.push(endpoint),
            Action::Health { endpoint, door, change } => self.health.push((endpoint, door, change)),
        }
    }

    fn start(&mut self, token: u32, key: DeliveryKey) {
        let listed = self.endpoints.get_mut(&key.endpoint).expect("the endpoint was there once");
        assert_eq!(listed.presence, Presence::Here, "nothing is sent for an endpoint that is gone");
        let answer = listed.receiver.answer();
        let (settings, arrivals) = (listed.settings.clone(), listed.arrivals);
        let (number, ends) = (self.requests.len(), self.now + answer.took.max(ms(1)));
        let flight = Flight { key, settings, arrivals, answer, number, ends };
        self.flights.start(token, flight, self.now, &self.limits);
    }

    // ---- What was seen

    /// Requests that the receiver of this endpoint saw.
    pub(super) fn requests_to(&self, name: &str) -> Vec<Request> {
        let id = self.id(name);
        self.requests.iter().filter(|request| request.key.endpoint == id).copied().collect()
    }

    #[track_caller]
    pub(super) fn expect_requests(&mut self, name: &str, count: usize) -> &mut Self {
        assert_eq!(self.requests_to(name).len(), count, "requests to {name}");
        self
    }

    /// Attempts to this endpoint that ended like this.
    pub(super) fn outcomes(&self, name: &str, wanted: impl Fn(Outcome) -> bool) -> usize {
        let id = self.id(name);
        self.ended.iter().filter(|ended| ended.key.endpoint == id && wanted(ended.outcome)).count()
    }

    #[track_caller]
    pub(super) fn expect_outcomes(&mut self, name: &str, outcome: Outcome, count: usize) -> &mut Self {
        assert_eq!(self.outcomes(name, |other| other == outcome), count, "{} of {name}", outcome.name());
        self
    }

    /// Deliveries to this endpoint that stand like this; pending are those that have not ended.
    pub(super) fn standing(&self, name: &str, state: DeliveryState) -> usize {
        let id = self.id(name);
        let standing = |account: &Account| match account.place {
            Place::Ended(state) => state,
            _ => DeliveryState::Pending,
        };
        self.books.all().filter(|(key, account)| key.endpoint == id && standing(account) == state).count()
    }

    #[track_caller]
    pub(super) fn expect_standing(&mut self, name: &str, state: DeliveryState, count: usize) -> &mut Self {
        assert_eq!(self.standing(name, state), count, "{} deliveries to {name}", state.name());
        self
    }
}

fn resumed(key: DeliveryKey, account: &Account, due: Tick) -> Incoming<Payload> {
    Incoming {
        key,
        application: account.application,
        message_at: account.message_at,
        progress: account.progress,
        due: due.max(account.due),
        lane: account.lane,
        home: Home::Ledger,
        replaces: false,
        body: None,
    }
}

/// A rule that locks out after so many failures in a row, for 30 s and then longer.
pub(super) fn after(consecutive_failures: u32) -> LockoutRule {
    rule(LockoutSettings { consecutive_failures, ..never_by_share() })
}

/// A rule that never locks out within a test.
pub(super) fn never() -> LockoutRule {
    rule(LockoutSettings { consecutive_failures: 255, ..never_by_share() })
}

fn never_by_share() -> LockoutSettings {
    LockoutSettings { window_failures_min: 1_023, failure_percent: 100, ..LockoutSettings::default() }
}

fn rule(settings: LockoutSettings) -> LockoutRule {
    LockoutRule::new(settings).expect("a fine rule")
}
