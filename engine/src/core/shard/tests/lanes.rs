//! Lanes: messages with one ordering key reach an endpoint in their order.

use super::receiver::status;
use super::world::{World, never};
use super::{hours, ms, secs};
use crate::core::delivery::DeliveryState::*;
use crate::core::tick::Tick;

fn world() -> World {
    World::with(|limits| limits.url_lockout = never()).endpoint("shop", status(204).after(ms(20)))
}

#[test]
fn messages_of_one_key_are_sent_one_at_a_time_in_their_order_and_others_beside_them() {
    let mut world = world();
    let ordered: Vec<_> = (0..5).map(|_| world.publish_in_lane(&["shop"], Tick::ZERO, 7)).collect();
    world.publish_in_lane(&["shop"], Tick::ZERO, 8);
    world.publish(&["shop"]);
    world.run_for(ms(10)).expect_requests("shop", 3);
    world.run_for(secs(1)).expect_standing("shop", Delivered, 7);
    let sent = world.requests_to("shop");
    let in_lane: Vec<_> =
        sent.iter().map(|request| request.key.message).filter(|id| ordered.contains(id)).collect();
    assert_eq!(in_lane, ordered);
    for pair in
        sent.iter().filter(|request| ordered.contains(&request.key.message)).collect::<Vec<_>>().windows(2)
    {
        assert!(pair[1].at.since(pair[0].at) >= ms(20), "one begins when the one before has ended");
    }
}

#[test]
fn those_behind_wait_through_all_retries_of_the_one_before_and_no_other_key_does() {
    let mut world = world();
    world.retries("shop", "1h, 1h jitter=0%").answers("shop", status(500));
    world.publish_in_lane(&["shop"], Tick::ZERO, 7);
    world.publish_in_lane(&["shop"], Tick::ZERO, 7);
    world.run_for(secs(60)).expect_requests("shop", 1);
    world.answers("shop", status(204));
    world.publish_in_lane(&["shop"], Tick::ZERO, 8);
    world.run_for(secs(60)).expect_standing("shop", Delivered, 1);
    world.run_for(hours(1)).expect_standing("shop", Delivered, 3);
}

#[test]
fn one_that_is_exhausted_or_taken_back_lets_the_next_go() {
    let mut world = world();
    world.retries("shop", "none").answers("shop", status(500));
    world.publish_in_lane(&["shop"], Tick::ZERO, 7);
    let second = world.publish_in_lane(&["shop"], Tick::ZERO, 7);
    world.publish_in_lane(&["shop"], Tick::ZERO, 7);
    world.cancel(second).run_for(secs(1)).expect_standing("shop", Exhausted, 2);
    world.expect_standing("shop", Cancelled, 1);
}

#[test]
fn a_scheduled_one_holds_up_those_behind_it() {
    let mut world = world();
    let due = world.now + hours(3);
    world.publish_in_lane(&["shop"], due, 7);
    world.publish_in_lane(&["shop"], Tick::ZERO, 7);
    world.run_for(hours(2)).expect_requests("shop", 0);
    world.run_for(hours(2)).expect_standing("shop", Delivered, 2);
    assert_eq!(world.parked.len(), 0, "the ledger would not keep their order");
}

#[test]
fn order_is_kept_when_the_endpoint_moves_to_another_host() {
    let mut world = world();
    world.retries("shop", "30s jitter=0%").answers("shop", status(500));
    let ordered: Vec<_> = (0..4).map(|_| world.publish_in_lane(&["shop"], Tick::ZERO, 7)).collect();
    world.run_for(secs(1)).expect_requests("shop", 1);
    world.answers("shop", status(204)).change_url("shop", "elsewhere");
    world.run_for(secs(60)).expect_standing("shop", Delivered, 4);
    let sent: Vec<_> = world.requests_to("shop").iter().skip(1).map(|request| request.key.message).collect();
    assert_eq!(sent, ordered);
}
