//! Attempts of a delivery: when they are made, and what ends them.

use std::time::Duration;

use posthaste_protocol::OutcomeRecord;
use serde_json::json;

use crate::harness::{
    APPLICATION, Answer, EVENT_TYPE, NO_LOCKOUT, Received, Receiver, World, steady, wait_for_async,
    wait_until,
};

async fn world(policy: &str, receiver: Receiver) -> World {
    World::with(&NO_LOCKOUT, json!({ "retryPolicy": policy }), receiver).await
}

fn gaps(received: &[Received]) -> Vec<Duration> {
    received.windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}

fn column<T>(outcomes: &[OutcomeRecord], value: impl Fn(&OutcomeRecord) -> T) -> Vec<T> {
    outcomes.iter().map(value).collect()
}

#[tokio::test]
async fn attempts_are_made_at_the_times_of_the_policy_and_then_the_delivery_is_exhausted() {
    let receiver = Receiver::answering(Answer::Status(500)).await;
    let world = world("200ms, 600ms, 400ms jitter=0%", receiver).await;
    let follower = world.follow().await;
    let message = world.publish_one().await;
    follower.saw(1, "exhausted").await;

    let received = world.receiver.received_of(&format!("msg_{message}"));
    assert_eq!(received.len(), 4);
    for (gap, policy_ms) in gaps(&received).into_iter().zip([200, 600, 400]) {
        assert!(gap >= Duration::from_millis(policy_ms), "after {gap:?}, the policy says {policy_ms} ms");
        // The other bound is wide: the machine may be busy.
        assert!(
            gap < Duration::from_millis(policy_ms + 3_000),
            "after {gap:?}, the policy says {policy_ms} ms"
        );
    }
    let told = follower.outcomes_of(message);
    assert_eq!(column(&told, |outcome| outcome.attempt), [1, 2, 3, 4]);
    assert_eq!(column(&told, |outcome| outcome.status), [Some(500); 4]);
    let states = column(&told, |outcome| outcome.state.clone());
    assert_eq!(states, ["pending", "pending", "pending", "exhausted"]);
    // When it was told and when the next one was due, in the words of the stream itself.
    for pair in told.windows(2) {
        let due = pair[0].next_attempt_ms.expect("a time");
        let begun = pair[1].id.ms.saturating_sub(pair[1].latency_ms);
        assert!(begun + 2 >= due, "attempt {} was due at {due}, and began at {begun}", pair[1].attempt);
    }
}

#[tokio::test]
async fn every_attempt_has_the_same_message_id_and_a_signature_of_its_own_time() {
    let receiver = Receiver::behaving(|_, before| Answer::Status(if before < 2 { 503 } else { 200 })).await;
    let world = world("1100ms, 10ms jitter=0%", receiver).await;
    let follower = world.follow().await;
    let message = world.publish_one().await;
    follower.saw(1, "delivered").await;
    let received = world.receiver.received_of(&format!("msg_{message}"));
    assert_eq!(received.len(), 3);
    let secret = world.api().secret(APPLICATION, &world.endpoint).await;
    let webhook = standardwebhooks::Webhook::new(&secret).expect("a secret");
    for one in &received {
        webhook.verify(&one.body, &one.headers).expect("valid");
    }
    assert_ne!(received[0].header("webhook-timestamp"), received[1].header("webhook-timestamp"));
}

#[tokio::test]
async fn a_retry_after_is_waited_for_and_uses_up_no_attempt() {
    let receiver = Receiver::behaving(|_, before| match before {
        0 => Answer::RetryAfter(429, 2),
        1 => Answer::RetryAfter(503, 1),
        _ => Answer::Status(204),
    });
    // Without a single retry: what is tried again is tried because the receiver asked for it.
    let world = world("none", receiver.await).await;
    let follower = world.follow().await;
    let message = world.publish_one().await;
    follower.saw(1, "delivered").await;
    let waits = gaps(&world.receiver.received_of(&format!("msg_{message}")));
    assert!(waits[0] >= Duration::from_secs(2) && waits[1] >= Duration::from_secs(1), "{waits:?}");
    let told = follower.outcomes_of(message);
    assert_eq!(column(&told, |outcome| outcome.outcome.clone()), ["retry_after", "retry_after", "success"]);
    assert_eq!(column(&told, |outcome| outcome.status), [Some(429), Some(503), Some(204)]);
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_disabled_and_gets_nothing_more() {
    let receiver = Receiver::answering(Answer::Status(410)).await;
    let world = world("100ms, 100ms", receiver).await;
    let follower = world.follow().await;
    let message = world.publish_one().await;
    wait_until("the outcome", || !follower.outcomes_of(message).is_empty()).await;
    assert_eq!(follower.outcomes_of(message)[0].outcome, "gone");
    wait_for_async("the endpoint to be disabled", async || {
        (world.endpoint_shown().await["disabled"] == true).then_some(())
    })
    .await;
    assert_eq!(world.endpoint_shown().await["disabledReason"], "gone");

    // What is published now has nowhere to go; another endpoint shows that it went out at all.
    let other = Receiver::answering(Answer::Status(204)).await;
    world.add_endpoint(json!({}), &other).await;
    world.publish(5).await;
    other.had(5).await;
    assert_eq!(world.receiver.count(), 1);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let receiver = Receiver::answering(Answer::Status(307)).await;
    let world = world("none", receiver).await;
    let follower = world.follow().await;
    let message = world.publish_one().await;
    follower.saw(1, "exhausted").await;
    assert_eq!(follower.outcomes_of(message)[0].outcome, "redirect");
    assert_eq!(world.receiver.count(), 1);
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_costs_its_timeout_and_is_tried_again() {
    let receiver = Receiver::behaving(|_, before| match before {
        0 => Answer::Hang,
        _ => Answer::Status(204),
    });
    let endpoint = json!({ "retryPolicy": "100ms", "timeoutMs": 1_000 });
    let world = World::with(&NO_LOCKOUT, endpoint, receiver.await).await;
    let follower = world.follow().await;
    let message = world.publish_one().await;
    follower.saw(1, "delivered").await;
    let told = follower.outcomes_of(message);
    assert!(told[0].outcome.starts_with("timeout_"), "{told:?}");
    assert!(told[0].latency_ms >= 990, "{told:?}");
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_tried_again_until_somebody_does() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = nobody.local_addr().expect("an address");
    drop(nobody);
    let world = World::start().await;
    let endpoint = json!({
        "url": format!("http://{address}/hook"), "retryPolicy": steady("200ms"),
        "eventTypes": [EVENT_TYPE], "channels": ["late"],
    });
    world.api().make_endpoint(APPLICATION, &endpoint).await;
    let follower = world.follow().await;
    let new = posthaste_protocol::client::NewMessage::new(APPLICATION, EVENT_TYPE, b"{}").channels(&["late"]);
    let message = world.client().await.publish(&new).await.expect("accepted");
    wait_until("a refused connection", || {
        follower.outcomes_of(message).iter().any(|outcome| outcome.outcome == "connect_failed")
    })
    .await;
    let late = Receiver::listening_at(address).await;
    late.had(1).await;
    follower.saw(2, "delivered").await;
}
