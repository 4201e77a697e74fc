//! Finding: whatever the index says is what a scan of everything would have found.

use std::ops::ControlFlow;

use posthaste_storage::disk::sim::Crash;
use posthaste_storage::record::{Record, RecordKind, event_hash};
use posthaste_storage::{EntryId, Position};

use super::kit::{Told, World, tell};

fn busy() -> World {
    let mut world = World::new();
    for number in 0..60u64 {
        let message = world.message(number % 9, &vec![number as u8; (number * 13 % 200) as usize]);
        for earlier in [message, world.messages[(number / 2) as usize].0] {
            world.attempt(earlier, number % 9);
        }
        if number % 4 == 0 {
            world.parked(message, number % 9);
            world.settled(world.messages[(number / 3) as usize].0, number % 9);
        }
        if number % 3 == 0 {
            world.commit().unwrap();
        }
        if number % 10 == 9 {
            world.change(b"a change in a batch of its own", None);
            world.commit().unwrap();
        }
    }
    world.commit().unwrap();
    world
}

/// The world as it is, and after it was opened again.
fn both(mut world: World, check: impl Fn(&World)) {
    check(&world);
    world.crash(Crash::LoseUnsynced);
    check(&world);
}

fn scan(world: &World, mut wanted: impl FnMut(&Record<'_>) -> bool) -> Vec<Told> {
    let reader = world.reader();
    let mut told = Vec::new();
    reader
        .replay(Position::START, reader.end(), |at, record| {
            if wanted(&record) { tell(&mut told, at, &record) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    told
}

#[test]
fn the_records_of_an_application_are_found_forward_and_backward() {
    both(busy(), |world| {
        let reader = world.reader();
        for application in 0..12 {
            let expected = scan(world, |record| record.application() == Some(application));
            assert_eq!(expected.is_empty(), application >= 9);
            let mut forward = Vec::new();
            let (from, end) = (Position::START, reader.end());
            reader
                .replay_application(application, from, end, |at, record| tell(&mut forward, at, &record))
                .unwrap();
            assert_eq!(forward, expected);
            let mut backward = Vec::new();
            reader
                .scan_back_application(application, end, |at, record| tell(&mut backward, at, &record))
                .unwrap();
            backward.reverse();
            assert_eq!(backward, expected);
        }
    });
}

#[test]
fn a_scan_can_stop_and_go_on_at_any_record() {
    both(busy(), |world| {
        let reader = world.reader();
        let everything = world.everything();
        for (place, (at, _)) in everything.iter().enumerate() {
            let mut rest = Vec::new();
            reader.replay(*at, reader.end(), |at, record| tell(&mut rest, at, &record)).unwrap();
            assert_eq!(rest, everything[place..]);
            let mut before = Vec::new();
            reader.scan_back(*at, |at, record| tell(&mut before, at, &record)).unwrap();
            before.reverse();
            assert_eq!(before, everything[..place]);
            let mut one = Vec::new();
            let stopped = reader
                .replay(*at, reader.end(), |at, record| {
                    _ = tell(&mut one, at, &record);
                    ControlFlow::Break(())
                })
                .unwrap();
            let mut after = Vec::new();
            reader.replay(stopped.to, reader.end(), |at, record| tell(&mut after, at, &record)).unwrap();
            assert_eq!(
                (one.as_slice(), after.as_slice()),
                (&everything[place..=place], &everything[place + 1..])
            );
            let mut until = Vec::new();
            reader.replay(Position::START, *at, |at, record| tell(&mut until, at, &record)).unwrap();
            assert_eq!(until, everything[..place]);
        }
    });
}

#[test]
fn an_id_is_found_by_halving_as_by_scanning() {
    both(busy(), |world| {
        let reader = world.reader();
        let mut ids = Vec::new();
        reader
            .replay(Position::START, reader.end(), |at, record| {
                ids.extend(record.own_id().map(|id| (id, at)));
                ControlFlow::Continue(())
            })
            .unwrap();
        for (id, at) in &ids {
            assert_eq!(reader.seek(*id).unwrap(), *at);
            let next = ids.iter().find(|(other, _)| *other > *id).map_or(reader.end(), |(_, at)| *at);
            assert_eq!(reader.seek(id.next()).unwrap(), next);
        }
        assert_eq!(reader.seek(EntryId::MIN).unwrap(), ids[0].1);
        assert_eq!(reader.seek(EntryId::MAX).unwrap(), reader.end());
    });
}

#[test]
fn a_message_and_all_about_it_are_found_by_its_id() {
    both(busy(), |world| {
        let reader = world.reader();
        for (id, at) in &world.messages {
            let (found_at, found) = reader.message(*id).unwrap().unwrap();
            assert_eq!(found_at, *at);
            assert!(matches!(found.record(), Record::Message(message) if message.id == *id));
            let mut about = Vec::new();
            reader.attempts_of(*id, |at, record| tell(&mut about, at, &record)).unwrap();
            assert_eq!(about, scan(world, |record| record.about() == Some(*id)));
        }
        assert_eq!(reader.message(EntryId::new(5, 5)).unwrap(), None);
        let attempt = world.messages[3].0.next();
        assert_eq!(reader.message(attempt).unwrap(), None, "an attempt is not a message");
    });
}

#[test]
fn a_carried_message_is_found_once_its_segment_is_gone() {
    let mut world = busy();
    let (id, at) = world.messages[0];
    world.carried(id, 0);
    world.settled(id, 0);
    world.commit().unwrap();
    let found_at = |world: &World| world.reader().message(id).unwrap().unwrap().0;
    assert_eq!(found_at(&world), at);
    let last = world.reader().segments().last().unwrap().number;
    for segment in 1..last {
        world.unlink(segment);
    }
    both(world, |world| {
        let copy_at = found_at(world);
        let record = world.reader().record_at(copy_at).unwrap().unwrap();
        let Record::Carried(carried) = record.record() else { panic!("{record:?}") };
        assert_eq!((carried.message.id, carried.pending.len()), (id, 1));
        let mut about = Vec::new();
        world.reader().attempts_of(id, |at, record| tell(&mut about, at, &record)).unwrap();
        assert_eq!(about.len(), 1);
    });
}

#[test]
fn event_ids_are_reloaded_newest_segment_first() {
    both(busy(), |world| {
        let reader = world.reader();
        let since = world.messages[20].0;
        let mut events = Vec::new();
        reader
            .events_since(since, |event| {
                events.push(event);
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(events.len(), world.messages.len() - 20);
        assert!(events.iter().all(|event| event.message >= since));
        assert!(events[0].message > events.last().unwrap().message);
        let (_, record) = reader.message(events[0].message).unwrap().unwrap();
        let Record::Message(message) = record.record() else { panic!("{record:?}") };
        assert_eq!(events[0].hash, event_hash(message.application, message.event_id.unwrap()));
        assert_eq!(events[0].digest, message.digest);
    });
}

#[test]
fn summaries_count_what_is_there() {
    both(busy(), |world| {
        let mut total = 0;
        for summary in world.reader().segments() {
            let of_segment = |kind| {
                let mut records = Vec::new();
                let (from, to) = (summary.number, summary.number + 1);
                let reader = world.reader();
                reader
                    .replay(
                        Position { segment: from, offset: 0 },
                        Position { segment: to, offset: 0 },
                        |_, record| {
                            records.extend((record.kind() == kind).then(|| record.own_id()));
                            ControlFlow::Continue(())
                        },
                    )
                    .unwrap();
                records
            };
            for kind in RecordKind::ALL {
                assert_eq!(summary.count(kind) as usize, of_segment(kind).len());
            }
            let messages: u32 = summary.messages.iter().map(|(_, count)| count).sum();
            assert_eq!(messages, summary.count(RecordKind::Message));
            assert_eq!(summary.bytes as usize, world.file(summary.number, "seg").len());
            assert!(summary.first_id <= summary.last_id && summary.created_ms > 0 || summary.number == 1);
            total += summary.records.iter().sum::<u32>();
        }
        assert_eq!(total as usize, world.durable.len());
    });
}
