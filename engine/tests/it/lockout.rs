//! Lockouts: a URL that keeps failing is left alone, but for one probe when its wait is over.

use std::time::Duration;

use posthaste_protocol::{OutcomeRecord, StreamId};
use serde_json::json;

use crate::harness::{APPLICATION, Answer, Follower, Receiver, World, steady, wait_for_async, wait_until};

const FAILURES: usize = 3;
const WAIT_FIRST: Duration = Duration::from_secs(1);
const SETTINGS: [(&str, &str); 4] = [
    ("lockout.url.consecutive_failures", "3"),
    ("lockout.url.wait_first", "'1s'"),
    ("lockout.url.wait_factor", "2"),
    ("lockout.url.probe_timeout", "'30s'"),
];

/// A world whose receiver answers 500, and whose endpoint has this policy.
async fn failing(policy: &str) -> (World, Follower) {
    let receiver = Receiver::answering(Answer::Status(500)).await;
    let world = World::with(&SETTINGS, json!({ "retryPolicy": policy }), receiver).await;
    let follower = world.follow().await;
    (world, follower)
}

/// Publishes one message that is tried once, and returns how that ended.
async fn publish_and_see(world: &World, follower: &Follower) -> OutcomeRecord {
    let message = world.publish_one().await;
    wait_until("the outcome", || !follower.outcomes_of(message).is_empty()).await;
    follower.outcomes_of(message).remove(0)
}

/// As many failures as it takes.
async fn lock_out(world: &World, follower: &Follower) {
    for _ in 0..FAILURES {
        assert_eq!(publish_and_see(world, follower).await.outcome, "bad_status");
    }
}

/// Publishes one message after the other, each tried once, until one is not refused. Returns how that one ended,
/// and how many were refused.
async fn publish_until_let_through(world: &World, follower: &Follower) -> (OutcomeRecord, usize) {
    let mut refused = 0;
    let let_through = wait_for_async("the end of the lockout", async || {
        let outcome = publish_and_see(world, follower).await;
        refused += usize::from(outcome.outcome == "url_locked_out");
        (outcome.outcome != "url_locked_out").then_some(outcome)
    });
    (let_through.await, refused)
}

#[tokio::test]
async fn during_a_lockout_the_receiver_sees_nothing_but_one_probe_when_each_wait_is_over() {
    let (world, follower) = failing("none").await;
    lock_out(&world, &follower).await;
    for lockout in 0..2 {
        let before = world.receiver.count();
        let (probe, refused) = publish_until_let_through(&world, &follower).await;
        assert_eq!(probe.outcome, "bad_status");
        assert!(refused > 0);
        assert_eq!(world.receiver.count(), before + 1, "the probe, and nothing else");
        let received = world.receiver.received();
        let wait = received[before].at - received[before - 1].at;
        assert!(wait >= WAIT_FIRST * 2_u32.pow(lockout), "lockout {lockout} lasted {wait:?}");
    }
    let told = follower.outcomes();
    let refused = told.iter().filter(|outcome| outcome.outcome == "url_locked_out");
    assert!(refused.clone().all(|outcome| outcome.state == "exhausted" && outcome.status.is_none()));
    assert_eq!(told.len(), refused.count() + world.receiver.count(), "refused ones were not sent");
}

#[tokio::test]
async fn a_probe_that_succeeds_ends_the_lockout() {
    let (world, follower) = failing("none").await;
    lock_out(&world, &follower).await;
    world.receiver.answers(Answer::Status(204));
    let (probe, refused) = publish_until_let_through(&world, &follower).await;
    assert_eq!(probe.outcome, "success");
    assert!(refused > 0);
    let before = world.receiver.count();
    world.publish(20).await;
    world.receiver.had(before + 20).await;
}

#[tokio::test]
async fn attempts_refused_by_a_lockout_are_in_the_history_as_failed_and_use_up_the_policy() {
    let (world, follower) = failing("100ms, 100ms, 100ms, 100ms, 100ms jitter=0%").await;
    let message = world.publish_one().await;
    follower.saw(1, "exhausted").await;
    let sent = world.receiver.received_of(&format!("msg_{message}")).len();
    assert_eq!(sent, FAILURES, "the rest fell into the lockout");

    let mut attempts = world.api().attempts(APPLICATION, &format!("msg_{message}")).await;
    attempts.reverse();
    let column = |name: &str| attempts.iter().map(|attempt| attempt[name].clone()).collect::<Vec<_>>();
    let (failed, refused) = ("bad_status", "url_locked_out");
    assert_eq!(column("outcome"), [failed, failed, failed, refused, refused, refused]);
    assert_eq!(column("attemptNumber"), [1, 2, 3, 4, 5, 6]);
    assert_eq!(column("responseStatusCode"), [500, 500, 500, 0, 0, 0]);
    assert_eq!(column("statusText"), ["fail"; 6]);
    assert_eq!(attempts[5]["state"], "exhausted");
}

#[tokio::test]
async fn retries_go_on_when_the_lockout_is_over() {
    let (world, follower) = failing(&steady("300ms")).await;
    let messages: Vec<StreamId> = world.publish(20).await;
    wait_until("a lockout", || {
        follower.outcomes().iter().filter(|outcome| outcome.outcome == "url_locked_out").count() >= 20
    })
    .await;
    world.receiver.answers(Answer::Status(204));
    follower.saw(messages.len(), "delivered").await;
    assert_eq!(follower.ended("exhausted"), 0);
}

#[tokio::test]
async fn a_lockout_of_one_url_leaves_the_others_of_its_host_alone() {
    let receiver = Receiver::behaving(|received, _| {
        Answer::Status(if received.header("x-which") == "bad" { 500 } else { 204 })
    });
    let endpoint = json!({ "retryPolicy": "none", "headers": { "X-Which": "bad" } });
    let world = World::with(&SETTINGS, endpoint, receiver.await).await;
    let follower = world.follow().await;
    let url = world.receiver.url().replace("/hook", "/other");
    world.api().make_endpoint(APPLICATION, &json!({ "url": url })).await;
    for _ in 0..20 {
        world.publish_one().await;
    }
    follower.saw(20, "delivered").await;
    follower.saw(20, "exhausted").await;
    let told = follower.outcomes();
    assert!(told.iter().any(|outcome| outcome.outcome == "url_locked_out"));
    assert!(told.iter().all(|outcome| outcome.outcome != "host_locked_out"));
}
