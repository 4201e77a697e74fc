//! Erasing: what is gone is gone from the files, and a crash in the middle leaves a log that opens.

use std::io::ErrorKind;

use posthaste_storage::Position;
use posthaste_storage::disk::sim::{Crash, Operation};
use posthaste_storage::log::EraseError;
use posthaste_storage::record::{Attempt, OwnedRecord, Record, RecordKind};

use super::kit::{World, attempt};

const SECRET: &[u8] = b"the secret of the customer";

/// Messages, one of them with a secret, its copy and an attempt whose response repeats it. Returns where those lie.
fn world() -> (World, Vec<Position>) {
    let mut world = World::new();
    world.fill(3);
    let message = world.message(1, SECRET);
    let at = world.messages.last().unwrap().1;
    let attempt_id = world.log().next_id(5_000);
    let record = Attempt {
        response_headers: b"set-cookie: the secret of the customer",
        response_body: SECRET,
        next_attempt_ms: 9,
        ..attempt(attempt_id, message, 1)
    };
    let attempt_at = world.append(&Record::Attempt(record));
    world.commit().unwrap();
    world.fill(12);
    let pending = [posthaste_storage::record::PendingDelivery { endpoint: 3, attempts: 1, due_ms: 7 }];
    let copy = super::kit::message(message, 1, None, SECRET);
    let carried = posthaste_storage::record::Carried { message: copy, pending: pending.as_slice().into() };
    let carried_at = world.append(&Record::Carried(carried));
    world.commit().unwrap();
    (world, vec![at, attempt_at, carried_at])
}

fn is_on_disk(world: &World) -> bool {
    let segments = world.reader().segments();
    segments.iter().any(|segment| {
        let file = world.file(segment.number, "seg");
        file.windows(SECRET.len()).any(|window| window == SECRET)
    })
}

fn read(world: &World, at: Position) -> OwnedRecord {
    world.reader().record_at(at).unwrap().unwrap()
}

fn is_erased(world: &World, at: Position) -> bool {
    match read(world, at).record() {
        Record::Message(message) => message.erased && message.payload.is_empty(),
        Record::Carried(carried) => carried.message.erased && carried.message.payload.is_empty(),
        Record::Attempt(attempt) => {
            attempt.erased && attempt.response_body.is_empty() && attempt.response_headers.is_empty()
        }
        _ => false,
    }
}

#[test]
fn what_is_erased_is_gone_from_the_files_and_all_else_is_as_it_was() {
    let (mut world, places) = world();
    assert!(is_on_disk(&world));
    let others: Vec<_> = world.everything().into_iter().filter(|(at, _)| !places.contains(at)).collect();
    world.log().erase(&places).unwrap();
    for ending in ["no end", "a power cut", "once more"] {
        match ending {
            "a power cut" => drop(world.crash(Crash::LoseUnsynced)),
            "once more" => world.log().erase(&places).unwrap(),
            _ => {}
        }
        assert!(!is_on_disk(&world), "{ending}");
        assert!(places.iter().all(|at| is_erased(&world, *at)), "{ending}");
        let everything = world.everything();
        let left: Vec<_> = everything.into_iter().filter(|(at, _)| !places.contains(at)).collect();
        assert_eq!(left, others, "{ending}");
    }
    let owned = read(&world, places[1]);
    let Record::Attempt(attempt) = owned.record() else { panic!("it is an attempt") };
    assert_eq!((attempt.status, attempt.next_attempt_ms), (200, 9));
}

#[test]
fn whenever_the_disk_fails_or_the_power_is_cut_the_log_opens_and_content_is_whole_or_gone() {
    for operation in [Operation::Write, Operation::Sync] {
        for nth in 1..12 {
            for crash in [Crash::LoseUnsynced, Crash::KeepUnsynced] {
                let (mut world, places) = world();
                world.disk.fail(operation, nth, ErrorKind::Other);
                let erased = world.log().erase(&places);
                if matches!(erased, Err(EraseError::Poisoned { .. })) {
                    assert!(world.log().poisoned().is_some());
                }
                world.crash(crash);
                let gone = places.iter().filter(|at| is_erased(&world, **at)).count();
                assert!(gone == 0 || gone == places.len(), "{operation:?} {nth} {crash:?}: {gone}");
                assert_eq!(is_on_disk(&world), gone == 0);
                if erased.is_ok() {
                    assert_eq!(gone, places.len());
                }
                if matches!(erased, Err(EraseError::Io { .. })) {
                    assert_eq!(gone, 0, "what was refused is not done later");
                }
                world.fill(3);
                world.everything();
            }
        }
    }
}

/// Erases with so many operations until the power goes off. Whether it had time to end.
fn erase_until_the_power_goes(world: &mut World, places: &[Position], operations: u64) -> bool {
    world.disk.cut_power_after(operations);
    let erased = world.log().erase(places);
    assert!(!matches!(erased, Err(EraseError::Unsupported { .. })), "{erased:?}");
    erased.is_ok()
}

/// The power goes off before the n-th operation of an erasing, for every n, and once more in the recovery from that,
/// for every n too; some sectors of what was not synced are lost each time.
#[test]
fn a_power_cut_between_any_two_operations_of_an_erasing_leaves_content_whole_or_gone() {
    let (mut cuts, mut ended) = (0, false);
    for operations in 0.. {
        for seed in 0..4 {
            let crash = if seed == 0 { Crash::LoseUnsynced } else { Crash::KeepSome(seed) };
            for in_recovery in (0..48).step_by(if seed == 0 { 2 } else { 9 }) {
                let (mut world, places) = world();
                let others: Vec<_> =
                    world.everything().into_iter().filter(|(at, _)| !places.contains(at)).collect();
                ended = erase_until_the_power_goes(&mut world, &places, operations);
                world.disk.crash(crash);
                world.disk.cut_power_after(in_recovery);
                // Whether it opens or not: the power goes off.
                drop(super::kit::open(&world.disk, &world.options));
                world.crash(crash);
                let what = format!("cut after {operations}, {in_recovery} into the recovery, {crash:?}");
                let gone = places.iter().filter(|at| is_erased(&world, **at)).count();
                assert!(gone == 0 || gone == places.len(), "{what}: {gone} of {} are gone", places.len());
                assert_eq!(is_on_disk(&world), gone == 0, "{what}");
                assert!(!ended || gone > 0, "{what}: it was said to be erased");
                let everything = world.everything().into_iter();
                let left: Vec<_> = everything.filter(|(at, _)| !places.contains(at)).collect();
                assert_eq!(left, others, "{what}");
                world.fill(2);
                cuts += 1;
            }
        }
        if ended {
            break;
        }
    }
    assert!(cuts > 500, "{cuts} cuts were tried");
}

#[test]
fn what_has_no_content_is_refused_and_what_is_gone_is_left_out() {
    let (mut world, places) = world();
    world.parked(world.messages[0].0, 1);
    let parked_at = world.commit().unwrap();
    let reader = world.reader();
    let mut at = None;
    reader
        .scan_back(parked_at, |position, record| {
            at = (record.kind() == RecordKind::Parked).then_some(position);
            std::ops::ControlFlow::Break(())
        })
        .unwrap();
    let refused = world.log().erase(&[places[0], at.unwrap()]);
    assert!(matches!(refused, Err(EraseError::Unsupported { .. })));
    assert!(is_on_disk(&world) && !is_erased(&world, places[0]));
    let first = world.reader().segments()[0].number;
    world.unlink(first);
    world.log().erase(&[Position { segment: first, offset: 96 }]).unwrap();
}
