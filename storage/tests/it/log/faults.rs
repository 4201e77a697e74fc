//! Disks that refuse: nothing is acknowledged that is not durable, and a full disk is not the end.

use std::io::ErrorKind;

use posthaste_storage::disk::sim::{Crash, Operation};
use posthaste_storage::log::{
    AppendError, BATCH_BYTES_MAX, CommitError, LogError, LogOptions, RECORD_BYTES_MAX,
};
use posthaste_storage::record::{Change, Record};

use super::kit::{World, open};

#[test]
fn a_write_or_sync_that_fails_is_never_acknowledged_and_stops_the_log() {
    for operation in [Operation::Write, Operation::Sync] {
        for nth in 1..30 {
            let mut world = World::new();
            world.disk.fail(operation, nth, ErrorKind::Other);
            let mut acknowledged = 0;
            let failed = loop {
                let message = world.message(1, &[7; 400]);
                world.attempt(message, 1);
                match world.commit() {
                    Ok(_) => acknowledged += 1,
                    Err(error) => break error,
                }
                if acknowledged == 30 {
                    break CommitError::Poisoned { why: "only an index file was hit".into() };
                }
            };
            assert!(matches!(failed, CommitError::Poisoned { .. }), "{failed}");
            if world.log().poisoned().is_some() {
                let refused = world.log().append(&Record::Change(Change { key: b"k", value: None }));
                assert!(matches!(refused, Err(AppendError::Poisoned { .. })));
                assert!(matches!(world.log().commit(), Err(CommitError::Poisoned { .. })));
            }
            assert_eq!(world.everything(), world.durable, "a reader sees what was not acknowledged");
            world.crash(Crash::KeepSome(nth));
            world.check();
            assert!(world.durable.len() >= acknowledged * 2);
            world.fill(3);
            world.check();
        }
    }
}

#[test]
fn a_full_disk_refuses_batches_and_takes_them_when_there_is_room_again() {
    for room in (0..1_500).step_by(7) {
        let mut world = World::new();
        world.fill(3);
        let used = world.file(1, "seg").len() as u64;
        world.disk.set_capacity(Some(used + room));
        let message = loop {
            let message = world.message(1, &[1; 300]);
            world.attempt(message, 1);
            match world.commit() {
                Ok(_) => {}
                Err(CommitError::Full { bytes }) => {
                    assert!(bytes > 300);
                    break message;
                }
                Err(other) => panic!("with room for {room} bytes: {other}"),
            }
        };
        world.check();
        assert!(matches!(world.commit(), Err(CommitError::Full { .. })), "still full");
        world.attempt(message, 1);
        world.disk.set_capacity(None);
        world.commit().unwrap();
        world.check();
        world.crash(Crash::LoseUnsynced);
        world.check();
    }
}

#[test]
fn a_batch_that_found_no_room_can_be_given_up() {
    let mut world = World::new();
    world.fill(12);
    world.disk.set_capacity(Some(0));
    world.message(1, b"no room");
    world.commit().unwrap_err();
    world.discard();
    assert_eq!(world.log().pending_bytes(), 0);
    world.commit().unwrap();
    world.disk.set_capacity(None);
    world.fill(12);
    world.check();
    world.crash(Crash::KeepSome(3));
    world.check();
}

/// `EMFILE` on Linux.
const OUT_OF_FILES: i32 = 24;

#[test]
fn without_a_descriptor_for_a_new_segment_the_old_one_goes_on_and_a_new_one_is_tried_again() {
    let mut world = World::new();
    world.fill(3);
    let before = world.reader().segments().len();
    let mut refused = 0;
    for number in 0..40 {
        world.disk.fail_with_code(Operation::Open, 1, OUT_OF_FILES);
        world.message(number, &[1; 100]);
        match world.commit() {
            Ok(_) => {}
            Err(CommitError::OutOfFiles { .. }) => {
                refused += 1;
                world.discard();
            }
            Err(other) => panic!("{other}"),
        }
        world.disk.heal();
        world.check();
    }
    // A segment of 1 KiB goes on for a quarter of that at a time: two such messages and no more.
    assert!((5..20).contains(&refused), "{refused} of 40 batches were refused");
    assert_eq!(world.reader().segments().len(), before, "there was no descriptor for another");
    world.fill(4);
    assert!(world.reader().segments().len() > before);
    world.crash(Crash::LoseUnsynced);
    world.check();
}

#[test]
fn a_write_that_cannot_be_taken_back_stops_the_log() {
    let mut world = World::new();
    world.fill(1);
    world.disk.fail(Operation::Write, 1, ErrorKind::StorageFull);
    world.disk.fail(Operation::Truncate, 1, ErrorKind::Other);
    world.message(1, b"half written");
    assert!(matches!(world.commit(), Err(CommitError::Poisoned { .. })));
    world.crash(Crash::KeepUnsynced);
    world.check();
}

#[test]
fn an_index_file_that_cannot_be_written_costs_memory_and_nothing_else() {
    let mut world = World::new();
    world.fill(4);
    let closed_after = world.reader().segments().len();
    let mut commits = 0;
    while world.reader().segments().len() == closed_after {
        // The commit that begins a segment writes its header (1), the index file (2) and the batch (3).
        world.disk.heal();
        world.disk.fail(Operation::Write, 2, ErrorKind::Other);
        world.fill(1);
        commits += 1;
        assert!(commits < 20);
    }
    world.disk.heal();
    world.check();
    let recovery = world.crash(Crash::LoseUnsynced);
    assert_eq!(recovery.indexes_rebuilt, [closed_after as u32]);
    world.check();
}

#[test]
fn a_read_that_fails_is_an_error_and_not_an_answer() {
    let mut world = World::new();
    world.fill(1);
    world.disk.fail(Operation::Read, 1, ErrorKind::Other);
    let at = world.durable[0].0;
    assert!(world.reader().record_at(at).is_err());
    assert!(world.reader().record_at(at).unwrap().is_some());
}

#[test]
fn a_record_over_the_limit_is_refused_with_both_numbers() {
    let mut world = World::with(LogOptions { seal_in_background: false, ..LogOptions::new(1 << 20) });
    let max = RECORD_BYTES_MAX as usize;
    // Flags, key length and value length take 1 + 1 + 4 bytes.
    let value = vec![1; max - 6];
    world.log().append(&Record::Change(Change { key: b"", value: Some(&value) })).unwrap();
    let refused = world.log().append(&Record::Change(Change { key: b"", value: Some(&value) })).unwrap_err();
    assert!(
        matches!(refused, AppendError::BatchFull { max, .. } if max == BATCH_BYTES_MAX.into()),
        "{refused}"
    );
    let at = world.log().commit().unwrap();
    let over = world.log().append(&Record::Change(Change { key: b"k", value: Some(&value) })).unwrap_err();
    assert_eq!(
        over.to_string(),
        format!("the Change record is at least {} bytes; the limit is {max}", max + 1)
    );
    assert_eq!(world.log().pending_bytes(), 0);
    world.fill(1);
    assert!(world.reader().end() > at);
    world.reopen(|_| {}).unwrap();
    let mut values = 0;
    let reader = world.reader();
    let end = reader.end();
    reader
        .scan_back(end, |_, record| {
            values += usize::from(matches!(record, Record::Change(change) if change.value == Some(&value)));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(values, 1);
}

#[test]
fn segment_sizes_out_of_range_are_refused_by_name() {
    let world = World::new();
    let refused = open(&world.disk, &LogOptions::new(1)).err().unwrap();
    assert!(matches!(refused, LogError::Option { field: "segment_bytes", value: 1, .. }), "{refused}");
}
