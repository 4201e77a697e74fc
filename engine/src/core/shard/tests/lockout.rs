//! Lockouts: what is sent to a door that stays shut, and what becomes of what is not.

use super::receiver::{asks_for, hangs, refuses, status, unsendable};
use super::world::{World, after, never};
use super::{hours, secs};
use crate::core::delivery::{DeliveryState::*, Progress};
use crate::core::health::{Admit, HealthChange};
use crate::core::outcome::Outcome;
use crate::core::shard::Door;

/// URLs are locked out after so many failures in a row, hosts never.
fn urls_after(failures: u32) -> World {
    World::with(|limits| (limits.url_lockout, limits.host_lockout) = (after(failures), never()))
}

/// Hosts are locked out after so many failures in a row, URLs never.
fn hosts_after(failures: u32) -> World {
    World::with(|limits| (limits.url_lockout, limits.host_lockout) = (never(), after(failures)))
}

#[test]
fn a_locked_out_url_gets_exactly_one_probe_when_its_wait_ends() {
    let mut world = urls_after(3).endpoint("shop", status(500));
    world.change("shop", |settings| settings.in_flight_max = 1).retries("shop", "1m, 1m jitter=0%");
    world.publish_to("shop", 10).run_for(secs(55)).expect_requests("shop", 3);
    world.expect_outcomes("shop", Outcome::UrlLockedOut, 7);
    world.run_for(secs(10)).expect_requests("shop", 4); // the probe, and nothing else
}

#[test]
fn a_refused_attempt_counts_and_is_recorded_as_failed() {
    let mut world = urls_after(1).endpoint("shop", status(500));
    world.retries("shop", "10s, 10s jitter=0%").publish_to("shop", 1).run_for(secs(25));
    world.expect_requests("shop", 1).expect_standing("shop", Exhausted, 1);
    let attempts: Vec<_> = world.ended.iter().map(|ended| (ended.number, ended.outcome)).collect();
    let locked_out = Outcome::UrlLockedOut;
    assert_eq!(attempts, [(1, Outcome::BadStatus { status: 500 }), (2, locked_out), (3, locked_out)]);
    assert_eq!(world.ended[2].progress, Progress { attempts: 3, patience: 0, ..Progress::default() });
}

#[test]
fn waits_grow_while_probes_fail_and_the_first_that_succeeds_opens_the_door() {
    let mut world = urls_after(3).endpoint("shop", status(500));
    world.retries("shop", "none");
    for _ in 0..700 {
        world.publish_to("shop", 1).run_for(secs(5));
    }
    let requests = world.requests_to("shop");
    let waits: Vec<_> = requests[2..].windows(2).map(|pair| pair[1].at.since(pair[0].at).as_secs()).collect();
    assert_eq!(waits.len(), 7);
    for (wait, least) in waits.into_iter().zip([30, 60, 120, 240, 480, 900, 900]) {
        assert!((least..=least + 6).contains(&wait), "{wait} s instead of {least}");
    }
    world.answers("shop", status(204)).run_for(secs(900)).publish_to("shop", 100).run_for(secs(5));
    world.expect_standing("shop", Delivered, 100);
    assert_eq!(world.health.last(), Some(&(world.id("shop"), Door::Url, HealthChange::Recovered)));
}

#[test]
fn people_hear_of_a_lockout_when_it_begins_and_each_time_it_goes_on() {
    let mut world = urls_after(2).endpoint("shop", status(500));
    world.retries("shop", "40s, 70s jitter=0%").publish_to("shop", 2).run_for(secs(45));
    let changes: Vec<_> = world.health.iter().map(|(_, door, change)| (*door, *change)).collect();
    assert!(
        matches!(
            changes[..],
            [(Door::Url, HealthChange::LockedOut { .. }), (Door::Url, HealthChange::StaysLockedOut { .. })]
        ),
        "{changes:?}"
    );
}

#[test]
fn connections_that_fail_lock_out_all_urls_of_the_host() {
    let mut world = hosts_after(3).endpoint_on("host", "a", refuses()).endpoint_on("host", "b", status(204));
    world.publish_to("a", 3).run_for(secs(1)).publish_to("b", 5).run_for(secs(1));
    world.expect_requests("b", 0).expect_outcomes("b", Outcome::HostLockedOut, 5);
    world.run_to_the_end().expect_standing("b", Delivered, 5);
}

#[test]
fn another_host_hears_nothing_of_a_lockout() {
    let mut world = hosts_after(3).endpoint("a", refuses()).endpoint("b", status(204));
    world.publish_to("a", 3).run_for(secs(1)).publish_to("b", 5).run_for(secs(1));
    world.expect_standing("b", Delivered, 5);
}

#[test]
fn bad_statuses_and_silence_lock_out_their_url_and_not_the_host() {
    let mut world = World::with(|limits| (limits.url_lockout, limits.host_lockout) = (after(3), after(3)))
        .endpoint_on("host", "bad", status(500))
        .endpoint_on("host", "silent", hangs())
        .endpoint_on("host", "fine", status(204));
    world.retries("bad", "none").retries("silent", "none");
    world.publish_to("bad", 3).publish_to("silent", 3).run_for(secs(10));
    world.publish_to("bad", 1).publish_to("silent", 1).publish_to("fine", 5).run_for(secs(1));
    world.expect_outcomes("bad", Outcome::UrlLockedOut, 1).expect_outcomes(
        "silent",
        Outcome::UrlLockedOut,
        1,
    );
    world.expect_standing("fine", Delivered, 5);
}

#[test]
fn while_a_url_is_probed_the_others_wait_and_are_not_refused() {
    let mut world = urls_after(3).endpoint("shop", status(500));
    world.retries("shop", "none").publish_to("shop", 3).run_for(secs(40));
    world.answers("shop", status(204).after(secs(3))).publish_to("shop", 5);
    world.run_for(secs(2)).expect_requests("shop", 4).expect_outcomes("shop", Outcome::UrlLockedOut, 0);
    world.run_for(secs(5)).expect_standing("shop", Delivered, 5);
}

#[test]
fn when_the_probe_fails_those_that_waited_are_refused() {
    let mut world = urls_after(3).endpoint("shop", status(500));
    world.retries("shop", "none").publish_to("shop", 3).run_for(secs(40));
    world.answers("shop", hangs()).publish_to("shop", 5).run_for(secs(6));
    world.expect_requests("shop", 4).expect_outcomes("shop", Outcome::UrlLockedOut, 4);
}

#[test]
fn while_a_host_is_probed_all_its_endpoints_wait_and_all_go_on_when_it_answers() {
    let mut world = hosts_after(3).endpoint_on("host", "a", refuses());
    for name in ["b", "c", "d"] {
        world.add_endpoint("host", name, status(204));
    }
    world.retries("a", "none").publish_to("a", 3).run_for(secs(40)).answers("a", status(500).after(secs(3)));
    world.publish(&["a", "b", "c", "d"]);
    world.run_for(secs(2)).expect_requests("a", 4);
    for name in ["b", "c", "d"] {
        world.expect_requests(name, 0);
    }
    world.run_for(secs(2));
    for name in ["b", "c", "d"] {
        world.expect_standing(name, Delivered, 1);
    }
    world.expect_outcomes("b", Outcome::HostLockedOut, 0);
}

#[test]
fn a_probe_that_was_never_sent_lets_another_go_at_once() {
    let mut world = urls_after(3).endpoint("shop", status(500));
    world.retries("shop", "none").publish_to("shop", 3).run_for(secs(40));
    world.answers("shop", status(204)).first("shop", &[unsendable()]).publish_to("shop", 2).run_for(secs(1));
    world.expect_standing("shop", Delivered, 1).expect_outcomes("shop", Outcome::RequestInvalid, 1);
}

#[test]
fn a_probe_answered_with_a_plea_for_patience_has_not_opened_the_door() {
    let mut world = urls_after(3).endpoint("shop", status(500));
    world.retries("shop", "none").publish_to("shop", 3).run_for(secs(40));
    world.answers("shop", asks_for(1)).publish_to("shop", 2).run_for(secs(20));
    world.expect_requests("shop", 4).expect_outcomes("shop", Outcome::UrlLockedOut, 2);
}

#[test]
fn a_probe_that_someone_else_sent_is_waited_for() {
    let mut world = urls_after(3).endpoint("shop", status(500));
    world.retries("shop", "none").publish_to("shop", 3).run_for(secs(40)).answers("shop", status(204));
    let (url, rule) = (world.settings("shop").url_health.clone(), world.limits.url_lockout);
    assert_eq!(url.admit(world.now, &rule), Admit::GoAsProbe);
    world.publish_to("shop", 2).run_for(secs(20)).expect_requests("shop", 3);
    url.on_outcome(world.now, true, true, &rule);
    world.run_for(secs(2)).expect_standing("shop", Delivered, 2);
}

#[test]
fn a_delivery_whose_schedule_outlasts_the_lockouts_arrives_when_the_receiver_is_back() {
    let mut world = urls_after(10).endpoint("shop", hangs());
    world.publish_to("shop", 500).run_for(hours(10)).answers("shop", status(204)).run_to_the_end();
    world.expect_standing("shop", Delivered, 500);
    assert!(world.requests_to("shop").len() < 1_200, "{}", world.requests_to("shop").len());
}
