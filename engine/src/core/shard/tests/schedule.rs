//! When attempts are made: the whole schedule, and what a receiver can ask for.

use std::collections::BTreeMap;
use std::time::Duration;

use super::receiver::{Manner, asks_for, hangs, status};
use super::world::{START, World, never};
use super::{hours, ms, secs};
use crate::core::delivery::{DeliveryKey, DeliveryState::*, Progress};
use crate::core::outcome::Outcome;
use crate::core::retry::{PATIENT_WAITS_MAX, RetryPolicy};
use crate::core::tick::Tick;
use crate::core::wheel::WHEEL_STEP_MS;

fn without_lockouts() -> World {
    World::with(|limits| limits.url_lockout = never())
}

/// The moments of the requests, delivery by delivery.
fn moments(world: &World) -> BTreeMap<DeliveryKey, Vec<Tick>> {
    let mut moments = BTreeMap::<_, Vec<Tick>>::new();
    world.requests.iter().for_each(|request| moments.entry(request.key).or_default().push(request.at));
    moments
}

#[test]
fn a_failing_delivery_is_attempted_over_more_than_27_hours_and_then_exhausted() {
    let mut world = World::new().endpoint("shop", status(500));
    world.retries("shop", "5s, 30s, 2m, 10m, 30m, 1h, 2h, 4h, 8h, 12h jitter=0%").publish_to("shop", 1);
    world.run_for(hours(27)).expect_requests("shop", 10).expect_standing("shop", Pending, 1);
    world.run_to_the_end().expect_requests("shop", 11).expect_standing("shop", Exhausted, 1);
    assert!(world.now < START + hours(28));
    let last = world.ended.last().expect("it was attempted");
    assert_eq!(
        (last.number, last.progress),
        (11, Progress { attempts: 11, patience: 0, ..Progress::default() })
    );
}

#[test]
fn each_retry_of_the_default_schedule_is_made_at_its_time_within_the_jitter() {
    let mut world = without_lockouts().endpoint("shop", status(500));
    world.publish_to("shop", 20).run_to_the_end();
    let late = ms(10 + WHEEL_STEP_MS);
    for moments in moments(&world).into_values() {
        let waits = moments.windows(2).map(|pair| pair[1].since(pair[0]));
        assert_eq!(moments.len(), 11);
        for (wait, delay) in waits.zip(RetryPolicy::default().delays()) {
            assert!(wait >= delay * 9 / 10 && wait <= delay * 11 / 10 + late, "{wait:?} for {delay:?}");
        }
    }
}

#[test]
fn an_idle_shard_starts_what_is_due_no_more_than_a_step_of_the_wheel_late() {
    let mut world = without_lockouts().endpoint("shop", Manner::Flaky { percent: 70, seed: 1 });
    for _ in 0..200 {
        world.publish_to("shop", 1).run_for(ms(37));
    }
    world.run_to_the_end();
    let mut due: BTreeMap<_, Vec<Tick>> = BTreeMap::new();
    for ended in &world.ended {
        due.entry(ended.key).or_default().extend(ended.next_attempt);
    }
    for (key, moments) in moments(&world) {
        for (moment, due) in moments[1..].iter().zip(&due[&key]) {
            assert!(moment >= due && moment.since(*due) < ms(WHEEL_STEP_MS));
        }
    }
}

#[test]
fn every_delivery_ends_exactly_once_whatever_the_receiver_does() {
    let mut world = World::new().endpoint("shop", Manner::Flaky { percent: 50, seed: 7 });
    world.publish_to("shop", 2_000).run_to_the_end();
    let finals = world.ended.iter().filter(|ended| ended.state.is_final()).count();
    assert_eq!(finals, 2_000);
    assert_eq!(world.standing("shop", Delivered) + world.standing("shop", Exhausted), 2_000);
    assert_eq!(world.shard.deliveries(), 0);
}

#[test]
fn a_delivery_that_arrives_is_done() {
    let mut world = World::new().endpoint("shop", status(204));
    world
        .publish_to("shop", 1)
        .run_for(hours(48))
        .expect_requests("shop", 1)
        .expect_standing("shop", Delivered, 1);
}

#[test]
fn a_receiver_that_asks_for_patience_is_left_alone_and_no_attempt_is_used_up() {
    let mut world = World::new().endpoint("shop", status(204));
    world.change("shop", |settings| settings.in_flight_max = 1);
    world.first("shop", &[asks_for(60)]).publish_to("shop", 5);
    world.run_for(secs(59)).expect_requests("shop", 1);
    world.run_for(secs(10)).expect_standing("shop", Delivered, 5);
    assert_eq!(world.ended[0].progress, Progress { attempts: 0, patience: 1, ..Progress::default() });
    let first = world.ended.iter().rfind(|ended| ended.key == world.ended[0].key).expect("it arrived");
    assert_eq!(first.progress, Progress { attempts: 1, patience: 1, ..Progress::default() });
}

#[test]
fn a_longer_wait_stands_when_a_shorter_one_is_asked_for_later() {
    let mut world = World::new().endpoint("shop", status(204));
    world.change("shop", |settings| settings.in_flight_max = 2);
    world.first("shop", &[asks_for(100), asks_for(10).after(ms(20))]).publish_to("shop", 9);
    world.run_for(secs(99)).expect_requests("shop", 2);
    world.run_for(secs(20)).expect_standing("shop", Delivered, 9);
}

#[test]
fn patience_is_bounded() {
    let mut world = World::new().endpoint("shop", asks_for(3));
    world.publish_to("shop", 1).run_to_the_end().expect_standing("shop", Exhausted, 1);
    world.expect_requests("shop", usize::from(PATIENT_WAITS_MAX) + 11);
}

#[test]
fn an_attempt_takes_its_place_in_the_schedule_when_it_ends_not_when_it_starts() {
    let mut world = World::new().endpoint("shop", hangs());
    world.retries("shop", "10s jitter=0%").publish_to("shop", 1);
    world.run_for(secs(15)).expect_requests("shop", 1);
    world.run_for(ms(WHEEL_STEP_MS)).expect_requests("shop", 2);
    assert_eq!(world.ended[0].started, START);
}

#[test]
fn after_a_410_nothing_is_sent_the_endpoint_is_disabled_and_what_is_pending_ends_exhausted() {
    let mut world = World::new().endpoint("shop", status(410));
    world.change("shop", |settings| settings.in_flight_max = 1).publish_to("shop", 10);
    world.run_for(secs(5)).expect_requests("shop", 1);
    assert_eq!(world.disabled, [world.id("shop")]);
    world.remove("shop", Exhausted).expect_standing("shop", Exhausted, 10);
    world.run_to_the_end().expect_requests("shop", 1);
}

#[test]
fn an_endpoint_that_could_not_be_disabled_after_a_410_is_tried_again() {
    let mut world = World::new().endpoint("shop", status(204));
    world.first("shop", &[status(410)]).publish_to("shop", 1).run_for(secs(1)).publish_to("shop", 1);
    world.run_for(secs(5)).expect_requests("shop", 1);
    world.run_for(secs(5)).expect_requests("shop", 2).expect_standing("shop", Delivered, 1);
}

#[test]
fn a_clock_that_goes_back_makes_nothing_early_and_nothing_lost() {
    let mut world = World::new().endpoint("shop", status(204));
    world.first("shop", &[status(500)]).publish_to("shop", 1).run_for(secs(1));
    let due = world.ended[0].next_attempt.expect("it is tried again");
    world.now = START - hours(1);
    world.tell(crate::core::shard::Input::Wake);
    world.expect_requests("shop", 1);
    world.run_until(due - Duration::from_millis(1)).expect_requests("shop", 1);
    world.run_to_the_end().expect_outcomes("shop", Outcome::Success { status: 204 }, 1);
}

#[test]
fn a_delivery_that_waits_is_attempted_at_once_when_somebody_wants_it_so_and_once_only() {
    let mut world = World::new().endpoint("shop", status(204));
    let due = world.now + secs(60);
    let waiting = world.publish_due(&["shop"], due);
    world.send_again(waiting, "shop").run_for(secs(1)).expect_requests("shop", 1);
    world.run_for(hours(1)).expect_requests("shop", 1).expect_standing("shop", Delivered, 1);
}

#[test]
fn a_delivery_under_way_is_not_attempted_twice_when_somebody_wants_it_sent() {
    let mut world = World::new().endpoint("shop", status(204).after(ms(500)));
    let message = world.publish(&["shop"]);
    world.run_for(ms(100)).expect_requests("shop", 1);
    world.send_again(message, "shop").run_for(hours(1)).expect_requests("shop", 1);
    world.expect_standing("shop", Delivered, 1);
}
