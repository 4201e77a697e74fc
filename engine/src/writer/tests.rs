//! The writer and the keeper, step by step, on a disk that fails on purpose.

mod events;
mod failing;
mod full_disk;
mod mend;
mod retention;
mod taken_back;
pub(crate) mod world;

use std::io::ErrorKind;
use std::time::Duration;

use posthaste_storage::disk::sim::Operation;
use tokio::sync::oneshot::error::TryRecvError;

use crate::catalog::CommitError;
use crate::core::delivery::DeliveryState;
use crate::publish::PublishError;
use crate::readiness::NotReady;
use crate::writer::Job;
use world::{FAR, World, accepted, message};

#[test]
fn nobody_is_answered_and_no_shard_hears_of_a_message_before_its_sync() {
    let mut world = World::new();
    let mut answers = world.publish_many(vec![message(&[1])]);
    assert_eq!(answers.try_recv(), Err(TryRecvError::Empty));
    world.receive();
    assert!(world.hands.is_empty());
    world.commit();
    world.receive();
    assert_eq!(world.hands.len(), 1);
    assert_eq!(accepted(answers).len(), 1);
}

#[test]
fn after_a_failed_sync_nobody_gets_an_id_and_nothing_is_accepted_any_more() {
    let mut world = World::new();
    let kept = world.publish(&[1]);
    world.machine.disk.fail(Operation::Sync, 1, ErrorKind::Other);
    let mut answers = world.publish_many(vec![message(&[1]), message(&[2])]);
    let mut change = world.change("app/a", Some("{}"));
    let mut cancel = world.cancel(kept);
    world.commit();
    let lost = Err(PublishError::LogPoisoned);
    assert_eq!(answers.try_recv(), Ok(vec![lost.clone(), lost.clone()]));
    assert_eq!(change.try_recv(), Ok(Err(CommitError::Poisoned)));
    assert_eq!(cancel.try_recv(), Ok(Err(CommitError::Poisoned)));
    assert_eq!(world.writer.metrics.poisoned.get(), 1);
    assert_eq!(world.writer.readiness.check(), Err(NotReady::LogPoisoned));

    let mut answers = world.publish_many(vec![message(&[1])]);
    let mut change = world.change("app/a", Some("{}"));
    world.settle();
    assert_eq!(answers.try_recv(), Ok(vec![lost]));
    assert_eq!(change.try_recv(), Ok(Err(CommitError::Poisoned)));
    assert_eq!(world.hands.len(), 1, "only what was acknowledged is delivered");

    let world = world.kill();
    assert!(world.hands.contains_key(&(kept, 1)));
}

#[test]
fn a_log_that_stopped_while_a_segment_was_removed_accepts_nothing_either() {
    let mut world = world::Machine::with_small_segments().start();
    world.fill_segments(3);
    world.writer.settings.retention_bytes = 1;
    world.keeper.turn();
    world.housekeep();
    world.fill_segments(2);
    // The next sync is that of the folder, after the file is gone.
    world.machine.disk.fail(Operation::Sync, 1, ErrorKind::Other);
    world.housekeep();
    assert_eq!(world.writer.metrics.poisoned.get(), 1);
    let mut change = world.change("app/a", Some("{}"));
    let mut answers = world.publish_many(vec![message(&[1])]);
    world.commit();
    assert_eq!(change.try_recv(), Ok(Err(CommitError::Poisoned)));
    assert_eq!(answers.try_recv(), Ok(vec![Err(PublishError::LogPoisoned)]));
}

#[test]
fn reports_larger_than_a_block_are_stored_in_their_order() {
    let mut world = World::new();
    let id = world.publish(&[1]);
    for _ in 0..200 {
        world.fail((id, 1), Duration::from_secs(1), false);
        let mut big = message(&[]);
        big.payload = vec![b' '; 64 << 10].into();
        drop(world.publish_many(vec![big]));
    }
    world.end((id, 1), DeliveryState::Delivered);
    world.settle();
    assert!(world.ledger().is_empty());
    let world = world.crash(posthaste_storage::disk::sim::Crash::LoseUnsynced, world::Derived::Deleted);
    assert!(world.hands.is_empty() && world.ledger().is_empty());
}

#[test]
fn a_change_larger_than_a_batch_is_refused_as_a_whole() {
    let mut world = World::new();
    let (reply, mut answer) = tokio::sync::oneshot::channel();
    let change =
        |n: u32| crate::catalog::Change { key: format!("ep/{n}").into(), value: Some(vec![b' '; 400 << 10]) };
    world.handle.send(Job::Change { changes: (0..30).map(change).collect(), reply });
    world.settle();
    assert_eq!(answer.try_recv(), Ok(Err(CommitError::Full)));
    assert!(world.catalog().is_empty());
}

#[test]
fn everything_handed_over_before_the_end_is_stored() {
    let mut world = World::new();
    let id = world.publish(&[1, 2, 3]);
    world.end((id, 1), DeliveryState::Delivered);
    let late = world.fail((id, 2), FAR, true);
    let answer = world.change("app/a", Some("{}"));
    let world = world.restart();
    drop(answer);
    assert_eq!(world.hands.keys().collect::<Vec<_>>(), [&(id, 3)]);
    assert_eq!(world.ledger(), [((id, 2), late)].into());
    assert_eq!(world.catalog().len(), 1);
}

#[test]
fn the_gauge_of_pending_deliveries_survives_crashes() {
    let mut world = World::new();
    let id = world.publish(&[1, 2, 3]);
    world.fail((id, 1), FAR, true);
    world.settle();
    let mut world = world.kill();
    assert_eq!(world.pending(), 3);
    world.end((id, 2), DeliveryState::Exhausted);
    world.fail((id, 3), Duration::from_secs(1), false);
    world.settle();
    for _ in 0..3 {
        world.fail((id, 3), Duration::from_secs(1), false);
        world.settle();
        world = world.kill();
        assert_eq!(world.pending(), 2);
    }
    world.end((id, 3), DeliveryState::Delivered);
    world.settle();
    assert_eq!(world.pending(), 1);
}

#[test]
fn deliveries_that_wait_for_long_go_to_the_ledger_so_that_a_replay_stays_short() {
    let mut world = world::Machine::with_small_segments().start();
    world.writer.settings.replay_bytes_max = 2 << 10;
    world.publish(&[1]);
    world.fill_segments(4);
    world.shards.take_inbox(0);
    world.writer.state.housekept = None;
    world.commit();
    let asked = world.shards.take_inbox(0);
    let asked = asked.iter().any(|what| matches!(what, crate::shard::ToShard::RememberBefore(_)));
    assert!(asked, "the shard is asked to hand over what only the log remembers");
}
