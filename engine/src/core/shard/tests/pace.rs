//! Pace: endpoints and applications that want only so many attempts a second.

use std::num::NonZeroU16;

use super::receiver::{asks_for, status};
use super::world::World;
use super::{ms, secs};
use crate::core::delivery::DeliveryState::*;

/// A world with an endpoint that wants so many attempts a second.
fn paced(name: &'static str, rate: u16) -> World {
    let mut world = World::new().endpoint(name, status(204));
    world.paces(name, rate);
    world
}

#[test]
fn an_endpoint_is_served_at_its_pace_and_others_at_full_speed() {
    let mut world = paced("slow", 10).endpoint("shop", status(204));
    world.publish_to("slow", 1_000).publish_to("shop", 1_000).run_for(ms(9_950));
    world.expect_requests("slow", 100).expect_standing("shop", Delivered, 1_000);
}

#[test]
fn waiting_for_its_pace_uses_up_no_attempt() {
    let mut world = paced("slow", 2);
    world.publish_to("slow", 600).run_for(secs(301)).expect_standing("slow", Delivered, 600);
    assert!(world.ended.iter().all(|ended| ended.number == 1));
}

#[test]
fn attempts_that_are_made_again_keep_to_the_pace_too() {
    let mut world = paced("slow", 5);
    world.answers("slow", status(500)).publish_to("slow", 8).run_for(secs(60));
    let requests = world.requests_to("slow");
    assert!(requests.len() > 8, "some were made again");
    for pair in requests.windows(2) {
        assert!(pair[1].at.since(pair[0].at) >= ms(200 - 32), "{pair:?}");
    }
}

#[test]
fn endpoints_share_the_pace_of_their_application_evenly() {
    let mut world = World::new();
    for name in ["a", "b", "c", "d"] {
        world.add_endpoint(name, name, status(204));
    }
    world.pace.set(NonZeroU16::new(20));
    for name in ["a", "b", "c", "d"] {
        world.publish_to(name, 1_000);
    }
    world.run_for(secs(10));
    let counts = ["a", "b", "c", "d"].map(|name| world.requests_to(name).len());
    assert!((200..=202).contains(&counts.iter().sum::<usize>()), "{counts:?}");
    assert!(counts.iter().all(|count| (50..=51).contains(count)), "{counts:?}");
}

#[test]
fn an_endpoint_may_be_slower_than_its_application() {
    let mut world = paced("slow", 2).endpoint("shop", status(204));
    world.pace.set(NonZeroU16::new(10));
    world.publish_to("slow", 1_000).publish_to("shop", 1_000).run_for(secs(10));
    let (slow, shop) = (world.requests_to("slow").len(), world.requests_to("shop").len());
    assert!((16..=21).contains(&slow), "{slow}, at its pace but for the time it waits for its application's");
    assert!(
        (100..=102).contains(&(slow + shop)),
        "{shop} beside {slow}: what one leaves is there for the other"
    );
}

#[test]
fn a_pace_that_is_lifted_lets_everything_go() {
    let mut world = paced("slow", 1);
    world.publish_to("slow", 100).run_for(secs(5));
    world.paces("slow", 0).run_for(secs(2)).expect_standing("slow", Delivered, 100);
}

#[test]
fn an_endpoint_that_asks_for_patience_gets_it_however_fast_its_pace() {
    let mut world = paced("slow", 100);
    world.first("slow", &[asks_for(30)]).publish_to("slow", 1).run_for(secs(1)).publish_to("slow", 10);
    world.run_for(secs(28)).expect_requests("slow", 1);
}

#[test]
fn an_endpoint_that_goes_while_it_waits_for_its_application_holds_up_nobody() {
    let mut world = World::new().endpoint("leaver", status(204)).endpoint("shop", status(204));
    world.pace.set(NonZeroU16::new(10));
    world.publish_to("leaver", 100).publish_to("shop", 100).run_for(secs(2));
    world.remove("leaver", Cancelled).run_for(secs(9)).expect_standing("shop", Delivered, 100);
}
