//! Bytes that change by themselves: detected or harmless, never a wrong record.

use std::ops::ControlFlow;

use posthaste_storage::Position;
use posthaste_storage::disk::Disk as _;
use posthaste_storage::log::{LogError, LogOptions, ReadError};

use super::kit::{Told, World, everything, open, tell};

/// A log of three closed segments and one being written, with every kind of record.
fn small() -> World {
    let mut world = World::new();
    while world.reader().segments().len() < 4 {
        let message = world.message(1, b"a payload of some length");
        world.attempt(message, 1);
        world.parked(message, 1);
        world.commit().unwrap();
        world.settled(message, 1);
        world.change(b"key", Some(b"value"));
        world.carried(message, 2);
        world.commit().unwrap();
    }
    world
}

/// Whether `part` is what is left of `whole` when something is lost, and nothing is made up.
fn is_left_of(part: &[Told], whole: &[Told]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|told| whole.any(|candidate| candidate == told))
}

#[test]
fn a_flipped_bit_anywhere_is_detected_or_harmless() {
    let mut world = small();
    let files: Vec<(u32, &str, Vec<u8>)> = [(1, "seg"), (1, "idx"), (2, "seg"), (4, "seg")]
        .map(|(segment, ending)| (segment, ending, world.file(segment, ending)))
        .into();
    let durable = world.durable.clone();
    for (segment, ending, good) in files {
        let path = world.path(segment, ending);
        for byte in 0..good.len() {
            let mut bad = good.clone();
            bad[byte] ^= 1 << (byte % 8);
            let opened = world.reopen(|disk| disk.put(&path, bad));
            let place = format!("segment {segment}.{ending} byte {byte}");
            match opened {
                Err(LogError::Damaged(damage)) => {
                    assert_eq!((damage.segment, ending), (segment, "seg"), "{place}")
                }
                Err(LogError::Newer { .. }) => assert!(byte < 12, "{place}"),
                Err(other) => panic!("{place}: {other}"),
                Ok(recovery) => {
                    let mut told = Vec::new();
                    let reader = world.reader();
                    let replayed = reader
                        .replay(Position::START, reader.end(), |at, record| tell(&mut told, at, &record));
                    assert!(is_left_of(&told, &durable), "{place}: a record was made up");
                    let noticed = replayed.is_err() || recovery.torn_bytes > 0;
                    assert!(noticed || told == durable, "{place}: a loss went unnoticed");
                    assert!(ending == "seg" || told == durable, "{place}: an index file cost a record");
                }
            }
            world.disk.put(&path, good.clone());
            if segment == 4 {
                // What looked torn was cut; the rest of the test wants it back.
                world.reopen(|_| {}).unwrap();
            }
        }
    }
}

#[test]
fn a_bad_batch_with_a_good_one_behind_it_is_damage_and_not_a_torn_tail() {
    let mut world = World::new();
    world.fill(2);
    let second_at = world.file(1, "seg").len();
    world.fill(2);
    let mut bad = world.file(1, "seg");
    bad[second_at + 40] ^= 1;
    let path = world.path(1, "seg");
    let refused = world.reopen(|disk| disk.put(&path, bad)).unwrap_err();
    let LogError::Damaged(damage) = refused else { panic!("{refused}") };
    assert_eq!((damage.segment, damage.from as usize), (1, second_at + 32));
}

#[test]
fn accepted_damage_is_skipped_and_reported_every_time() {
    for byte in [64, 70, 100, 200, 300, 500, 700] {
        let mut world = small();
        world.options.accept_damage = true;
        let durable = world.durable.clone();
        for segment in [2, 4] {
            let path = world.path(segment, "seg");
            let mut bad = world.file(segment, "seg");
            if byte + 250 > bad.len() {
                continue;
            }
            bad[byte] ^= 0x10;
            let index = world.path(segment, "idx");
            world
                .reopen(|disk| {
                    disk.put(&path, bad);
                    disk.put(&index, Vec::new());
                })
                .unwrap();
            let again = world.reopen(|_| {}).unwrap();
            assert!(
                again.damage.iter().any(|damage| damage.segment == segment),
                "byte {byte}: {:?}",
                again.damage
            );
        }
        let reader = world.reader();
        let mut told = Vec::new();
        let replayed =
            reader.replay(Position::START, reader.end(), |at, record| tell(&mut told, at, &record)).unwrap();
        assert!(!replayed.damage.is_empty());
        assert!(is_left_of(&told, &durable) && told.len() < durable.len());
        assert!(
            told.len() + 12 >= durable.len(),
            "byte {byte}: {} of {} are left",
            told.len(),
            durable.len()
        );
        let mut back = Vec::new();
        let replayed_back =
            reader.scan_back(reader.end(), |at, record| tell(&mut back, at, &record)).unwrap();
        back.reverse();
        assert_eq!(back, told);
        assert_eq!(replayed_back.damage.len(), replayed.damage.len());
        world.durable = told;
        world.fill(10);
    }
}

#[test]
fn a_bad_record_costs_itself_and_not_its_batch() {
    let mut world = World::new();
    world.options.accept_damage = true;
    let first = world.message(1, b"first");
    world.message(1, b"second");
    world.message(1, b"third");
    world.commit().unwrap();
    world.fill(1);
    let hurt = world.durable[1].0;
    let mut bad = world.file(1, "seg");
    bad[hurt.offset as usize + 60] ^= 1;
    let path = world.path(1, "seg");
    world.reopen(|disk| disk.put(&path, bad)).unwrap();
    let reader = world.reader();
    let mut told = Vec::new();
    reader.replay(Position::START, reader.end(), |at, record| tell(&mut told, at, &record)).unwrap();
    world.durable.remove(1);
    assert_eq!(told, world.durable);
    assert!(reader.message(first).unwrap().is_some());
    assert!(matches!(reader.record_at(hurt), Err(ReadError::Damaged { segment: 1, .. })));
}

#[test]
fn a_missing_segment_or_end_of_one_is_damage() {
    let world = small();
    let (two, two_index) = (world.path(2, "seg"), world.path(2, "idx"));
    let good = world.file(2, "seg");
    world.disk.put(&two, good[..good.len() - 96].to_vec());
    world.disk.put(&two_index, Vec::new());
    assert!(
        matches!(open(&world.disk, &world.options), Err(LogError::Damaged(damage)) if damage.segment == 2)
    );

    world.disk.remove(&two).unwrap();
    let refused = open(&world.disk, &world.options).err().unwrap();
    assert_eq!(refused.to_string(), "the log is damaged: segment 2 byte 0: the segment is missing");

    let mut accepting = world.options.clone();
    accepting.accept_damage = true;
    let (log, recovery) = open(&world.disk, &accepting).unwrap();
    assert_eq!(recovery.damage.len(), 1);
    let reader = log.reader();
    let replayed = reader.replay(Position::START, reader.end(), |_, _| ControlFlow::Continue(())).unwrap();
    assert_eq!(replayed.damage.len(), 1);
    let inside = Position { segment: 2, offset: 96 };
    assert!(matches!(reader.record_at(inside), Err(ReadError::Damaged { segment: 2, .. })));
}

#[test]
fn a_log_that_ends_before_what_somebody_knows_to_be_durable_is_damaged_and_is_left_as_it_is() {
    const REFUSAL: &str = "the log ends here, and it was longer once";
    let mut world = small();
    world.fill(2);
    let end = world.reader().end();
    let path = world.path(end.segment, "seg");
    let good = world.file(end.segment, "seg");
    let knowing = LogOptions { durable_to: end, ..world.options.clone() };
    assert!(open(&world.disk, &knowing).is_ok(), "it ends where it is known to end");

    // Its last batch begins here: cut off before it, in the middle of it, and turned in it.
    let last = world.durable[world.durable.len() - 2].0.offset as usize - 32;
    let mut turned = good.clone();
    turned[last + 40] ^= 1;
    for bad in [good[..last].to_vec(), good[..last + 50].to_vec(), turned] {
        world.disk.put(&path, bad.clone());
        let refused = open(&world.disk, &knowing).err().expect("it is refused").to_string();
        let found = format!("segment {} byte {last}: {REFUSAL}", end.segment);
        assert_eq!(refused, format!("the log is damaged: {found}"));
        assert_eq!(world.file(end.segment, "seg"), bad, "what is left of it can still be looked at");

        let accepting = LogOptions { accept_damage: true, ..knowing.clone() };
        let (log, recovery) = open(&world.disk, &accepting).expect("it is accepted");
        assert_eq!(recovery.damage.iter().map(ToString::to_string).collect::<Vec<_>>(), [found]);
        assert_eq!(recovery.torn_bytes, 0, "it is not taken for torn");
        assert_eq!(everything(&log.reader()), world.durable[..world.durable.len() - 2]);
    }

    world.disk.remove(&path).expect("it is there");
    let refused = open(&world.disk, &knowing).err().expect("it is refused").to_string();
    let before = end.segment - 1;
    assert!(refused.starts_with(&format!("the log is damaged: segment {before} byte")), "{refused}");
    assert!(refused.ends_with(REFUSAL), "{refused}");
    let (log, _) = open(&world.disk, &world.options).expect("nobody speaks for what is missing");
    assert_eq!(log.end().segment, before);
}

#[test]
fn a_payload_that_holds_a_copy_of_the_log_does_not_fool_recovery() {
    let mut world = World::new();
    world.fill(2);
    let copy = world.file(1, "seg");
    let before = copy.len();
    let kept = world.durable.clone();
    // All of the log so far and, to be mean, with batches of every number.
    let payload: Vec<u8> = copy[64..].iter().copied().cycle().take(4 * before).collect();
    for skew in 0..8 {
        world.message(1, &payload[skew..]);
        world.commit().unwrap();
        world.check();
        let whole = world.file(1, "seg");
        // Torn at every eighth byte: the copies inside must not pass for later batches.
        for bytes in (before..whole.len()).step_by(8).chain([whole.len() - 9]) {
            world.durable.clone_from(&kept);
            let path = world.path(1, "seg");
            let recovery = world.reopen(|disk| disk.put(&path, whole[..bytes].to_vec())).unwrap();
            assert_eq!(recovery.torn_bytes as usize, bytes - before);
        }
        world.check();
    }
}

#[test]
fn an_index_file_that_goes_bad_while_open_is_read_around() {
    let mut world = World::new();
    world.fill(20);
    let message = world.messages[0].0;
    let reader = world.reader();
    let attempts = |reader: &posthaste_storage::log::LogReader| {
        let mut told = Vec::new();
        reader.attempts_of(message, |at, record| tell(&mut told, at, &record)).unwrap();
        let mut events = 0;
        reader
            .events_since(posthaste_storage::EntryId::MIN, |_| {
                events += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        (told, events)
    };
    let good = attempts(&reader);
    assert_eq!((good.0.len(), good.1), (1, 20));
    let index = world.path(1, "idx");
    let head_bytes = world.file(1, "idx");
    let at = 64 + u32::from_le_bytes(head_bytes[28..32].try_into().unwrap()) as usize;
    for byte in at..head_bytes.len() {
        let mut bad = head_bytes.clone();
        bad[byte] ^= 4;
        world.disk.put(&index, bad);
        world.reopen(|_| {}).unwrap();
        assert_eq!(attempts(&world.reader()), good, "byte {byte}");
    }
    assert!(!matches!(everything(&reader).as_slice(), []));
}

#[test]
fn a_log_whose_last_segment_lost_its_header_goes_on_in_a_new_one() {
    let mut world = small();
    world.options.accept_damage = true;
    let path = world.path(4, "seg");
    let mut bad = world.file(4, "seg");
    bad[20] ^= 1;
    let recovery = world.reopen(|disk| disk.put(&path, bad)).unwrap();
    assert_eq!(recovery.damage[0].to_string(), "segment 4 byte 0: the header is damaged");
    world.durable.retain(|(at, _)| at.segment < 4);
    world.check();
    world.fill(2);
    for _ in 0..2 {
        let reader = world.reader();
        assert_eq!(reader.end().segment, 5);
        let mut told = Vec::new();
        let replayed =
            reader.replay(Position::START, reader.end(), |at, record| tell(&mut told, at, &record)).unwrap();
        assert_eq!((told, replayed.damage.len()), (world.durable.clone(), 1));
        world.reopen(|_| {}).unwrap();
    }
}

#[test]
fn a_segment_in_a_newer_format_is_refused_by_name() {
    let mut world = World::new();
    world.fill(1);
    let mut newer = world.file(1, "seg");
    newer[8] = 9;
    let path = world.path(1, "seg");
    let refused = world.reopen(|disk| disk.put(&path, newer)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "segment 1 byte 0 was written by a newer Posthaste (log format 9); this one does not read it"
    );
}

/// Commits a message, and finds it after a restart.
fn goes_on(world: &mut World, what: &str) {
    // Longer than any batch that was lost, so that it reaches beyond where that one would have ended.
    let behind = world.message(1, &[b'x'; 400]);
    let at = world.commit().unwrap();
    let recovery = world.reopen(|_| {}).unwrap();
    assert_eq!((recovery.torn_bytes, recovery.end), (0, at), "{what}");
    assert!(world.reader().message(behind).unwrap().is_some(), "{what}: it is gone");
}

fn accepting() -> World {
    World::with(LogOptions { accept_damage: true, ..super::kit::options() })
}

/// Where the batch begins that [`World::fill`] wrote as this one, counted from 0.
fn batch_at(world: &World, number: usize) -> usize {
    world.durable[2 * number].0.offset as usize - 32
}

/// Found by fuzzing (`damaged_logs`, `segments`): the number of the batch that was lost was used again, so that nothing
/// behind the damage proved that it was no torn end, and the next start cut it off with what had been committed behind
/// it. Where the header of the lost batch was left, what was written behind was taken for a part of it.
#[test]
fn what_is_committed_behind_an_accepted_damaged_end_is_there_after_a_restart() {
    // Within the header of the second batch, behind it, and within its records.
    for cut in [24, 32, 48, 100] {
        let mut world = accepting();
        while world.reader().segments().len() < 2 {
            world.fill(1);
        }
        let mut first = world.file(1, "seg");
        first.truncate(batch_at(&world, 1) + cut);
        let (one, two) = (world.path(1, "seg"), world.path(2, "seg"));
        // The beginning of the second segment was interrupted, which proves that the end of the first was synced.
        let recovery = world.reopen(|disk| {
            disk.put(&one, first);
            disk.put(&two, vec![0; 10]);
        });
        assert_eq!(recovery.unwrap().damage.len(), 1);
        goes_on(&mut world, &format!("cut behind {cut} bytes"));
    }
}

/// Found by fuzzing (`segments`): behind a batch that was lost, a torn one was taken for the proof of its own end.
#[test]
fn a_torn_end_behind_accepted_damage_is_cut_off() {
    for cut in [40, 100] {
        let mut world = accepting();
        world.fill(3);
        let mut first = world.file(1, "seg");
        let last = batch_at(&world, 2);
        first[batch_at(&world, 1) + 16] ^= 1;
        first.truncate(last + cut);
        let one = world.path(1, "seg");
        let recovery = world.reopen(|disk| disk.put(&one, first)).unwrap();
        assert_eq!((recovery.torn_bytes, recovery.damage.len()), (cut as u64, 1));
        goes_on(&mut world, &format!("cut behind {cut} bytes"));
    }
}
