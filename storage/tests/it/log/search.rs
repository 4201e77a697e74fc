//! Searching: what the marks of blocks let a search skip is never what it looks for.

use std::ops::ControlFlow;

use posthaste_storage::Position;
use posthaste_storage::disk::sim::Crash;
use posthaste_storage::log::{Search, Traits};
use posthaste_storage::record::{Attempt, Endpoints, Record, RecordKind, Settled};

use super::kit::{Told, World, attempt, describe, message, tell};

/// Messages to varying endpoints, with attempts that ended in all ways.
fn busy() -> World {
    let mut world = World::new();
    for number in 0..80u64 {
        let (application, endpoint) = (number % 3, number % 23);
        world.now_ms += 1;
        let now_ms = world.now_ms;
        let id = world.log().next_id(now_ms);
        let endpoints = [endpoint, endpoint + 100];
        let payload = vec![7; (number * 13 % 200) as usize];
        let endpoints = Endpoints::from(&endpoints[..]);
        let made =
            posthaste_storage::record::Message { endpoints, ..message(id, application, None, &payload) };
        world.append(&Record::Message(made));
        for (try_number, status) in [0, 503, 200].into_iter().enumerate() {
            let attempt_id = world.log().next_id(now_ms);
            let state = match (try_number, number % 7) {
                (2, 0) => 3,
                (2, _) => 2,
                _ => 1,
            };
            let record = Attempt { endpoint, status, state, ..attempt(attempt_id, id, application) };
            world.append(&Record::Attempt(record));
        }
        if number % 31 == 30 {
            world.append(&Record::Settled(Settled {
                message: id,
                application,
                endpoint: 0,
                state: 4,
                at_ms: 1,
            }));
        }
        if number % 2 == 0 {
            world.commit().unwrap();
        }
    }
    world.commit().unwrap();
    world
}

fn both(mut world: World, check: impl Fn(&World)) {
    check(&world);
    world.crash(Crash::LoseUnsynced);
    check(&world);
}

fn scan(world: &World, wanted: impl Fn(&Record<'_>) -> bool) -> Vec<Told> {
    let (reader, mut told) = (world.reader(), Vec::new());
    reader
        .scan_back(reader.end(), |at, record| {
            if wanted(&record) { tell(&mut told, at, &record) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    told
}

/// Searches a few bytes at a time.
fn search(world: &World, search: &Search, bytes: u64) -> (Vec<Told>, usize) {
    let (reader, mut told, mut rounds) = (world.reader(), Vec::new(), 0);
    let mut from = reader.end();
    loop {
        let range = (Position::START, from);
        let found =
            reader.search_back(search, range, bytes, |at, record| tell(&mut told, at, &record)).unwrap();
        rounds += 1;
        if found.whole {
            return (told, rounds);
        }
        assert!(found.to < from, "a search that goes on comes nearer to its end");
        from = found.to;
    }
}

/// The same from old to new.
fn search_forward(world: &World, search: &Search, bytes: u64) -> Vec<Told> {
    let (reader, mut told) = (world.reader(), Vec::new());
    let mut from = Position::START;
    loop {
        let range = (from, reader.end());
        let found = reader.search(search, range, bytes, |at, record| tell(&mut told, at, &record)).unwrap();
        if found.whole {
            told.reverse();
            return told;
        }
        assert!(found.to > from, "a search that goes on comes nearer to its end");
        from = found.to;
    }
}

fn is_of(record: &Record<'_>, endpoint: u64) -> bool {
    match record {
        Record::Message(message) => message.endpoints.iter().any(|one| one == endpoint),
        Record::Attempt(attempt) => attempt.endpoint == endpoint,
        Record::Settled(settled) => settled.endpoint == 0,
        _ => false,
    }
}

#[test]
fn a_search_finds_what_a_scan_of_everything_finds_whatever_it_may_read_at_a_time() {
    both(busy(), |world| {
        for application in 0..4 {
            for endpoint in [0, 5, 22, 105, 999] {
                let expected = scan(world, |record| {
                    record.application() == Some(application) && is_of(record, endpoint)
                });
                let asked = Search { application, endpoint: Some(endpoint), traits: [Traits::ANY; 2] };
                for bytes in [1, 700, u64::MAX] {
                    assert_eq!(search(world, &asked, bytes).0, expected, "{asked:?}");
                    assert_eq!(search_forward(world, &asked, bytes), expected, "{asked:?}");
                }
            }
        }
    });
}

#[test]
fn a_search_for_a_state_and_a_class_finds_exactly_those_attempts() {
    both(busy(), |world| {
        for (state, class) in [(3, 2), (2, 2), (1, 5), (1, 0), (3, 5)] {
            let expected = scan(world, |record| {
                record.application() == Some(1)
                    && matches!(record, Record::Attempt(one) if one.state == state && one.status / 100 == class)
            });
            let traits = [Traits::state(state), Traits::status_class(class)];
            let asked = Search { application: 1, endpoint: None, traits };
            assert_eq!(search(world, &asked, 1).0, expected);
            assert_eq!(expected.is_empty(), (state, class) == (3, 5));
        }
    });
}

#[test]
fn what_is_rare_is_found_without_reading_what_is_not_it() {
    let world = busy();
    let kind = |kind| Search { application: 0, endpoint: None, traits: [Traits::kind(kind), Traits::ANY] };
    let (settled, rounds) = search(&world, &kind(RecordKind::Settled), 1);
    let (_, all) = search(&world, &kind(RecordKind::Message), 1);
    assert!(!settled.is_empty());
    assert!(rounds <= settled.len() + 2 && rounds < all, "{rounds} of {all} blocks for {}", settled.len());
}

#[test]
fn a_search_stays_within_its_range_and_stops_where_it_is_told() {
    let world = busy();
    let reader = world.reader();
    let all = scan(&world, |record| record.application() == Some(2));
    let (newest, oldest) = (all[10].0, all[20].0);
    let asked = Search { application: 2, endpoint: None, traits: [Traits::ANY; 2] };
    let mut told = Vec::new();
    let found = reader
        .search_back(&asked, (oldest, newest), u64::MAX, |at, record| tell(&mut told, at, &record))
        .unwrap();
    assert_eq!((told.as_slice(), found.whole), (&all[11..=20], true));
    let found =
        reader.search_back(&asked, (oldest, newest), u64::MAX, |_, _| ControlFlow::Break(())).unwrap();
    assert_eq!((found.to, found.whole), (all[11].0, false));
}

#[test]
fn all_records_about_a_message_are_found_up_to_a_place() {
    both(busy(), |world| {
        let reader = world.reader();
        let mut messages = Vec::new();
        reader
            .replay(Position::START, reader.end(), |_, record| {
                messages.extend(record.message().map(|message| message.id));
                ControlFlow::Continue(())
            })
            .unwrap();
        for id in messages {
            let mut expected = scan(world, |record| record.about() == Some(id));
            expected.reverse();
            for before in [reader.end(), expected[1].0] {
                let mut told = Vec::new();
                reader
                    .records_about(id, before, |at, record| {
                        told.push((at, describe(&record)));
                        ControlFlow::Continue(())
                    })
                    .unwrap();
                assert_eq!(told, expected.iter().filter(|(at, _)| *at < before).cloned().collect::<Vec<_>>());
            }
        }
    });
}
