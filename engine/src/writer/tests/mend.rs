//! A ledger that fails while everything else goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use posthaste_storage::EntryId;
use posthaste_storage::ledger::LedgerError;

use super::world::{FAR, Machine, World};
use crate::core::delivery::DeliveryState;
use crate::recovery::Folders;

const SOON: Duration = Duration::from_secs(20);

/// What a ledger has: message and endpoint; attempts made, and when due.
type Expected = BTreeMap<(EntryId, u64), (u16, u64)>;

/// Deliveries of every sort: in a shard's hands for a retry soon, forgotten until late, parked, fresh, and ended.
/// Returns the world, and what its ledger has.
fn busy() -> (World, Expected) {
    let mut world = World::new();
    let mut expected = Expected::new();
    for number in 0..24 {
        let id = world.publish(&[1, 2]);
        let pending = match number % 3 {
            0 => world.fail((id, 1), SOON, false),
            1 => world.fail((id, 1), FAR, true),
            _ => world.park((id, 1), FAR),
        };
        expected.insert((id, 1), pending);
        if number % 2 == 0 {
            world.end((id, 2), DeliveryState::Delivered);
        }
        world.settle();
    }
    (world, expected)
}

#[test]
fn a_ledger_that_fails_is_rebuilt_from_the_log_and_no_delivery_is_handed_out_twice() {
    let (mut world, mut expected) = busy();
    assert_eq!(world.ledger(), expected);
    world.keeper.give_up(&LedgerError::Failed);
    assert_eq!(world.writer.metrics.ledger_failed.get(), 1);
    // It goes on without it: a retry fails again, another succeeds, and something new fails.
    let (kept, ended) = {
        let mut soon = expected.keys().filter(|key| world.hands.contains_key(*key)).copied();
        (soon.next().expect("one"), soon.next().expect("two"))
    };
    expected.insert(kept, world.fail(kept, SOON * 2, false));
    world.end(ended, DeliveryState::Delivered);
    expected.remove(&ended);
    let late = world.publish(&[3]);
    expected.insert((late, 3), world.fail((late, 3), FAR, true));
    world.settle();
    let hands: Vec<_> = world.hands.keys().copied().collect();
    world.keeper.mend();
    assert!(world.keeper.failure.is_none());
    assert_eq!(world.writer.metrics.ledger_failed.get(), 0);
    world.settle();
    assert_eq!(world.ledger(), expected);
    assert_eq!(world.hands.keys().copied().collect::<Vec<_>>(), hands, "nobody was given anything");
    // What is due late is handed out as its time comes, once; the world sees to that.
    world.keeper.horizon = FAR * 2;
    world.settle();
    assert!(expected.keys().all(|key| world.hands.contains_key(key)));
}

#[test]
fn what_a_rebuilt_ledger_has_survives_like_any_other() {
    let (mut world, expected) = busy();
    world.keeper.give_up(&LedgerError::Failed);
    world.keeper.mend();
    world.settle();
    let world = world.kill();
    assert_eq!(world.ledger(), expected);
    assert_eq!(world.restart().ledger(), expected);
}

#[test]
fn a_ledger_that_cannot_be_rebuilt_yet_is_tried_again_later() {
    let (mut world, expected) = busy();
    world.keeper.give_up(&LedgerError::Failed);
    let nowhere = Arc::new(Folders::below("/proc/no/such/folder".as_ref()));
    let shelves = std::mem::replace(&mut world.keeper.shelves, nowhere);
    world.keeper.mend();
    assert!(world.keeper.failure.is_some());
    assert_eq!(world.writer.metrics.ledger_failed.get(), 1);
    world.keeper.shelves = shelves;
    world.keeper.mend();
    world.settle();
    assert_eq!(world.ledger(), expected);
}

/// What was published before, is late, and lies on the shelf in many chunks.
fn filed() -> (World, Expected) {
    let mut world = World::new();
    let mut expected = Expected::new();
    for number in 0..24 {
        let id = world.publish(&[1]);
        let wait = FAR + Duration::from_secs(60 * (number / 2));
        expected.insert((id, 1), world.fail((id, 1), wait, true));
        world.settle();
    }
    assert_eq!(world.ledger(), expected);
    (world, expected)
}

/// The keeper's next look, after which a ledger that has failed is made again.
fn turn_and_mend(world: &mut World) {
    world.keeper.turn();
    world.receive();
    if world.keeper.failure.is_some() {
        world.keeper.mend();
    }
}

#[test]
fn whichever_operation_of_the_ledger_fails_everything_is_handed_out_once() {
    let mut failures = 0;
    for operations in 0..40 {
        let (mut world, expected) = filed();
        world.machine.shelves.after(operations);
        // All of it falls due at once, and is loaded chunk by chunk.
        world.keeper.horizon = FAR * 2;
        for _ in 0..3 {
            turn_and_mend(&mut world);
        }
        failures += u32::from(world.machine.shelves.stop_failing());
        assert!(world.keeper.failure.is_none());
        world.settle();
        assert_eq!(
            world.hands.keys().copied().collect::<Vec<_>>(),
            expected.keys().copied().collect::<Vec<_>>(),
            "operation {operations}"
        );
        assert_eq!(world.ledger(), expected);
    }
    assert!((15..40).contains(&failures), "{failures}: not one operation, or not all of them");
}

#[test]
fn a_ledger_that_fails_while_the_process_starts_is_rebuilt_and_the_start_succeeds() {
    let mut failures = 0;
    for operations in 0..40 {
        let (mut world, mut expected) = filed();
        // Something that the replay will bring, so that all of the ledger is read.
        let id = world.publish(&[2]);
        expected.insert((id, 2), world.fail((id, 2), FAR, true));
        world.commit();
        let shelves = world.machine.shelves.clone();
        shelves.after(operations);
        let mut world = world.kill();
        failures += u32::from(shelves.stop_failing());
        turn_and_mend(&mut world);
        world.settle();
        assert_eq!(world.ledger(), expected, "operation {operations}");
        assert!(world.hands.is_empty());
    }
    assert!((10..40).contains(&failures), "{failures}: not one operation, or not all of them");
}

#[test]
fn no_segment_is_removed_between_the_failure_of_the_ledger_and_the_first_survey_of_the_new_one() {
    for fails in [false, true] {
        let mut world = Machine::with_small_segments().start();
        world.writer.settings.retention_bytes = 1;
        world.fill_segments(20);
        while world.needed_from() <= world.oldest_segment() + 2 {
            world.housekeep();
        }
        let oldest = world.oldest_segment();
        if fails {
            world.keeper.give_up(&LedgerError::Failed);
        }
        world.writer.state.housekept = None;
        world.commit();
        assert_eq!(world.oldest_segment() > oldest, !fails);
        if fails {
            world.keeper.mend();
        }
        (0..12).for_each(|_| world.housekeep());
        assert_eq!(world.oldest_segment(), world.writer.log.end().segment);
    }
}

#[test]
fn of_a_message_taken_back_while_there_is_no_ledger_every_delivery_ends() {
    for tries in 0..2 {
        let (mut world, mut expected) = filed();
        world.keeper.give_up(&LedgerError::Failed);
        if tries > 0 {
            let nowhere = Arc::new(Folders::below("/proc/no/such/folder".as_ref()));
            let shelves = std::mem::replace(&mut world.keeper.shelves, nowhere);
            world.keeper.mend();
            assert!(world.keeper.failure.is_some());
            world.keeper.shelves = shelves;
        }
        let taken_back: Vec<_> = expected.keys().map(|(id, _)| *id).take(12).collect();
        for id in taken_back {
            let _answer = world.cancel(id);
            expected.remove(&(id, 1));
            world.settle();
        }
        assert_eq!(world.pending(), expected.len() as i64);
        world.keeper.mend();
        world.settle();
        assert_eq!(world.ledger(), expected);
    }
}
