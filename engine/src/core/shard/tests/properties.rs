//! Inputs in any order: what goes in comes out, once, and the shard is empty afterwards.

use std::num::NonZeroU16;

use proptest::prelude::*;

use super::ms;
use super::receiver::{Answer, Manner, asks_for, hangs, refuses, status, unsendable};
use super::world::{World, after};
use crate::core::delivery::DeliveryState;
use crate::core::shard::Input;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const HOSTS: [&str; 3] = ["x", "y", "z"];
const POLICIES: [&str; 4] = ["none", "1s, 2s", "5s, 5m, 1h", "10ms, 10ms, 10ms, 10ms jitter=50%"];

#[derive(Debug, Clone)]
enum Event {
    Publish { names: Vec<usize>, count: usize },
    PublishLater { name: usize, secs: u64 },
    PublishInLane { names: Vec<usize>, secs: u64, lane: u64 },
    Cancel { back: usize },
    Answer { name: usize, manner: usize },
    Change { name: usize, in_flight_max: u16, policy: usize },
    Pace { name: usize, rate: u16 },
    ApplicationPace { rate: u16 },
    ChangeUrl { name: usize, host: usize },
    MoveAway { name: usize },
    Arrive { name: usize },
    Remove { name: usize },
    HoldBack(bool),
    Remember,
    Run { ms: u64 },
}

fn event() -> impl Strategy<Value = Event> {
    let name = 0..NAMES.len();
    prop_oneof![
        8 => (prop::collection::vec(name.clone(), 1..4), 1..6usize)
            .prop_map(|(names, count)| Event::Publish { names, count }),
        1 => (name.clone(), 0..400u64).prop_map(|(name, secs)| Event::PublishLater { name, secs }),
        4 => (prop::collection::vec(name.clone(), 1..3), 0..3u64, 1..4u64)
            .prop_map(|(names, secs, lane)| Event::PublishInLane { names, secs: secs * 90, lane }),
        1 => (0..30usize).prop_map(|back| Event::Cancel { back }),
        4 => (name.clone(), 0..9usize).prop_map(|(name, manner)| Event::Answer { name, manner }),
        1 => (name.clone(), 0..5u16, 0..POLICIES.len())
            .prop_map(|(name, in_flight_max, policy)| Event::Change { name, in_flight_max, policy }),
        1 => (name.clone(), 0..5u16).prop_map(|(name, rate)| Event::Pace { name, rate }),
        1 => (0..5u16).prop_map(|rate| Event::ApplicationPace { rate }),
        1 => (name.clone(), 0..HOSTS.len()).prop_map(|(name, host)| Event::ChangeUrl { name, host }),
        1 => name.clone().prop_map(|name| Event::MoveAway { name }),
        2 => name.clone().prop_map(|name| Event::Arrive { name }),
        1 => name.prop_map(|name| Event::Remove { name }),
        1 => any::<bool>().prop_map(Event::HoldBack),
        1 => Just(Event::Remember),
        8 => prop_oneof![0..50u64, 0..10_000u64, 0..1_000_000u64].prop_map(|ms| Event::Run { ms }),
    ]
}

fn manner(number: usize) -> Manner {
    let always: [Answer; 8] = [
        status(204),
        status(204).after(ms(1_500)),
        status(500),
        hangs(),
        refuses(),
        asks_for(7),
        unsendable(),
        status(410),
    ];
    always.get(number).map_or(Manner::Flaky { percent: 40, seed: 3 }, |answer| (*answer).into())
}

/// The limits of a small world.
#[derive(Debug, Clone)]
struct Limits {
    in_flight_max: u32,
    host_in_flight_max: u32,
    queue_max: u32,
    deliveries_max: usize,
    body_bytes_max: usize,
    url_failures: u32,
    host_failures: u32,
}

fn limits() -> impl Strategy<Value = Limits> {
    (1..10u32, 1..6u32, 1..8u32, 5..60usize, 0..6_000usize, 1..6u32, 1..6u32).prop_map(
        |(in_flight_max, host_in_flight_max, queue_max, deliveries_max, body_bytes_max, url, host)| Limits {
            in_flight_max,
            host_in_flight_max,
            queue_max,
            deliveries_max,
            body_bytes_max,
            url_failures: url,
            host_failures: host,
        },
    )
}

fn world(narrow: &Limits) -> World {
    let mut world = World::with(|limits| {
        limits.in_flight_max = narrow.in_flight_max;
        limits.host_in_flight_max = narrow.host_in_flight_max;
        limits.queue_max = narrow.queue_max;
        limits.deliveries_max = narrow.deliveries_max;
        limits.body_bytes_max = narrow.body_bytes_max;
        limits.url_lockout = after(narrow.url_failures);
        limits.host_lockout = after(narrow.host_failures);
    });
    for (number, name) in NAMES.into_iter().enumerate() {
        world.add_endpoint(HOSTS[number % HOSTS.len()], name, status(204));
        world.retries(name, POLICIES[number % POLICIES.len()]);
    }
    world
}

impl World {
    fn happens(&mut self, event: Event, messages: &mut Vec<crate::core::ids::MessageId>) {
        match event {
            Event::Publish { mut names, count } => {
                names.sort_unstable();
                names.dedup();
                let names: Vec<_> = names.into_iter().map(|name| NAMES[name]).collect();
                (0..count).for_each(|_| messages.push(self.publish(&names)));
            }
            Event::PublishLater { name, secs } => {
                messages.push(self.publish_due(&[NAMES[name]], self.now + super::secs(secs)));
            }
            Event::PublishInLane { mut names, secs, lane } => {
                names.sort_unstable();
                names.dedup();
                let names: Vec<_> = names.into_iter().map(|name| NAMES[name]).collect();
                messages.push(self.publish_in_lane(&names, self.now + super::secs(secs), lane));
            }
            Event::Cancel { back } => {
                if let Some(message) = messages.iter().nth_back(back) {
                    self.cancel(*message);
                }
            }
            Event::Answer { name, manner: number } => {
                self.answers(NAMES[name], manner(number));
            }
            Event::Change { name, in_flight_max, policy } => {
                self.change(NAMES[name], |settings| settings.in_flight_max = in_flight_max.max(1));
                self.retries(NAMES[name], POLICIES[policy]);
            }
            Event::Pace { name, rate } => {
                self.paces(NAMES[name], rate);
            }
            Event::ApplicationPace { rate } => self.pace.set(NonZeroU16::new(rate)),
            Event::ChangeUrl { name, host } => {
                self.change_url(NAMES[name], HOSTS[host]);
            }
            Event::MoveAway { name } => {
                self.move_away(NAMES[name]);
            }
            Event::Arrive { name } => {
                self.arrive(NAMES[name]);
            }
            Event::Remove { name } => {
                self.remove(NAMES[name], DeliveryState::Exhausted);
            }
            Event::HoldBack(is_held_back) => {
                self.is_held_back = is_held_back;
                self.tell(Input::Wake);
            }
            Event::Remember => self.tell(Input::RememberBefore(self.log_end())),
            Event::Run { ms: time } => {
                self.run_for(ms(time));
            }
        }
    }

    /// Everything has ended, and nothing is left behind.
    fn expect_empty(&self) {
        let shard = &self.shard;
        assert_eq!((shard.deliveries(), shard.in_flight(), shard.body_bytes()), (0, 0, 0));
        assert_eq!(shard.in_flight_not_prompt, 0);
        assert!(shard.lanes.is_empty());
        assert!(shard.wheel.is_empty() && shard.line.is_empty() && shard.line_not_prompt.is_empty());
        assert_eq!(shard.endpoints.len(), shard.endpoints_free.len() + shard.endpoint_by_id.len());
        for host in &shard.hosts {
            assert_eq!((host.in_flight, host.probes, host.called), (0, 0, 0));
            assert!(host.waiting_for_room.is_empty() && host.waiting_for_probe.is_empty());
        }
    }
}

fn play(mut world: World, events: Vec<Event>) {
    let mut messages = Vec::new();
    for event in events {
        world.happens(event, &mut messages);
    }
    world.happens(Event::HoldBack(false), &mut messages);
    for name in NAMES {
        world.arrive(name);
    }
    world.run_to_the_end().expect_empty();
}

proptest! {
    #[test]
    fn every_delivery_that_goes_in_comes_out_exactly_once(
        limits in limits(),
        events in prop::collection::vec(event(), 1..80),
    ) {
        let mut world = world(&limits);
        // A shard that is full parks what arrives.
        world.books.may_lose_order = true;
        play(world, events);
    }

    #[test]
    fn nothing_passes_in_its_lane_as_long_as_there_is_room(
        limits in limits(),
        events in prop::collection::vec(event(), 1..80),
    ) {
        play(world(&Limits { deliveries_max: 100_000, ..limits }), events);
    }
}
