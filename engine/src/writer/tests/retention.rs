//! Retention and carrying forward: segments go, what is pending stays.

use std::time::Duration;

use posthaste_storage::disk::sim::Crash;

use super::world::{APPLICATION, Derived, FAR, Machine, World};
use crate::core::delivery::{DeliveryKey, DeliveryState, Progress};
use crate::core::ids::{EndpointId, MessageId};
use crate::writer::{ExtraDelivery, Job};

/// A world that keeps as little of the log as it may.
fn forgetful() -> World {
    let mut world = Machine::with_small_segments().start();
    world.writer.settings.retention_bytes = 1;
    world
}

fn trim(world: &mut World) {
    (0..12).for_each(|_| world.housekeep());
}

#[test]
fn segments_go_when_nobody_needs_them() {
    let mut world = forgetful();
    let id = world.publish(&[1]);
    world.end((id, 1), DeliveryState::Delivered);
    world.fill_segments(5);
    trim(&mut world);
    assert_eq!(world.oldest_segment(), world.writer.log.end().segment, "only the one being written is left");
    assert!(world.open_file(1).is_none());
}

#[test]
fn a_segment_stays_while_a_delivery_from_it_is_pending_soon() {
    let mut world = forgetful();
    let id = world.publish(&[1]);
    world.fill_segments(5);
    trim(&mut world);
    assert_eq!(world.oldest_segment(), 1, "the message was not attempted yet");
    world.fail((id, 1), Duration::from_secs(20), false);
    trim(&mut world);
    assert_eq!(world.oldest_segment(), 1, "the shard will read it in 20 seconds");
    assert!(world.surveyed());
    world.end((id, 1), DeliveryState::Delivered);
    trim(&mut world);
    assert!(world.oldest_segment() > 1);
}

#[test]
fn a_message_pending_for_long_is_carried_forward_and_found_in_its_new_place() {
    let mut world = forgetful();
    let id = world.publish(&[1, 2]);
    let late = world.fail((id, 1), FAR, true);
    world.end((id, 2), DeliveryState::Delivered);
    world.fill_segments(5);
    trim(&mut world);
    assert!(world.oldest_segment() > 1);
    let reader = world.writer.log.reader();
    let at = world.message_at((id, 1)).expect("it is pending");
    assert!(at.segment >= world.oldest_segment());
    let copy = reader.record_at(at).expect("it reads").expect("it is there");
    let message = *copy.record().message().expect("a message");
    assert_eq!((message.id, message.payload), (id, &b"{}"[..]));
    assert_eq!(reader.message(id).expect("it reads").map(|found| found.0), Some(at));

    for derived in [Derived::Kept, Derived::Deleted] {
        world = world.crash(Crash::LoseUnsynced, derived);
        assert_eq!(world.ledger(), [((id, 1), late)].into(), "and not what was delivered before");
    }
}

#[test]
fn a_delivery_that_a_shard_got_while_its_message_was_carried_forward_is_not_handed_out_again() {
    let mut world = forgetful();
    let id = world.publish(&[1]);
    let late = world.fail((id, 1), FAR, true);
    world.settle();
    world.fill_segments(5);
    for _ in 0..2 {
        world.writer.state.housekept = None;
        world.commit();
    }
    // The keeper has picked it to be carried; then an hour passes for the keeper before the writer writes.
    world.keeper.turn();
    world.keeper.horizon = FAR * 2;
    world.keeper.turn();
    world.receive();
    assert!(world.hands.contains_key(&(id, 1)));
    let before = world.message_at((id, 1));
    world.settle();
    assert_eq!(world.message_at((id, 1)), before, "the shard will read it there");
    assert_eq!(world.ledger(), [((id, 1), late)].into());
    world.end((id, 1), DeliveryState::Delivered);
    world.settle();
    let world = world.crash(Crash::LoseUnsynced, Derived::Deleted);
    assert!(world.hands.is_empty() && world.ledger().is_empty());
}

#[test]
fn a_message_taken_back_while_it_is_carried_forward_does_not_come_back() {
    let mut world = forgetful();
    let id = world.publish(&[1]);
    world.fail((id, 1), FAR, true);
    world.settle();
    world.fill_segments(5);
    // The cancellation is told to the keeper, and the survey right behind it.
    let _answer = world.cancel(id);
    world.writer.state.housekept = None;
    world.commit();
    trim(&mut world);
    assert!(world.ledger().is_empty());
    assert_eq!(world.pending(), 0);
    let world = world.crash(Crash::LoseUnsynced, Derived::Deleted);
    assert!(world.hands.is_empty() && world.ledger().is_empty());
}

#[test]
fn a_message_taken_back_between_survey_and_carrying_does_not_come_back() {
    let mut world = forgetful();
    let id = world.publish(&[1]);
    world.fail((id, 1), FAR, true);
    world.settle();
    world.fill_segments(5);
    world.writer.state.housekept = None;
    world.commit();
    world.writer.state.housekept = None;
    world.commit();
    let _answer = world.cancel(id);
    world.commit();
    // Only now does the keeper hear of survey and cancellation, and its list is behind the cancellation.
    trim(&mut world);
    assert!(world.ledger().is_empty());
    let world = world.crash(Crash::LoseUnsynced, Derived::Deleted);
    assert!(world.hands.is_empty() && world.ledger().is_empty());
}

#[test]
fn a_catalog_rebuilt_after_retention_has_every_entry_and_none_that_was_removed() {
    let mut world = forgetful();
    let mut answers = Vec::new();
    for number in 0..20 {
        answers.push(world.change(&format!("ep/{number}"), Some("first")));
        world.commit();
    }
    answers.push(world.change("ep/7", None));
    answers.push(world.change("ep/8", Some("second")));
    world.commit();
    assert!(answers.iter_mut().all(|answer| answer.try_recv() == Ok(Ok(()))));
    world.fill_segments(6);
    trim(&mut world);
    assert!(world.oldest_segment() > 3);
    let before = world.catalog();
    assert_eq!((before.len(), before["ep/8"].as_str()), (19, "second"));
    let world = world.crash(Crash::LoseUnsynced, Derived::Deleted);
    assert_eq!(world.catalog(), before);
}

#[test]
fn a_full_disk_does_not_keep_the_log_from_shrinking() {
    let mut world = forgetful();
    let _answer = world.change("app/a", Some("{}"));
    world.fill_segments(5);
    // Below the reserve, and there is still a little room.
    world.writer.settings.reserve_bytes = u64::MAX;
    trim(&mut world);
    assert!(world.oldest_segment() > 1);
    assert_eq!(world.catalog().len(), 1);
}

#[test]
fn the_catalogs_copy_keeps_up_with_a_log_in_which_it_does_not_change() {
    let mut world = Machine::with_small_segments().start();
    let _answer = world.change("app/a", Some("{}"));
    world.fill_segments(5);
    world.housekeep();
    assert_eq!(world.writer.catalog.position().segment, world.writer.log.end().segment);
}

#[test]
fn nobody_is_promised_another_delivery_of_a_message_whose_segment_has_gone_meanwhile() {
    let mut world = forgetful();
    let id = world.publish(&[1]);
    let message_at = world.hands[&(id, 1)].message_at;
    world.end((id, 1), DeliveryState::Delivered);
    world.fill_segments(5);
    let again = |world: &mut World| {
        let delivery = ExtraDelivery {
            key: DeliveryKey { message: MessageId(id), endpoint: EndpointId::from_u64(2) },
            application: APPLICATION,
            message_at,
            progress: Progress::default(),
            lane: 0,
            was_pending: false,
        };
        let (reply, mut answer) = tokio::sync::oneshot::channel();
        world.handle.send(Job::Deliver { deliveries: vec![delivery], reply });
        world.commit();
        answer.try_recv()
    };
    trim(&mut world);
    assert!(world.oldest_segment() > message_at.segment);
    assert_eq!(again(&mut world), Ok(Ok(0)));
    let mut world = forgetful();
    assert_eq!(world.publish(&[1]), world.hands.keys().next().expect("one").0);
    assert_eq!(again(&mut world), Ok(Ok(1)), "while it is there");
}
