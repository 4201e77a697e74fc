//! Routes: what it costs to find the one endpoint that wants a message, among ten and among a million.
//!
//! Every endpoint wants something of its own, so that each message goes to one of them, and messages differ, so
//! that what is looked up is not always in the cache. The floor is one lookup of the standard library's hash map
//! with the same keys; an answer of ours is a list in memory of its own.

use std::collections::{BTreeSet, HashMap};
use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use posthaste::core::ids::EndpointId;
use posthaste::filter::FilterCounts;
use posthaste::payload::Payload;
use posthaste::routing::{AppRoutes, Interest};
use posthaste_bench::scattered;

/// Messages that take turns: too many for what they ask for to stay in the cache.
const MESSAGES: u64 = 1 << 20;

/// How an endpoint says what it wants.
#[derive(Clone, Copy)]
enum Wish {
    Exact,
    Prefix,
    Channel,
}

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("routes");
    for (endpoints, count) in [(10, "10"), (10_000, "10,000"), (1_000_000, "1,000,000")] {
        route(&mut group, Wish::Exact, &format!("exact event type, {count}"), endpoints);
        route(&mut group, Wish::Prefix, &format!("prefix, {count}"), endpoints);
        route(&mut group, Wish::Channel, &format!("channel, {count}"), endpoints);
        look_up(&mut group, &format!("floor: hash map, {count}"), endpoints);
    }
    group.finish();
}

fn route(group: &mut BenchmarkGroup<'_, WallTime>, wish: Wish, name: &str, endpoints: u64) {
    let mut routes = None;
    let mut turn = 0;
    group.bench_function(name, |bencher| {
        let (routes, asked) = routes.get_or_insert_with(|| (filled(wish, endpoints), asked(endpoints)));
        let (payload, counts) = (Payload::new(b"{}", true), FilterCounts::default());
        bencher.iter(|| {
            let name = next(asked, &mut turn);
            let found = match wish {
                Wish::Channel => routes.route("invoice.paid", &[name], &payload, &counts),
                Wish::Exact | Wish::Prefix => routes.route(name, &[] as &[&str], &payload, &counts),
            };
            assert_eq!(black_box(found).endpoints.len(), 1);
        });
    });
}

fn look_up(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, endpoints: u64) {
    let mut map = None;
    let mut turn = 0;
    group.bench_function(name, |bencher| {
        let (map, asked) = map.get_or_insert_with(|| {
            let map: HashMap<String, EndpointId> =
                (0..endpoints).map(|number| (event_type(number), EndpointId::from_u64(number))).collect();
            (map, asked(endpoints))
        });
        bencher.iter(|| assert!(black_box(map.get(next(asked, &mut turn))).is_some()));
    });
}

/// The event type or channel of the next message. Goes on from sample to sample, or short ones would ask for few.
fn next<'a>(asked: &'a [String], turn: &mut usize) -> &'a str {
    *turn = (*turn + 1) % asked.len();
    &asked[*turn]
}

fn filled(wish: Wish, endpoints: u64) -> AppRoutes {
    let mut routes = AppRoutes::default();
    for number in 0..endpoints {
        let name = match wish {
            Wish::Exact | Wish::Channel => event_type(number),
            Wish::Prefix => format!("shop{number}.*"),
        };
        let names = BTreeSet::from([name]);
        let interest = match wish {
            Wish::Exact | Wish::Prefix => {
                Interest { event_types: Some(&names), channels: None, chain: None, filter: None }
            }
            Wish::Channel => {
                Interest { event_types: None, channels: Some(&names), chain: None, filter: None }
            }
        };
        routes.insert(EndpointId::from_u64(number), interest);
    }
    routes
}

fn asked(endpoints: u64) -> Vec<String> {
    (0..MESSAGES).map(|number| event_type(scattered(number, endpoints))).collect()
}

fn event_type(number: u64) -> String {
    format!("shop{number}.invoice")
}
