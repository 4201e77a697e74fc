//! What history says of a log, beside what was written into it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use posthaste_storage::disk::sim::SimDisk;
use posthaste_storage::log::{Log, LogOptions};
use posthaste_storage::record::{
    Attempt, Carried, Channels, Course, Message, PackedExtras, Parked, PendingDelivery, Record, Settled,
};
use posthaste_storage::{EntryId, Position};

use super::deliveries::{count, list};
use super::standing::Standing;
use crate::api::{DeliveryCursor, DeliveryQuery, ListedDelivery};
use crate::core::delivery::DeliveryState::{self, Cancelled, Delivered, Exhausted, Pending};
use crate::core::ids::{ApplicationId, EndpointId, MessageId};

const ENDPOINTS: u64 = 9;

/// A delivery as the test knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    application: u64,
    event_type: &'static str,
    state: DeliveryState,
    attempts: u16,
    status: Option<u16>,
    next_ms: Option<u64>,
    /// Where the last word about it lies.
    at: Position,
}

/// A log, and what is true according to it.
struct World {
    log: Log,
    now_ms: u64,
    random: u64,
    known: BTreeMap<(EntryId, u64), Known>,
    messages: Vec<(EntryId, Position, u64)>,
}

impl World {
    fn new(seed: u64) -> Self {
        let options = LogOptions {
            block_bytes: 512,
            seal_in_background: false,
            salt_seed: Some(1),
            ..LogOptions::new(4 << 10)
        };
        let (log, _) = Log::open(Arc::new(SimDisk::new()), Path::new("/log"), options).unwrap();
        Self { log, now_ms: 1_000, random: seed, known: BTreeMap::new(), messages: Vec::new() }
    }

    fn below(&mut self, end: u64) -> u64 {
        // The constants of Knuth's MMIX.
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % end
    }

    fn id(&mut self) -> EntryId {
        self.now_ms += 1;
        self.log.next_id(self.now_ms)
    }

    fn publish(&mut self) {
        let (id, application) = (self.id(), 1 + self.below(2));
        let event_type = ["a.b", "a.c"][self.below(2) as usize];
        let count = self.below(4);
        let mut endpoints: Vec<u64> = (0..count).map(|_| 1 + self.below(ENDPOINTS)).collect();
        endpoints.sort_unstable();
        endpoints.dedup();
        let payload = vec![b'x'; self.below(300) as usize];
        let at = self
            .log
            .append(&Record::Message(message(id, application, event_type, &endpoints, &payload)))
            .unwrap();
        self.messages.push((id, at, application));
        for endpoint in endpoints {
            let (state, attempts, status, next_ms) = (Pending, 0, None, None);
            let known = Known { application, event_type, state, attempts, status, next_ms, at };
            self.known.insert((id, endpoint), known);
        }
    }

    /// Any of the deliveries that are pending.
    fn pending(&mut self) -> Option<(EntryId, u64)> {
        let pending: Vec<_> =
            self.known.iter().filter(|(_, known)| known.state == Pending).map(|(key, _)| *key).collect();
        if pending.is_empty() { None } else { Some(pending[self.below(pending.len() as u64) as usize]) }
    }

    fn message_at(&self, id: EntryId) -> Position {
        self.messages.iter().find(|(one, _, _)| *one == id).unwrap().1
    }

    fn attempt(&mut self) {
        let Some((message, endpoint)) = self.pending() else { return };
        let (state, status) = match self.below(6) {
            0 => (Exhausted, 503),
            1 => (Exhausted, 0),
            2 => (Pending, 404),
            3 => (Pending, 0),
            _ => (Delivered, 200),
        };
        let (id, message_at) = (self.id(), self.message_at(message));
        let next_ms = (state == Pending).then_some(self.now_ms + 50);
        let before = self.known[&(message, endpoint)].clone();
        let record = Attempt {
            id,
            message,
            application: before.application,
            endpoint,
            number: before.attempts + 1,
            progress: before.attempts + 1,
            started_ms: self.now_ms,
            duration_us: 1,
            outcome: if status == 0 { 22 } else { 1 + u8::from(status != 200) },
            status,
            state: state.code(),
            next_attempt_ms: next_ms.unwrap_or(0),
            endpoint_revision: 1,
            message_at,
            response_headers: b"",
            response_body: b"",
            detail: "",
            course: Course::default(),
            erased: false,
        };
        let at = self.log.append(&Record::Attempt(record)).unwrap();
        let known =
            Known { state, attempts: before.attempts + 1, status: Some(status), next_ms, at, ..before };
        self.known.insert((message, endpoint), known);
    }

    /// Parks a pending delivery, or one that was given up and is wanted again.
    fn park(&mut self) {
        let given_up = self.known.iter().find(|(_, known)| known.state == Exhausted).map(|(key, _)| *key);
        let Some((message, endpoint)) = (if self.below(3) == 0 { given_up } else { self.pending() }) else {
            return;
        };
        let (message_at, due_ms) = (self.message_at(message), self.now_ms + 1_000);
        let known = self.known.get_mut(&(message, endpoint)).unwrap();
        let parked = Parked {
            message,
            application: known.application,
            endpoint,
            attempts: known.attempts,
            due_ms,
            message_at,
        };
        known.at = self.log.append(&Record::Parked(parked)).unwrap();
        (known.state, known.next_ms) = (Pending, Some(due_ms));
    }

    fn take_back(&mut self) {
        let Some((message, _)) = self.pending() else { return };
        let application = self.messages.iter().find(|(id, _, _)| *id == message).unwrap().2;
        let settled =
            Settled { message, application, endpoint: 0, state: Cancelled.code(), at_ms: self.now_ms };
        let at = self.log.append(&Record::Settled(settled)).unwrap();
        for (_, known) in
            self.known.iter_mut().filter(|((id, _), known)| *id == message && known.state == Pending)
        {
            (known.state, known.next_ms, known.at) = (Cancelled, None, at);
        }
    }

    fn carry(&mut self) {
        let Some((message, _)) = self.pending() else { return };
        let due_ms = self.now_ms + 5_000;
        let of_message =
            self.known.iter().filter(|((id, _), known)| *id == message && known.state == Pending);
        let pending: Vec<PendingDelivery> = of_message
            .map(|((_, endpoint), known)| PendingDelivery {
                endpoint: *endpoint,
                attempts: known.attempts,
                due_ms,
            })
            .collect();
        let all: Vec<u64> = self.known.keys().filter(|(id, _)| *id == message).map(|(_, one)| *one).collect();
        let known = self.known[&(message, all[0])].clone();
        let copy = self::message(message, known.application, known.event_type, &all, b"x");
        let carried = Record::Carried(Carried { message: copy, pending: pending.as_slice().into() });
        let at = self.log.append(&carried).unwrap();
        for one in &pending {
            let known = self.known.get_mut(&(message, one.endpoint)).unwrap();
            (known.next_ms, known.at) = (Some(due_ms), at);
        }
    }

    fn live(&mut self, steps: usize) {
        for _ in 0..steps {
            match self.below(20) {
                0..=6 => self.publish(),
                7..=15 => self.attempt(),
                16..=17 => self.park(),
                18 => self.take_back(),
                _ => self.carry(),
            }
            if self.below(3) == 0 {
                self.log.commit().unwrap();
            }
        }
        self.log.commit().unwrap();
    }

    /// The place of the oldest message with a delivery that nothing was said about yet.
    fn fresh_from(&self) -> Position {
        let fresh = |known: &&Known| self.messages.iter().any(|(_, at, _)| *at == known.at);
        self.known.values().filter(fresh).map(|known| known.at).min().unwrap_or_else(|| self.log.end())
    }

    /// What a query should find, newest first.
    fn expected(&self, application: u64, query: &DeliveryQuery) -> Vec<(EntryId, u64, Known)> {
        let wanted = |(id, endpoint): (EntryId, u64), known: &Known| {
            known.application == application
                && query.channel.is_none()
                && query.message.is_none_or(|message| message.0 == id)
                && query.endpoint.is_none_or(|one| one.as_u64() == endpoint)
                && (query.event_types.is_empty()
                    || query.event_types.iter().any(|one| one == known.event_type))
                && (query.states.is_empty() || query.states.contains(&known.state))
                && query.status_code.is_none_or(|code| known.status == Some(code))
                && query
                    .status_code_class
                    .is_none_or(|class| known.status.is_some_and(|status| status / 100 == class / 100))
        };
        let known = self.known.iter().filter(|(key, known)| wanted(**key, known));
        let mut found: Vec<_> = known.map(|((id, one), known)| (*id, *one, known.clone())).collect();
        found.sort_by_key(|(_, endpoint, known)| (std::cmp::Reverse(known.at), *endpoint));
        found
    }
}

pub(super) fn message<'a>(
    id: EntryId,
    application: u64,
    event_type: &'a str,
    endpoints: &'a [u64],
    payload: &'a [u8],
) -> Message<'a> {
    Message {
        id,
        application,
        event_type,
        event_id: None,
        content_type: None,
        extras: PackedExtras::NONE,
        channels: Channels::NONE,
        digest: [0; 16],
        endpoints: endpoints.into(),
        payload,
        erased: false,
    }
}

fn queries() -> Vec<DeliveryQuery> {
    let all = DeliveryQuery { limit: 3, ..DeliveryQuery::default() };
    let mut queries = vec![all.clone(), DeliveryQuery { limit: 250, ..all.clone() }];
    for states in [vec![Exhausted], vec![Pending], vec![Delivered], vec![Cancelled], vec![Pending, Exhausted]]
    {
        queries.push(DeliveryQuery { states, ..all.clone() });
    }
    for endpoint in [1, 5, 99] {
        let endpoint = Some(EndpointId::from_u64(endpoint));
        queries.push(DeliveryQuery { endpoint, ..all.clone() });
        queries.push(DeliveryQuery { endpoint, states: vec![Exhausted], ..all.clone() });
    }
    queries.push(DeliveryQuery { status_code: Some(503), ..all.clone() });
    queries.push(DeliveryQuery { status_code_class: Some(400), ..all.clone() });
    queries.push(DeliveryQuery { status_code_class: Some(0), states: vec![Pending], ..all.clone() });
    queries.push(DeliveryQuery { event_types: vec!["a.b".into()], ..all.clone() });
    queries.push(DeliveryQuery { channel: Some("none".into()), ..all });
    queries
}

fn told(listed: &ListedDelivery, at: Position) -> (EntryId, u64, Known) {
    let delivery = &listed.delivery;
    let event_type = if listed.event_type.as_deref() == Some("a.b") { "a.b" } else { "a.c" };
    let known = Known {
        application: 1,
        event_type,
        state: delivery.state,
        attempts: delivery.attempts,
        status: listed.last.map(|last| last.outcome.status().unwrap_or(0)),
        next_ms: delivery.next_attempt_ms,
        at,
    };
    (listed.message.0, delivery.endpoint.as_u64(), known)
}

#[test]
fn each_delivery_is_listed_once_as_it_stood_at_the_first_page_whatever_happens_meanwhile() {
    for seed in 0..12 {
        let mut world = World::new(seed);
        world.live(150);
        for query in queries() {
            let expected = world.expected(1, &query);
            let mut expected_left = expected.as_slice();
            let mut cursor: Option<DeliveryCursor> = None;
            loop {
                let asked = DeliveryQuery { cursor, ..query.clone() };
                let page = list(&world.log.reader(), world.fresh_from(), ApplicationId::from_u64(1), &asked)
                    .unwrap();
                assert!(page.items.len() <= query.limit);
                for listed in &page.items {
                    let (next, left) = expected_left.split_first().expect("nothing more is expected");
                    expected_left = left;
                    assert_eq!(told(listed, next.2.at), *next, "seed {seed}, {query:?}");
                }
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
                world.live(3);
            }
            assert!(expected_left.is_empty(), "seed {seed}, {query:?}: {} are missing", expected_left.len());
        }
    }
}

#[test]
fn deliveries_of_one_message_are_listed_page_by_page() {
    let mut world = World::new(3);
    world.live(150);
    for (message, _, application) in world.messages.clone() {
        let query = DeliveryQuery { limit: 1, message: Some(MessageId(message)), ..DeliveryQuery::default() };
        let mut expected = world.expected(application, &query);
        expected.sort_by_key(|(_, endpoint, _)| *endpoint);
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let asked = DeliveryQuery { cursor, ..query.clone() };
            let page =
                list(&world.log.reader(), world.fresh_from(), ApplicationId::from_u64(application), &asked);
            let page = page.unwrap();
            found.extend(page.items.iter().map(|listed| listed.delivery.endpoint.as_u64()));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, expected.iter().map(|(_, endpoint, _)| *endpoint).collect::<Vec<_>>());
    }
}

#[test]
fn a_message_of_another_application_and_a_cursor_from_elsewhere_find_nothing_and_break_nothing() {
    let mut world = World::new(5);
    world.live(100);
    let (message, _, application) = world.messages[0];
    let other = ApplicationId::from_u64(3 - application);
    let query = DeliveryQuery { limit: 9, message: Some(MessageId(message)), ..DeliveryQuery::default() };
    assert!(list(&world.log.reader(), Position::START, other, &query).unwrap().items.is_empty());
    for number in [0, 1, 100, u64::MAX, 1 << 32, (1 << 32) + 77] {
        let cursor = Some(DeliveryCursor { as_of: number, fresh_from: number, at: number, endpoint: number });
        let query = DeliveryQuery { limit: 9, cursor, ..DeliveryQuery::default() };
        assert!(list(&world.log.reader(), Position::START, ApplicationId::from_u64(1), &query).is_ok());
    }
}

#[test]
fn what_happened_before_or_after_a_time_is_told_apart() {
    let mut world = World::new(8);
    world.live(150);
    let middle_ms = 1_000 + (world.now_ms - 1_000) / 2;
    let reader = world.log.reader();
    let ask = |before_ms, after_ms| {
        let query = DeliveryQuery { limit: 250, before_ms, after_ms, ..DeliveryQuery::default() };
        let page = list(&reader, world.fresh_from(), ApplicationId::from_u64(1), &query).unwrap();
        assert!(page.next.is_none());
        page.items
    };
    let (all, older, newer) = (ask(None, None), ask(Some(middle_ms), None), ask(None, Some(middle_ms - 1)));
    assert!(!older.is_empty() && !newer.is_empty());
    assert_eq!([newer, older].concat(), all);
}

#[test]
fn what_is_counted_is_what_is_listed() {
    for seed in 0..6 {
        let mut world = World::new(seed);
        world.live(200);
        for endpoint in 1..=ENDPOINTS {
            let endpoint = EndpointId::from_u64(endpoint);
            let query = DeliveryQuery { endpoint: Some(endpoint), ..DeliveryQuery::default() };
            let expected = world.expected(1, &query);
            let of = |state| expected.iter().filter(|(_, _, known)| known.state == state).count() as u64;
            let reader = world.log.reader();
            let counts = count(&reader, ApplicationId::from_u64(1), endpoint, (0, u64::MAX >> 16)).unwrap();
            // All times here lie long ago: what is pending is due.
            let found =
                (counts.success, counts.fail, counts.cancelled, counts.sending, counts.counted_since_ms);
            assert_eq!(
                found,
                (of(Delivered), of(Exhausted), of(Cancelled), of(Pending), None),
                "seed {seed}"
            );
        }
    }
}

#[test]
fn a_message_whose_first_record_is_gone_stands_as_its_copy_and_its_attempts_say() {
    let mut world = World::new(11);
    world.live(60);
    world.carry();
    world.live(200);
    let first = world.log.segments()[0].number;
    world.log.unlink(first).unwrap();
    let reader = world.log.reader();
    for ((message, endpoint), known) in &world.known {
        let standing = Standing::read(&reader, *message, None, reader.end()).unwrap();
        let stands = standing.deliveries.get(endpoint);
        // That all of a message was taken back names no endpoint.
        if known.at.segment > first && known.state != Cancelled {
            assert_eq!(stands.map(|stands| stands.delivery.state), Some(known.state));
        }
    }
}
