//! Chains: endpoints that get a message one after the other, as long as each lets it through.

use serde_json::json;

use crate::harness::{APPLICATION, Answer, EVENT_TYPE, NO_LOCKOUT, Receiver, World, wait_until};

/// Three endpoints in a chain, each with a receiver that answers so.
async fn chain(answers: [Answer; 3]) -> (World, [Receiver; 2]) {
    let [first, second, third] = answers;
    let place = |position: u16| json!({ "chain": { "name": "incoming", "position": position }, "retryPolicy": "none" });
    let world = World::with(&NO_LOCKOUT, place(0), Receiver::answering(first).await).await;
    let others = [Receiver::answering(second).await, Receiver::answering(third).await];
    for (number, receiver) in others.iter().enumerate() {
        world.add_endpoint(place(number as u16 + 1), receiver).await;
    }
    (world, others)
}

#[tokio::test]
async fn a_message_goes_on_until_somebody_answers_with_messages() {
    let replies = Answer::Body(200, r#"{"messages":[{"content":"Thanks!"}]}"#);
    let (world, [second, third]) = chain([Answer::Body(200, "{}"), replies, Answer::Status(200)]).await;
    let follower = world.follow().await;
    let message = world.publish_one().await;
    follower.saw(2, "delivered").await;
    assert_eq!((world.receiver.count(), second.count(), third.count()), (1, 1, 0));
    let path = format!("/api/v1/app/{APPLICATION}/msg/msg_{message}/endpoint");
    assert_eq!(world.api().get(&path).await["data"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn return_value_false_lets_a_message_through_that_was_answered() {
    let both = Answer::Body(200, r#"{"messages":[{"content":"a"}],"variables":{"return_value":false}}"#);
    let (world, [second, third]) = chain([both.clone(), both, Answer::Status(204)]).await;
    let follower = world.follow().await;
    world.publish_one().await;
    follower.saw(3, "delivered").await;
    assert_eq!((world.receiver.count(), second.count(), third.count()), (1, 1, 1));
}

#[tokio::test]
async fn an_endpoint_that_never_took_it_and_one_that_is_gone_are_passed_over() {
    let (world, [second, third]) =
        chain([Answer::Status(500), Answer::Status(204), Answer::Status(204)]).await;
    let follower = world.follow().await;
    let api = world.api();
    let endpoints = api.get(&format!("/api/v1/app/{APPLICATION}/endpoint")).await;
    let middle = endpoints["data"].as_array().expect("a list").iter().find(|one| one["url"] == second.url());
    let middle = middle.expect("it is there")["id"].as_str().expect("an id").to_owned();
    // Scheduled, so that the chain is written down before the one in the middle goes.
    let body = json!({ "eventType": EVENT_TYPE, "payload": {}, "delayMs": 500 });
    api.post(&format!("/api/v1/app/{APPLICATION}/msg"), &body).await;
    api.delete(&format!("/api/v1/app/{APPLICATION}/endpoint/{middle}")).await;
    follower.saw(1, "delivered").await;
    assert_eq!((world.receiver.count(), second.count(), third.count()), (1, 0, 1));
}

#[tokio::test]
async fn a_chain_goes_on_after_a_kill() {
    let (mut world, [second, third]) = chain([Answer::Status(204), Answer::Hang, Answer::Status(204)]).await;
    world.publish_one().await;
    wait_until("the second has it", || second.count() == 1).await;
    world.kill_and_start().await;
    second.answers(Answer::Status(200));
    wait_until("the third has it", || third.count() == 1).await;
    assert_eq!(world.receiver.count(), 1, "what was recorded is not repeated");
}

#[tokio::test]
async fn what_waits_for_an_endpoint_that_is_disabled_goes_to_the_next_one() {
    let answers = [Answer::Status(500), Answer::Status(204), Answer::Status(204)];
    let (world, [second, _]) = chain(answers).await;
    let api = world.api();
    let path = format!("/api/v1/app/{APPLICATION}/endpoint/{}", world.endpoint);
    api.patch(&path, &json!({ "retryPolicy": "50s, 50s" })).await;
    let follower = world.follow().await;
    world.publish(3).await;
    follower.saw(3, "pending").await;
    api.patch(&path, &json!({ "disabled": true })).await;
    wait_until("the second has them", || second.messages() == 3).await;
}

#[tokio::test]
async fn a_message_taken_back_while_it_is_under_way_goes_no_further() {
    let slow = Answer::After(std::time::Duration::from_millis(300), 204);
    let (world, [second, third]) = chain([slow, Answer::Status(204), Answer::Status(204)]).await;
    let follower = world.follow().await;
    let message = world.publish_one().await;
    wait_until("the first has it", || world.receiver.count() == 1).await;
    world.api().delete(&format!("/api/v1/app/{APPLICATION}/msg/msg_{message}")).await;
    follower.saw(1, "delivered").await;
    // A message behind it has gone through the whole chain meanwhile.
    let behind = world.publish_one().await;
    wait_until("the one behind went through", || third.count() == 1).await;
    assert_eq!(third.received()[0].id(), format!("msg_{behind}"));
    assert_eq!(second.count(), 1);
}
