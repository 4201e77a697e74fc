//! Messages that are taken back stay taken back.

use std::time::Duration;

use posthaste_storage::disk::sim::Crash;

use super::world::{Derived, FAR, World};

#[test]
fn what_is_pending_of_a_message_taken_back_ends_wherever_it_is() {
    let mut world = World::new();
    let id = world.publish(&[1, 2, 3]);
    world.fail((id, 1), FAR, true);
    world.fail((id, 2), Duration::from_secs(5), false);
    world.settle();
    let mut answer = world.cancel(id);
    world.settle();
    assert_eq!(answer.try_recv(), Ok(Ok(())));
    assert!(world.hands.is_empty() && world.ledger().is_empty());
    assert_eq!(world.pending(), 0);
}

#[test]
fn a_message_taken_back_stays_so_whenever_the_process_dies() {
    for derived in [Derived::Kept, Derived::Deleted] {
        let mut world = World::new();
        let id = world.publish(&[1, 2, 3]);
        world.fail((id, 1), FAR, true);
        world.fail((id, 2), Duration::from_secs(5), false);
        world.settle();
        let mut answer = world.cancel(id);
        // It dies before anybody but the log has heard of it.
        world.commit();
        assert_eq!(answer.try_recv(), Ok(Ok(())));
        let world = world.crash(Crash::LoseUnsynced, derived);
        assert!(world.hands.is_empty() && world.ledger().is_empty());
        assert_eq!(world.pending(), 0);
    }
}

#[test]
fn a_delivery_given_to_the_ledger_just_before_its_message_was_taken_back_ends() {
    for park in [true, false] {
        let mut world = World::new();
        let id = world.publish(&[1]);
        let mut answer = world.cancel(id);
        // The shard has not heard of it when it hands the delivery over.
        match park {
            true => world.park((id, 1), FAR),
            false => world.fail((id, 1), FAR, true),
        };
        world.settle();
        assert_eq!(answer.try_recv(), Ok(Ok(())));
        assert!(world.ledger().is_empty());
        assert_eq!(world.pending(), 0);
        let world = world.crash(Crash::LoseUnsynced, Derived::Deleted);
        assert!(world.hands.is_empty() && world.ledger().is_empty());
    }
}

#[test]
fn a_delivery_that_the_keeper_hands_out_while_its_message_is_taken_back_ends() {
    let mut world = World::new();
    let id = world.publish(&[1]);
    // Forgotten by the shard although it is due soon: the keeper will hand it out again.
    world.fail((id, 1), Duration::from_secs(5), true);
    world.commit();
    let _answer = world.cancel(id);
    world.commit();
    world.receive();
    assert!(world.hands.is_empty(), "the shard was told, and has nothing to end yet");
    world.settle();
    assert!(world.hands.is_empty() && world.ledger().is_empty());
    assert_eq!(world.pending(), 0);
}

#[test]
fn a_message_taken_back_at_the_very_end_stays_so_after_the_next_start() {
    for forget in [true, false] {
        let mut world = World::new();
        let id = world.publish(&[1, 2]);
        world.fail((id, 1), if forget { FAR } else { Duration::from_secs(5) }, forget);
        world.settle();
        let _answer = world.cancel(id);
        // The shard has ended already and will not hear of it; its last word is behind the cancellation.
        if !forget {
            world.fail((id, 1), Duration::from_secs(5), false);
        }
        let world = world.restart();
        assert!(world.hands.is_empty() && world.ledger().is_empty());
    }
}
