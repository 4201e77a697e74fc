//! One bad endpoint never slows another. Shown by counts, not by the clock.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{APPLICATION, Answer, Receiver, World, steady, wait_until};

const MESSAGES: usize = 1_000;
/// Nothing that hangs is given up before the test is over.
const TIMEOUT: (&str, &str) = ("delivery.timeout_total", "'5m'");
const FIRST_BYTE: (&str, &str) = ("delivery.timeout_first_byte", "'5m'");
const PROBE: (&str, &str) = ("lockout.url.probe_timeout", "'10m'");

#[tokio::test]
async fn an_endpoint_that_hangs_does_not_slow_one_that_answers() {
    let receiver = Receiver::answering(Answer::Status(204)).await;
    // As few attempts in flight as a shard can have: the hanging one must not take them all.
    let settings =
        [TIMEOUT, FIRST_BYTE, PROBE, ("shards.count", "1"), ("shards.endpoint_in_flight_max", "16")];
    let world = World::with(&settings, json!({}), receiver).await;
    let hanging = Receiver::answering(Answer::Hang).await;
    world.add_endpoint(json!({}), &hanging).await;
    world.publish(MESSAGES).await;
    world.receiver.had(MESSAGES).await;
    assert!(hanging.count() >= 1);
    assert!(hanging.count() <= 16, "the window of an endpoint that does not answer stays shut");
}

#[tokio::test]
async fn a_hundred_endpoints_that_hang_do_not_stop_one_that_answers() {
    let receiver = Receiver::answering(Answer::Status(204)).await;
    let settings = [TIMEOUT, FIRST_BYTE, PROBE, ("shards.count", "1")];
    let world = World::with(&settings, json!({}), receiver).await;
    let hanging = Receiver::answering(Answer::Hang).await;
    for _ in 0..100 {
        world.add_endpoint(json!({}), &hanging).await;
    }
    world.publish(200).await;
    world.receiver.had(200).await;
    assert!(hanging.count() >= 1);
}

#[tokio::test]
async fn an_endpoint_that_fails_does_not_slow_one_that_answers() {
    let receiver = Receiver::answering(Answer::Status(204)).await;
    let world = World::with(&[], json!({}), receiver).await;
    let failing = Receiver::answering(Answer::Status(500)).await;
    world.add_endpoint(json!({ "retryPolicy": steady("50ms") }), &failing).await;
    world.publish(MESSAGES).await;
    world.receiver.had(MESSAGES).await;
    assert_eq!(world.receiver.count(), MESSAGES);
    assert!(failing.count() < MESSAGES, "the lockout spares the failing one the rest");
}

#[tokio::test]
async fn an_endpoint_that_wants_one_message_a_second_gets_no_more_and_the_others_do_not_wait_for_it() {
    let receiver = Receiver::answering(Answer::Status(204)).await;
    let world = World::with(&[], json!({}), receiver).await;
    let slow = Receiver::answering(Answer::Status(204)).await;
    world.add_endpoint(json!({ "throttleRate": 1 }), &slow).await;
    let began = Instant::now();
    world.publish(MESSAGES).await;
    world.receiver.had(MESSAGES).await;
    slow.had(2).await;
    let count = slow.count() as u64;
    assert!(count <= 2 + began.elapsed().as_secs(), "{count} in {:?}", began.elapsed());
}

#[tokio::test]
async fn the_rate_of_an_application_holds_over_all_its_endpoints_and_can_be_lifted() {
    let receiver = Receiver::answering(Answer::Status(204)).await;
    let world = World::with(&[("shards.count", "2")], json!({}), receiver).await;
    let other = Receiver::answering(Answer::Status(204)).await;
    world.add_endpoint(json!({}), &other).await;
    let application = format!("/api/v1/app/{APPLICATION}");
    world.api().patch(&application, &json!({ "throttleRate": 2 })).await;
    let began = Instant::now();
    world.publish(100).await;
    wait_until("some have come", || world.receiver.count() + other.count() >= 4).await;
    let (count, most) =
        (world.receiver.count() + other.count(), 4 + began.elapsed().as_millis() as usize / 500);
    assert!(count <= most, "{count} instead of {most}");
    world.api().patch(&application, &json!({ "throttleRate": null })).await;
    world.receiver.had(100).await;
    other.had(100).await;
}

#[tokio::test]
async fn an_endpoint_that_wants_one_attempt_at_a_time_gets_no_two_at_once() {
    let receiver = Receiver::answering(Answer::After(Duration::from_millis(40), 204)).await;
    let world = World::with(&[], json!({ "concurrency": 1 }), receiver).await;
    let follower = world.follow().await;
    world.publish(10).await;
    follower.saw(10, "delivered").await;
    for pair in world.receiver.received().windows(2) {
        assert!(pair[1].at - pair[0].at >= Duration::from_millis(39), "the one before was answered first");
    }
}
