//! Who remembers a delivery: what the shard holds in memory, and what it hands to the ledger.

use posthaste_storage::Position;

use super::receiver::{hangs, status};
use super::world::{START, World, never};
use super::{hours, ms, secs};
use crate::core::delivery::DeliveryState::*;
use crate::core::shard::{Home, Input};

/// A world with one endpoint that takes one attempt at a time.
fn one_at_a_time(change: impl FnOnce(&mut crate::core::shard::ShardSettings)) -> World {
    let mut world = World::with(|limits| {
        limits.url_lockout = never();
        change(limits);
    })
    .endpoint("shop", status(204));
    world.change("shop", |settings| settings.in_flight_max = 1);
    world
}

#[test]
fn a_retry_that_is_due_soon_is_held_and_the_ledger_told() {
    let mut world = World::new().endpoint("shop", status(500));
    world.publish_to("shop", 1).run_for(secs(1));
    assert_eq!((world.ended[0].home, world.ended[0].forgotten), (Home::Log(1), false));
    assert_eq!(world.shard.deliveries(), 1);
    world.run_for(secs(10));
    assert_eq!(world.ended[1].home, Home::Ledger, "the first attempt put it there");
}

#[test]
fn a_retry_beyond_the_horizon_is_forgotten_and_comes_back_in_time() {
    let mut world = World::new().endpoint("shop", status(500));
    world.retries("shop", "1h jitter=0%").publish_to("shop", 1).run_for(secs(1));
    assert!(world.ended[0].forgotten);
    assert_eq!(world.shard.deliveries(), 0, "a day's wait costs no memory");
    world.run_for(hours(1)).expect_requests("shop", 2);
}

#[test]
fn what_does_not_fit_the_queue_is_parked_and_made_later() {
    let mut world = one_at_a_time(|limits| limits.queue_max = 10);
    world.first("shop", &[hangs()]).publish_to("shop", 100);
    assert_eq!((world.parked.len(), world.shard.deliveries()), (89, 11));
    assert!(world.parked.iter().all(|parked| parked.forgotten && parked.due >= START + secs(30)));
    world.run_to_the_end().expect_standing("shop", Delivered, 100);
}

#[test]
fn one_endpoint_with_a_full_queue_parks_nothing_of_another() {
    let mut world = one_at_a_time(|limits| limits.queue_max = 10).endpoint("other", status(204));
    world.first("shop", &[hangs()]).publish_to("shop", 100).publish_to("other", 10).run_for(secs(1));
    world.expect_standing("other", Delivered, 10);
}

#[test]
fn what_does_not_fit_the_shard_is_parked_whether_it_is_due_or_waits() {
    let mut world = one_at_a_time(|limits| limits.deliveries_max = 20);
    world.first("shop", &[hangs()]).publish_to("shop", 15);
    for _ in 0..15 {
        world.publish_due(&["shop"], START + secs(60));
    }
    assert_eq!((world.parked.len(), world.shard.deliveries()), (10, 20));
    world.run_to_the_end().expect_standing("shop", Delivered, 30);
}

#[test]
fn a_message_for_later_goes_to_the_ledger_if_it_is_beyond_the_horizon() {
    let mut world = World::new().endpoint("shop", status(204));
    world.publish_due(&["shop"], START + secs(60));
    world.publish_due(&["shop"], START + hours(5));
    assert_eq!((world.parked.len(), world.shard.deliveries()), (1, 1));
    world.run_for(secs(59)).expect_requests("shop", 0);
    world.run_for(secs(2)).expect_requests("shop", 1);
    world.run_until(START + hours(5) - ms(1)).expect_requests("shop", 1);
    world.run_for(secs(1)).expect_requests("shop", 2);
}

#[test]
fn payloads_beyond_the_budget_are_read_back_from_the_log() {
    let mut world = one_at_a_time(|limits| limits.body_bytes_max = 5_500);
    world.publish_to("shop", 100);
    assert_eq!(world.shard.body_bytes(), 5_000);
    world.run_to_the_end().expect_standing("shop", Delivered, 100);
    assert_eq!(world.requests.iter().filter(|request| request.in_hand).count(), 6, "one was in flight");
    assert_eq!(world.shard.body_bytes(), 0);
}

#[test]
fn payloads_of_what_is_refused_or_taken_back_leave_memory() {
    let mut world = one_at_a_time(|_| {});
    let messages: Vec<_> = (0..10).map(|_| world.publish(&["shop"])).collect();
    world.cancel(messages[4]);
    assert_eq!(world.shard.body_bytes(), 8_000);
    world.remove("shop", Cancelled);
    assert_eq!(world.shard.body_bytes(), 0);
}

#[test]
fn old_messages_in_the_queue_are_remembered_by_the_ledger_on_request_and_stay_in_the_queue() {
    let mut world = one_at_a_time(|_| {});
    world.first("shop", &[hangs()]).publish_to("shop", 10);
    let middle = world.log_end();
    world.publish_to("shop", 10).tell(Input::RememberBefore(middle));
    let parked: Vec<_> = world.parked.iter().map(|parked| (parked.home, parked.forgotten)).collect();
    let expected: Vec<_> = (2..10).map(|place| (Home::Log(place), false)).collect();
    assert_eq!(parked, expected, "one is in flight, the tenth stands at the position itself");
    world.tell(Input::RememberBefore(middle));
    assert_eq!(world.parked.len(), 8, "once is enough");
    world.run_to_the_end().expect_standing("shop", Delivered, 20).expect_requests("shop", 21);
}

#[test]
fn a_message_for_later_is_remembered_by_the_ledger_on_request_too() {
    let mut world = World::new().endpoint("shop", status(204));
    world.publish_due(&["shop"], START + secs(60));
    world.tell(Input::RememberBefore(Position { segment: 2, offset: 0 }));
    assert_eq!(world.parked.len(), 1);
    world.run_to_the_end().expect_requests("shop", 1);
}

#[test]
fn before_the_first_horizon_is_told_nothing_is_forgotten_for_good() {
    let mut world = one_at_a_time(|limits| limits.queue_max = 1);
    world.shard.handle(START, Input::Horizon(crate::core::tick::Tick::ZERO));
    world.publish_to("shop", 5);
    assert!(world.parked.iter().all(|parked| parked.due == START + secs(30)));
    world.run_to_the_end().expect_standing("shop", Delivered, 5);
}

#[test]
fn a_shard_that_is_held_back_records_what_happened_and_starts_nothing() {
    let mut world = one_at_a_time(|_| {});
    world.publish_to("shop", 3).is_held_back = true;
    world.run_for(secs(60)).expect_requests("shop", 1).expect_standing("shop", Delivered, 1);
    assert_eq!(world.shard.in_flight(), 0);
    world.is_held_back = false;
    world.tell(Input::Wake);
    world.run_for(secs(1)).expect_standing("shop", Delivered, 3);
}
