//! Ending in good order: nothing is left to be repeated, and what was pending goes on.

use std::time::Duration;

use posthaste_protocol::client::{Client, NewMessage, Options};
use serde_json::json;

use crate::harness::{
    APPLICATION, Answer, EVENT_TYPE, Follower, NO_LOCKOUT, Receiver, World, steady, wait_until,
};

#[tokio::test]
async fn a_graceful_end_finishes_what_is_in_flight_and_leaves_nothing_to_repeat() {
    let receiver = Receiver::answering(Answer::After(Duration::from_millis(300), 204)).await;
    let mut world = World::with(&[], json!({}), receiver).await;
    world.publish(200).await;
    world.receiver.had(1).await;
    let status = world.restart().await;
    assert_eq!(status.code(), Some(0));
    // The rest of the 200 is made by the new process.
    let follower = world.follow().await;
    follower.saw(200, "delivered").await;
    assert_eq!((world.receiver.messages(), world.receiver.count()), (200, 200));
}

#[tokio::test]
async fn a_graceful_end_under_load_acknowledges_nothing_that_it_does_not_keep() {
    let mut world = World::start().await;
    let client =
        Client::connect(world.posthaste.tcp().to_string(), Options::default()).await.expect("it accepts");
    let publishing = tokio::spawn(async move {
        let mut acknowledged = Vec::new();
        while let Ok(id) = client.publish(&NewMessage::new(APPLICATION, EVENT_TYPE, b"{}")).await {
            acknowledged.push(id);
        }
        acknowledged
    });
    world.receiver.had(50).await;
    assert_eq!(world.restart().await.code(), Some(0));
    let acknowledged = publishing.await.expect("no panic");
    assert!(acknowledged.len() >= 50);
    let arrived = || acknowledged.iter().all(|id| world.receiver.count_of(&format!("msg_{id}")) > 0);
    wait_until("everything acknowledged to arrive", arrived).await;
    assert_eq!(world.receiver.count(), world.receiver.messages(), "nothing is repeated");
}

#[tokio::test]
async fn an_attempt_that_does_not_end_within_the_grace_is_cut_off_and_made_again() {
    let settings = [("shutdown.grace", "'500ms'"), ("delivery.timeout_total", "'5m'")];
    let settings =
        [settings, [("delivery.timeout_first_byte", "'5m'"), ("lockout.url.probe_timeout", "'10m'")]];
    let mut world = World::with(&settings.concat(), json!({}), Receiver::answering(Answer::Hang).await).await;
    let message = world.publish_one().await;
    world.receiver.had(1).await;
    world.posthaste.terminate();
    assert_eq!(world.posthaste.ended().await.code(), Some(0));
    world.receiver.answers(Answer::Status(204));
    world.posthaste = world.site.start().await;
    world.receiver.had(2).await;
    assert_eq!(world.receiver.count_of(&format!("msg_{message}")), 2);
}

#[tokio::test]
async fn while_it_ends_it_accepts_no_messages() {
    let settings = [("shutdown.grace", "'1m'")];
    let receiver = Receiver::answering(Answer::After(Duration::from_secs(2), 204)).await;
    let mut world = World::with(&settings, json!({}), receiver).await;
    let address = world.posthaste.tcp();
    world.publish_one().await;
    world.receiver.had(1).await;
    world.posthaste.terminate();
    world.posthaste.says("stopping").await;
    wait_until("the port to close", || std::net::TcpStream::connect(address).is_err()).await;
    assert_eq!(world.posthaste.ended().await.code(), Some(0));
}

#[tokio::test]
async fn retries_that_were_pending_are_made_by_the_next_process() {
    let receiver = Receiver::answering(Answer::Status(500)).await;
    let mut world = World::with(&NO_LOCKOUT, json!({ "retryPolicy": steady("1s") }), receiver).await;
    let messages = world.publish(30).await;
    for ending in ["a restart", "a kill"] {
        let before = world.receiver.count();
        world.receiver.had(before + 30).await;
        match ending {
            "a kill" => world.kill_and_start().await,
            _ => assert!(world.restart().await.success()),
        }
    }
    world.receiver.answers(Answer::Status(204));
    let follower = Follower::start(world.posthaste.tcp(), APPLICATION).await;
    follower.saw(messages.len(), "delivered").await;
    let numbers: Vec<u16> = follower.outcomes_of(messages[0]).iter().map(|told| told.attempt).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "attempts are counted on: {numbers:?}");
}
