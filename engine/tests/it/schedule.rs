//! Messages that are to be sent later, and those that must not pass each other.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use crate::harness::{APPLICATION, Answer, EVENT_TYPE, NO_LOCKOUT, Receiver, World, steady, wait_until};

async fn publish(world: &World, mut fields: Value) -> String {
    fields["eventType"] = EVENT_TYPE.into();
    fields["payload"] = json!({ "n": 1 });
    let made = world.api().post(&format!("/api/v1/app/{APPLICATION}/msg"), &fields).await;
    made["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_delayed_message_is_not_sent_before_its_time() {
    let world = World::start().await;
    let began = Instant::now();
    let message = publish(&world, json!({ "delayMs": 700 })).await;
    wait_until("the request", || world.receiver.count() == 1).await;
    assert!(began.elapsed() >= Duration::from_millis(690), "{:?}", began.elapsed());
    assert_eq!(world.receiver.received()[0].id(), message);
}

#[tokio::test]
async fn a_message_scheduled_for_tomorrow_says_so_survives_a_kill_and_can_be_taken_back() {
    let mut world = World::start().await;
    let message = publish(&world, json!({ "delayMs": 86_400_000 })).await;
    let path = format!("/api/v1/app/{APPLICATION}/msg/{message}");
    for _ in 0..2 {
        assert!(world.api().get(&path).await["deliverAt"].is_string());
        let standing = world.api().get(&format!("{path}/endpoint")).await;
        assert_eq!(standing["data"][0]["state"], "pending", "{standing}");
        assert!(standing["data"][0]["nextAttempt"].is_string(), "{standing}");
        world.kill_and_start().await;
    }
    let follower = world.follow().await;
    world.api().call(Method::DELETE, &path, None).await;
    follower.saw(1, "cancelled").await;
    assert_eq!(world.receiver.count(), 0);
}

#[tokio::test]
async fn messages_of_one_key_arrive_in_order_though_the_first_has_to_be_tried_again_and_the_process_dies() {
    let settings = [&NO_LOCKOUT[..], &[("ledger.flush_after", "\"1s\"")]].concat();
    let receiver = Receiver::answering(Answer::Status(500)).await;
    let mut world = World::with(&settings, json!({ "retryPolicy": steady("400ms") }), receiver).await;
    let mut ordered = Vec::new();
    for _ in 0..5 {
        ordered.push(publish(&world, json!({ "orderingKey": "+15005550011" })).await);
    }
    let other = publish(&world, json!({ "orderingKey": "+15005550012" })).await;
    wait_until("both keys were tried", || world.receiver.messages() == 2).await;
    world.kill_and_start().await;
    wait_until("it is tried again", || world.receiver.count() >= 4).await;
    assert_eq!(world.receiver.messages(), 2, "nobody passes");
    world.receiver.answers(Answer::Status(204));
    wait_until("all arrived", || world.receiver.messages() == 6).await;
    let mut seen = Vec::new();
    for received in world.receiver.received() {
        if received.id() != other && seen.last() != Some(&received.id().to_owned()) {
            seen.push(received.id().to_owned());
        }
    }
    assert_eq!(seen, ordered);
}

#[tokio::test]
async fn a_message_can_be_sent_again_after_it_arrived_and_after_it_was_exhausted() {
    let receiver = Receiver::behaving(|_, before| Answer::Status(if before == 1 { 500 } else { 204 })).await;
    let world = World::with(&NO_LOCKOUT, json!({ "retryPolicy": "none" }), receiver).await;
    let follower = world.follow().await;
    let message = format!("msg_{}", world.publish_one().await);
    follower.saw(1, "delivered").await;
    let resend = format!("/api/v1/app/{APPLICATION}/msg/{message}/endpoint/{}/resend", world.endpoint);
    let (status, answer) = world.api().call(Method::POST, &resend, None).await;
    assert_eq!((status, answer), (202, json!({})));
    follower.saw(1, "exhausted").await;
    world.api().call(Method::POST, &resend, None).await;
    follower.saw(2, "delivered").await;
    assert_eq!(world.receiver.count_of(&message), 3);
    let attempts = world.api().attempts(APPLICATION, &message).await;
    assert_eq!(attempts.len(), 3);
    assert_eq!(world.api().metric("posthaste_deliveries_pending").await, 0);
}
