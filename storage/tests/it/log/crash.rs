//! Power cuts: what was acknowledged is there, what was not is gone or whole.

use posthaste_storage::disk::Disk as _;
use posthaste_storage::disk::sim::{Crash, Operation};
use posthaste_storage::log::CommitError;

use super::kit::{World, everything, open};

#[test]
fn an_empty_log_opens_and_holds_nothing() {
    let mut world = World::new();
    world.check();
    world.crash(Crash::LoseUnsynced);
    world.check();
}

#[test]
fn what_was_committed_survives_a_power_cut() {
    let mut world = World::new();
    world.fill(40);
    assert!(world.reader().segments().len() > 5);
    let recovery = world.crash(Crash::LoseUnsynced);
    world.check();
    assert_eq!((recovery.torn_bytes, recovery.end), (0, world.reader().end()));
}

#[test]
fn what_was_only_appended_is_neither_read_nor_kept() {
    let mut world = World::new();
    world.fill(2);
    world.message(1, b"pending");
    assert!(world.log().pending_bytes() > 0);
    world.check();
    world.crash(Crash::KeepUnsynced);
    world.check();
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_the_log_goes_on() {
    let mut world = World::new();
    world.fill(3);
    let before = world.file(1, "seg");
    let kept = world.durable.clone();
    world.fill(1);
    let whole = world.file(1, "seg");
    for bytes in before.len()..whole.len() {
        for zeros in [0, 64] {
            let mut torn = whole[..bytes].to_vec();
            torn.resize(bytes + zeros, 0);
            if torn.starts_with(&whole) {
                continue; // Only padding was missing, and zeros are what it is made of.
            }
            world.durable.clone_from(&kept);
            let path = world.path(1, "seg");
            let recovery = world.reopen(|disk| disk.put(&path, torn)).unwrap();
            assert_eq!(recovery.torn_bytes as usize, bytes + zeros - before.len());
            world.check();
            world.fill(2);
            world.crash(Crash::LoseUnsynced);
            world.check();
        }
    }
}

#[test]
fn a_segment_whose_beginning_was_interrupted_is_removed() {
    for bytes in [0, 1, 63, 64] {
        let mut world = World::new();
        world.fill(10);
        let number = world.reader().segments().len() as u32 + 1;
        let path = world.path(number, "seg");
        let recovery = world.reopen(|disk| disk.put(&path, vec![0; bytes])).unwrap();
        assert_eq!(recovery.torn_segment, Some(number));
        world.check();
        world.fill(10);
        world.crash(Crash::LoseUnsynced);
        world.check();
    }
}

/// The power goes off before the n-th operation, for every n, and some sectors of what was not synced are lost.
#[test]
fn a_power_cut_between_any_two_operations_loses_nothing_acknowledged() {
    for operations in 0..120 {
        for seed in 0..6 {
            let mut world = World::new();
            world.fill(4);
            world.disk.cut_power_after(operations);
            let mut committed = 0;
            for number in 0..20 {
                let message = world.message(number, &[number as u8; 700]);
                world.attempt(message, number);
                if world.commit().is_err() {
                    break;
                }
                committed += 1;
            }
            world.crash(if seed == 0 { Crash::LoseUnsynced } else { Crash::KeepSome(seed) });
            world.check();
            world.fill(2);
            world.crash(Crash::LoseUnsynced);
            world.check();
            assert!(operations > 0 || committed == 0, "committed without power");
        }
    }
}

#[test]
fn a_power_cut_during_recovery_loses_nothing_either() {
    for operations in 0..40 {
        let mut world = World::new();
        world.fill(12);
        world.disk.cut_power_after(1);
        world.message(1, &[1; 900]);
        assert!(world.commit().is_err());
        world.disk.crash(Crash::KeepSome(operations));
        world.disk.cut_power_after(operations);
        _ = open(&world.disk, &world.options);
        world.crash(Crash::KeepSome(operations + 1));
        world.check();
    }
}

#[test]
fn a_batch_found_after_a_failed_sync_is_made_durable_before_anything_builds_on_it() {
    let mut world = World::new();
    world.fill(2);
    world.message(1, b"in the page cache only");
    world.disk.fail(Operation::Sync, 1, std::io::ErrorKind::Other);
    assert!(matches!(world.commit(), Err(CommitError::Poisoned { .. })));
    world.reopen(|_| {}).unwrap();
    world.check();
    assert!(world.durable.last().unwrap().1.contains("message"), "the batch was found whole");
    world.fill(1);
    world.crash(Crash::LoseUnsynced);
    world.check();
}

#[test]
fn ids_go_on_after_the_largest_in_the_log() {
    let mut world = World::new();
    world.fill(5);
    let last = world.log().next_id(0);
    let recovery = world.crash(Crash::LoseUnsynced);
    assert!(recovery.last_id < last);
    assert!(world.log().next_id(0) > recovery.last_id);
    assert!(recovery.last_id.ms() > 1_000);
}

/// Found by the simulator: a message got the id of another.
#[test]
fn ids_go_on_although_the_segments_that_had_them_are_gone_and_the_clock_went_back() {
    let mut world = World::new();
    world.fill(5);
    let last = world.message(1, b"the last that has an id");
    world.commit().unwrap();
    let had_ids = world.reader().segments().last().unwrap().number;
    while world.reader().segments().last().unwrap().number == had_ids {
        world.change(b"key", Some(&[b'x'; 100]));
        world.commit().unwrap();
    }
    for segment in 1..=had_ids {
        world.unlink(segment);
    }
    world.crash(Crash::LoseUnsynced);
    assert!(world.log().next_id(0) > last);
}

#[test]
fn an_unlinked_segment_stays_gone_and_readers_are_told() {
    let mut world = World::new();
    world.fill(20);
    let lost = world.durable[0].0;
    let reader = world.reader();
    world.log().unlink(2).unwrap_err();
    world.unlink(1);
    assert_eq!(reader.record_at(lost).unwrap(), None);
    world.check();
    world.crash(Crash::LoseUnsynced);
    world.check();
    let active = world.reader().segments().last().unwrap().number;
    for segment in 2..active {
        world.unlink(segment);
    }
    world.log().unlink(active).unwrap_err();
    world.check();
    let names = world.disk.list(std::path::Path::new(super::kit::FOLDER)).unwrap();
    assert_eq!(names, [format!("{active:010}.seg")]);
}

#[test]
fn a_reader_outlives_its_log() {
    let mut world = World::new();
    world.fill(3);
    let reader = world.reader();
    let told = world.durable.clone();
    drop(world);
    assert_eq!(everything(&reader), told);
}
