//! A full disk: publishers are refused, reports are kept.

use std::time::Duration;

use posthaste_storage::disk::sim::Crash;

use super::world::{Derived, World, accepted, message};
use crate::catalog::CommitError;
use crate::core::delivery::DeliveryState;
use crate::publish::PublishError;
use crate::readiness::NotReady;

#[test]
fn publishers_are_refused_and_reports_are_stored_when_space_returns() {
    let mut world = World::new();
    let id = world.publish(&[1, 2]);
    world.fill_disk();
    world.end((id, 1), DeliveryState::Delivered);
    let mut answers = world.publish_many(vec![message(&[1])]);
    let mut change = world.change("app/a", Some("{}"));
    world.commit();
    assert_eq!(answers.try_recv(), Ok(vec![Err(PublishError::Full)]));
    assert_eq!(change.try_recv(), Ok(Err(CommitError::Full)));
    assert_eq!((world.unstored(), world.pending()), (1, 2));
    assert_eq!(world.writer.metrics.disk_full.get(), 1);
    assert_eq!(world.writer.readiness.check(), Err(NotReady::DiskFull));

    world.machine.disk.set_capacity(None);
    world.pause();
    world.settle();
    assert_eq!((world.unstored(), world.pending()), (0, 1));
    assert_eq!(world.writer.metrics.disk_full.get(), 0);
    assert_eq!(world.writer.readiness.check(), Ok(()));
    world.publish(&[1]);
    let world = world.crash(Crash::LoseUnsynced, Derived::Deleted);
    assert!(!world.hands.contains_key(&(id, 1)), "it was delivered");
    assert!(world.hands.contains_key(&(id, 2)));
}

#[test]
fn reports_kept_for_later_go_before_newer_ones() {
    let mut world = World::new();
    let id = world.publish(&[1]);
    world.fill_disk();
    world.fail((id, 1), Duration::from_secs(1), false);
    world.commit();
    assert_eq!(world.unstored(), 1);
    world.end((id, 1), DeliveryState::Delivered);
    world.commit();
    assert_eq!(world.unstored(), 2);
    world.machine.disk.set_capacity(None);
    world.pause();
    world.settle();
    assert!(world.ledger().is_empty());
    let world = world.crash(Crash::LoseUnsynced, Derived::Deleted);
    assert!(world.hands.is_empty() && world.ledger().is_empty(), "it was delivered");
}

#[test]
fn below_the_reserve_reports_are_stored_and_publishers_stay_refused() {
    let mut world = World::new();
    let id = world.publish(&[1, 2, 3]);
    world.writer.settings.reserve_bytes = u64::MAX;
    world.machine.disk.set_capacity(Some(1 << 20));
    world.pause();
    for endpoint in 1..=3 {
        world.end((id, endpoint), DeliveryState::Delivered);
        world.commit();
        let mut answers = world.publish_many(vec![message(&[1])]);
        world.commit();
        assert_eq!(answers.try_recv(), Ok(vec![Err(PublishError::Full)]));
    }
    assert_eq!((world.unstored(), world.pending()), (0, 0));
    world.writer.settings.reserve_bytes = 0;
    world.pause();
    let answers = world.publish_many(vec![message(&[1])]);
    world.commit();
    accepted(answers);
}

#[test]
fn a_disk_that_is_still_full_at_the_end_does_not_keep_the_process_from_ending() {
    let mut world = World::new();
    let id = world.publish(&[1]);
    world.fill_disk();
    world.end((id, 1), DeliveryState::Delivered);
    world.done.clear();
    let world = world.restart();
    assert!(world.hands.contains_key(&(id, 1)), "it is delivered again: nothing says that it was");
}
