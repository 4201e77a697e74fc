//! Fairness: windows, caps, and turns.

use super::receiver::{asks_for, hangs, refuses, status};
use super::world::{World, never};
use super::{ms, secs};
use crate::core::delivery::DeliveryState::*;

const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

/// A world without lockouts.
fn with(in_flight_max: u32, host_in_flight_max: u32) -> World {
    World::with(|limits| {
        (limits.in_flight_max, limits.host_in_flight_max) = (in_flight_max, host_in_flight_max);
        (limits.url_lockout, limits.host_lockout) = (never(), never());
    })
}

#[test]
fn a_window_widens_while_the_receiver_answers_up_to_its_max() {
    let mut world = with(1_024, 256).endpoint("shop", status(204));
    world.publish_to("shop", 10_000);
    for wide in [8, 16, 32, 64, 128, 128] {
        assert_eq!(world.flights.to(world.id("shop")), wide);
        world.run_for(ms(10));
    }
}

#[test]
fn a_window_halves_while_the_receiver_is_silent_down_to_one() {
    let mut world = with(1_024, 256).endpoint("shop", hangs());
    world.publish_to("shop", 10_000);
    for narrow in [8, 1, 1] {
        assert_eq!(world.flights.to(world.id("shop")), narrow);
        world.run_for(secs(5));
    }
}

#[test]
fn a_window_halves_when_the_receiver_asks_for_patience() {
    let mut world = with(1_024, 256).endpoint("shop", status(204).after(secs(1)));
    world.first("shop", &[asks_for(10).after(secs(1))]).publish_to("shop", 100);
    world.run_for(secs(9)).expect_requests("shop", 8);
    world.run_for(ms(2_100));
    assert_eq!(world.flights.to(world.id("shop")), 4 + 7, "one halving, seven answers");
}

#[test]
fn a_window_follows_a_lower_limit_at_once() {
    let mut world = with(1_024, 256).endpoint("shop", status(204).after(secs(1)));
    world.publish_to("shop", 1_000).run_for(secs(3)).change("shop", |settings| settings.in_flight_max = 2);
    world.run_for(secs(2));
    assert_eq!(world.flights.to(world.id("shop")), 2);
}

#[test]
fn endpoints_of_a_host_share_its_cap_evenly() {
    let mut world = with(1_024, 10);
    for name in NAMES {
        world.add_endpoint("host", name, status(204).after(ms(100)));
        world.publish_to(name, 1_000);
    }
    world.run_for(secs(10));
    let counts = NAMES.map(|name| world.requests_to(name).len());
    let (min, max) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(max - min <= 8, "the first began with its whole window: {counts:?}");
    assert!(counts.iter().sum::<usize>() >= 1_000, "the host's cap is used: {counts:?}");
}

#[test]
fn endpoints_with_narrow_windows_take_turns_at_a_host_that_is_full() {
    let mut world = with(1_024, 2);
    for name in NAMES {
        world.add_endpoint("host", name, hangs());
        world.change(name, |settings| settings.in_flight_max = 1).publish_to(name, 100);
    }
    world.run_for(secs(60));
    let counts = NAMES.map(|name| world.requests_to(name).len());
    assert!(counts.iter().all(|count| (2..=3).contains(count)), "{counts:?}");
}

#[test]
fn newcomers_do_not_overtake_those_who_wait_for_room_at_a_host() {
    let mut world = with(2, 1).endpoint("other", status(204).after(ms(70)));
    let names: Vec<&'static str> = (0..50).map(|number| &*format!("e{number}").leak()).collect();
    for name in &names {
        world.add_endpoint("host", name, status(204).after(ms(100)));
        world.publish_to(name, 1);
    }
    world.publish_to("other", 1).run_for(secs(10));
    // All are known as prompt. Now the other host keeps the shard full, so that there is a line to stand in.
    world.publish_to("other", 1_000).requests.clear();
    for name in &names {
        world.publish_to(name, 1).run_for(ms(30));
    }
    world.run_for(secs(20));
    let order = names.iter().map(|name| world.requests_to(name)[0].at);
    assert!(order.is_sorted(), "first come, first served");
}

#[test]
fn a_host_that_is_full_keeps_nobody_else_waiting() {
    let mut world = with(16, 4).endpoint("slow", hangs()).endpoint("shop", status(204));
    world.publish_to("slow", 1_000).publish_to("shop", 100).run_for(secs(1));
    world.expect_standing("shop", Delivered, 100);
}

/// Eighty healthy endpoints with all the work they can take, and twenty that do this. Returns what the
/// healthy ones received within 40 seconds.
fn healthy_beside(neighbour: super::receiver::Answer, in_flight_max: u32, lockouts: bool) -> usize {
    let mut world = if lockouts {
        World::with(|limits| limits.in_flight_max = in_flight_max)
    } else {
        with(in_flight_max, 256)
    };
    let names: Vec<&'static str> = (0..100).map(|n| &*format!("e{n}").leak()).collect();
    for (number, name) in names.iter().enumerate() {
        let is_neighbour = number % 5 == 0;
        world.add_endpoint(name, name, if is_neighbour { neighbour } else { status(204).after(ms(200)) });
        world.change(name, |settings| settings.in_flight_max = if is_neighbour { 128 } else { 2 });
        world.publish_to(name, 500);
    }
    world.run_for(secs(40));
    let healthy = names.iter().enumerate().filter(|(number, _)| number % 5 != 0);
    healthy.map(|(_, name)| world.requests_to(name).len()).sum()
}

#[test]
fn a_shard_full_of_hanging_endpoints_serves_the_healthy_ones_at_full_speed() {
    let alone = healthy_beside(status(204).after(ms(200)), 10_000, false);
    for lockouts in [false, true] {
        let beside = healthy_beside(hangs(), 400, lockouts);
        assert!(beside * 100 >= alone * 95, "{beside} instead of {alone}, lockouts: {lockouts}");
    }
}

#[test]
fn endpoints_that_refuse_connections_take_nothing_from_the_healthy_ones() {
    let alone = healthy_beside(status(204).after(ms(200)), 10_000, false);
    let beside = healthy_beside(refuses(), 400, true);
    assert!(beside * 100 >= alone * 95, "{beside} instead of {alone}");
}

#[test]
fn hanging_endpoints_hold_half_of_the_shard_and_no_more() {
    let mut world = with(8, 256);
    for name in NAMES {
        world.add_endpoint(name, name, hangs());
        world.publish_to(name, 10);
    }
    world.run_for(secs(30));
    assert_eq!(world.flights.len(), 4);
    let counts = NAMES.map(|name| world.requests_to(name).len());
    assert!(counts.iter().all(|count| *count >= 2), "they take turns: {counts:?}");
}

#[test]
fn an_endpoint_that_turns_out_prompt_does_not_wait_with_the_hanging_ones_again() {
    let mut world = with(4, 256);
    for name in NAMES {
        world.add_endpoint(name, name, hangs());
        world.publish_to(name, 100);
    }
    world.add_endpoint("new", "new", status(204));
    world.publish_to("new", 50).run_for(secs(60)).expect_standing("new", Delivered, 50);
}

#[test]
fn those_who_wait_for_their_half_are_served_although_others_ahead_of_them_are_refused() {
    let mut world = World::with(|limits| limits.in_flight_max = 2);
    for name in NAMES {
        world.add_endpoint(name, name, hangs());
        world.retries(name, "1s, 1s, 1s").publish_to(name, 20);
    }
    world.run_to_the_end();
    for name in NAMES {
        world.expect_standing(name, Exhausted, 20);
    }
}

#[test]
fn thousands_that_fall_due_at_once_keep_nobody_waiting() {
    let mut world = with(1_024, 256).endpoint("failing", status(500)).endpoint("shop", status(204));
    world.retries("failing", "60s jitter=0%").publish_to("failing", 5_000).run_for(secs(50));
    world.publish_to("shop", 1).is_held_back = true;
    world.run_for(secs(100)).is_held_back = false;
    let waiting = world.shard.wheel.len();
    assert!(waiting > 4_000);
    world.shard.handle(world.now, crate::core::shard::Input::Wake);
    assert!(matches!(world.shard.poll_action(), Some(crate::core::shard::Action::Start(_))));
    assert!(world.shard.wheel.len() > waiting - 100, "it started before all were moved");
}
