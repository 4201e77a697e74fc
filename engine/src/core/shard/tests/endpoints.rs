//! Endpoints that change, move and go while deliveries to them are on their way.

use super::receiver::{asks_for, hangs, refuses, status};
use super::world::{START, World, after, never};
use super::{hours, ms, secs};
use crate::core::delivery::DeliveryState::*;
use crate::core::outcome::Outcome;

/// One delivery in flight, one in the queue, one that waits for its retry.
fn three_deliveries() -> World {
    let mut world = World::new().endpoint("shop", hangs());
    world.change("shop", |settings| settings.in_flight_max = 1).first("shop", &[status(500)]);
    world.publish_to("shop", 1).run_for(secs(1)).publish_to("shop", 2);
    world
}

#[test]
fn what_is_pending_for_a_removed_endpoint_ends_and_nothing_more_is_sent() {
    let mut world = three_deliveries();
    world.remove("shop", Cancelled).expect_standing("shop", Cancelled, 2);
    world.run_to_the_end().expect_standing("shop", Cancelled, 3).expect_requests("shop", 2);
    assert_eq!(world.shard.deliveries(), 0);
}

#[test]
fn the_queue_of_a_removed_endpoint_leaves_memory_although_the_receiver_asked_for_patience() {
    let mut world = World::new().endpoint("shop", asks_for(24 * 3_600));
    world.publish_to("shop", 1).run_for(secs(1)).publish_to("shop", 100).remove("shop", Cancelled);
    assert_eq!(world.shard.deliveries(), 0);
}

#[test]
fn an_attempt_in_flight_to_a_removed_endpoint_may_still_arrive() {
    let mut world = World::new().endpoint("shop", status(204).after(secs(2)));
    world.publish_to("shop", 1).remove("shop", Cancelled).run_to_the_end();
    world.expect_standing("shop", Delivered, 1);
}

#[test]
fn what_is_pending_for_an_endpoint_that_moves_away_is_handed_to_the_ledger() {
    let mut world = three_deliveries();
    let retry = world.ended[0].next_attempt.expect("it is tried again");
    world.move_away("shop").run_for(hours(1)).expect_requests("shop", 2);
    let mut due: Vec<_> = world.parked.iter().map(|parked| parked.due).collect();
    due.sort();
    assert_eq!(due, [crate::core::tick::Tick::ZERO, retry], "neither is due earlier than it was");
    assert!(world.ended[1].forgotten, "the one in flight followed");
    assert_eq!(world.shard.deliveries(), 0);
    world.answers("shop", status(204)).arrive("shop").run_to_the_end().expect_standing("shop", Delivered, 3);
}

#[test]
fn a_delivery_to_an_endpoint_that_is_not_here_is_parked_and_not_due_earlier() {
    let mut world = World::new().endpoint("shop", status(204));
    world.move_away("shop").publish_due(&["shop"], START + secs(40));
    assert_eq!(world.parked[0].due, START + secs(40));
    world.arrive("shop").run_for(secs(39)).expect_requests("shop", 0);
    world.run_for(secs(2)).expect_requests("shop", 1);
}

#[test]
fn attempts_are_recorded_with_the_revision_under_which_they_were_made() {
    let mut world = World::new().endpoint("shop", status(204).after(secs(2)));
    world.publish_to("shop", 1).change("shop", |_| {}).publish_to("shop", 1).run_to_the_end();
    let revisions: Vec<_> = world.ended.iter().map(|ended| ended.revision).collect();
    assert_eq!(revisions, [1, 2]);
}

#[test]
fn a_new_retry_policy_holds_from_the_next_failure_on() {
    let mut world = World::new().endpoint("shop", status(500));
    world.retries("shop", "none").publish_to("shop", 1).retries("shop", "10s").run_for(secs(1));
    world.expect_standing("shop", Pending, 1).run_to_the_end().expect_requests("shop", 2);
}

#[test]
fn a_new_url_is_not_blamed_for_the_old_one() {
    let mut world = World::with(|limits| limits.url_lockout = after(3)).endpoint("shop", hangs());
    world.publish_to("shop", 20).run_for(secs(1)).answers("shop", status(204));
    world.change_url("shop", "shop").run_for(secs(20));
    world.expect_outcomes("shop", Outcome::UrlLockedOut, 0).expect_standing("shop", Delivered, 20);
}

#[test]
fn a_new_url_need_not_be_patient_for_the_old_one() {
    let mut world = World::new().endpoint("shop", status(204));
    world.first("shop", &[asks_for(3_600)]).publish_to("shop", 1).run_for(secs(1)).publish_to("shop", 5);
    world.run_for(secs(10)).expect_requests("shop", 1);
    world.change_url("shop", "elsewhere").run_for(secs(1)).expect_standing("shop", Delivered, 5);
}

#[test]
fn those_who_wait_for_a_probe_go_on_when_its_endpoint_moves_to_another_host() {
    let mut world = World::with(|limits| (limits.url_lockout, limits.host_lockout) = (never(), after(3)))
        .endpoint_on("host", "a", refuses())
        .endpoint_on("host", "b", status(204));
    world.retries("a", "none").publish_to("a", 3).run_for(secs(40)).answers("a", hangs());
    world.publish(&["a", "b"]);
    world.run_for(secs(1)).change_url("a", "another").answers("a", status(204));
    world.run_for(secs(10)).expect_standing("b", Delivered, 1);
    world.run_to_the_end();
}

#[test]
fn those_who_wait_for_room_go_on_when_the_endpoint_that_has_it_moves_to_another_host() {
    let mut world = World::with(|limits| limits.host_in_flight_max = 2)
        .endpoint_on("host", "a", hangs())
        .endpoint_on("host", "b", status(204));
    world.publish_to("a", 5).publish_to("b", 5).change_url("a", "another").run_for(secs(6));
    world.expect_standing("b", Delivered, 5);
    world.answers("a", status(204)).run_to_the_end().expect_standing("a", Delivered, 5);
}

#[test]
fn the_places_of_endpoints_that_are_gone_are_used_again() {
    let mut world = World::new();
    for round in 0..200 {
        let name: &'static str = format!("e{round}").leak();
        world.add_endpoint(name, name, if round % 2 == 0 { hangs() } else { asks_for(30) });
        world.publish_to(name, round % 20).run_for(ms(50)).remove(name, Cancelled).run_for(secs(40));
    }
    assert!(world.shard.endpoints.len() <= 2, "{} places", world.shard.endpoints.len());
    world.run_to_the_end();
}
