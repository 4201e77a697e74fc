//! Event ids: publishing again is harmless.

use posthaste_storage::disk::sim::Crash;

use super::world::{Derived, Machine, World, accepted, event};
use crate::core::ids::MessageId;
use crate::publish::PublishError;

#[test]
fn an_event_id_has_one_message_within_a_block_and_across_blocks_and_restarts() {
    let mut world = World::new();
    let answers = world.publish_many(vec![event("a", 1), event("a", 1)]);
    let other = world.publish_many(vec![event("a", 1)]);
    world.commit();
    let ids = accepted(answers);
    assert_eq!(ids[0], ids[1]);
    assert_eq!(accepted(other)[0], ids[0]);
    for derived in [Derived::Kept, Derived::Deleted] {
        world = world.crash(Crash::LoseUnsynced, derived);
        let answers = world.publish_many(vec![event("a", 1)]);
        world.commit();
        assert_eq!(accepted(answers)[0], ids[0]);
    }
    assert_eq!(world.writer.log.reader().messages_of(1), 1);
}

#[test]
fn an_event_id_of_another_message_is_a_conflict() {
    let mut world = World::new();
    let answers = world.publish_many(vec![event("a", 1)]);
    world.commit();
    let first = MessageId(accepted(answers)[0]);
    let mut answers = world.publish_many(vec![event("a", 2)]);
    world.commit();
    let conflict = Err(PublishError::Conflict { event_id: "a".into(), first });
    assert_eq!(answers.try_recv(), Ok(vec![conflict]));
}

#[test]
fn an_event_id_whose_message_was_not_stored_is_free_again() {
    let mut world = World::new();
    world.publish(&[]);
    world.fill_disk();
    let mut answers = world.publish_many(vec![event("a", 1), event("a", 1), event("a", 2)]);
    world.commit();
    assert_eq!(answers.try_recv(), Ok(vec![Err(PublishError::Full); 3]));
    world.machine.disk.set_capacity(None);
    world.pause();
    let answers = world.publish_many(vec![event("a", 2)]);
    world.commit();
    let id = accepted(answers)[0];
    let message = world.writer.log.reader().message(id).expect("it reads");
    assert!(message.is_some());
}

#[test]
fn a_repetition_is_answered_with_the_first_id_while_the_disk_is_full() {
    let mut world = World::new();
    let answers = world.publish_many(vec![event("a", 1)]);
    world.commit();
    let first = accepted(answers)[0];
    world.fill_disk();
    let mut answers = world.publish_many(vec![event("a", 1), event("b", 1)]);
    world.commit();
    assert_eq!(answers.try_recv(), Ok(vec![Ok(MessageId(first)), Err(PublishError::Full)]));
}

#[test]
fn after_a_restart_the_newest_event_ids_are_known_however_many_are_in_a_segment() {
    for segment_bytes in [1 << 20, 1 << 10] {
        let mut world = Machine { event_ids_max: 10, segment_bytes, ..Machine::new() }.start();
        let mut ids = Vec::new();
        for number in 0..100 {
            let answers = world.publish_many(vec![event(&format!("event-{number}"), 1)]);
            world.commit();
            ids.extend(accepted(answers));
        }
        let mut world = world.kill();
        for (number, id) in ids.iter().enumerate().skip(90) {
            let answers = world.publish_many(vec![event(&format!("event-{number}"), 1)]);
            world.commit();
            assert_eq!(accepted(answers)[0], *id);
        }
        let answers = world.publish_many(vec![event("event-89", 1)]);
        world.commit();
        assert_ne!(accepted(answers)[0], ids[89], "only the newest are remembered");
    }
}
