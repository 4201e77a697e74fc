//! Putting right what went wrong: recover what failed, replay what was missed, many at once, in the background.

use http::Method;
use serde_json::{Value, json};

use crate::harness::{APPLICATION, Answer, NO_LOCKOUT, Receiver, World, wait_for_async, wait_until};

const LONG_AGO: &str = "2020-01-01T00:00:00Z";

async fn world(answer: Answer) -> World {
    let receiver = Receiver::answering(answer).await;
    World::with(&NO_LOCKOUT, json!({ "retryPolicy": "none" }), receiver).await
}

async fn begin(world: &World, what: &str, mut body: Value) -> String {
    body["since"] = LONG_AGO.into();
    let path = format!("/api/v1/app/{APPLICATION}/endpoint/{}/{what}", world.endpoint);
    let task = world.api().post(&path, &body).await;
    task["id"].as_str().expect("an id").to_owned()
}

async fn ended(world: &World, task: &str) -> Value {
    let path = format!("/api/v1/background-task/{task}");
    wait_for_async("the end of the task", async || {
        let task = world.api().get(&path).await;
        (task["status"] != "running").then_some(task)
    })
    .await
}

async fn disable(world: &World, disabled: bool) {
    let path = format!("/api/v1/app/{APPLICATION}/endpoint/{}", world.endpoint);
    world.api().patch(&path, &json!({ "disabled": disabled })).await;
}

#[tokio::test]
async fn recovering_delivers_what_was_exhausted_and_nothing_else() {
    let world = world(Answer::Status(204)).await;
    let follower = world.follow().await;
    world.publish(20).await;
    follower.saw(20, "delivered").await;
    world.receiver.answers(Answer::Status(500));
    world.publish(200).await;
    follower.saw(200, "exhausted").await;
    world.receiver.answers(Answer::Status(204));
    let task = ended(&world, &begin(&world, "recover", json!({ "rate": 100_000 })).await).await;
    assert_eq!((task["status"].clone(), task["data"]["made"].clone()), (json!("finished"), json!(200)));
    assert_eq!(task["data"]["lookedAt"], 220);
    follower.saw(220, "delivered").await;
    assert_eq!(world.receiver.count(), 20 + 200 + 200);
    // There is nothing left to recover.
    let task = ended(&world, &begin(&world, "recover", json!({})).await).await;
    assert_eq!(task["data"]["made"], 0);
}

#[tokio::test]
async fn what_an_endpoint_missed_while_it_was_disabled_is_replayed_once() {
    let world = world(Answer::Status(204)).await;
    let follower = world.follow().await;
    world.publish(3).await;
    follower.saw(3, "delivered").await;
    disable(&world, true).await;
    world.publish(5).await;
    disable(&world, false).await;
    let task = ended(&world, &begin(&world, "replay-missing", json!({})).await).await;
    assert_eq!(task["data"]["made"], 5);
    follower.saw(8, "delivered").await;
    let task = ended(&world, &begin(&world, "replay-missing", json!({})).await).await;
    assert_eq!(task["data"]["made"], 0);
    let task = ended(&world, &begin(&world, "bulk-replay", json!({})).await).await;
    assert_eq!(task["data"]["made"], 8);
    follower.saw(16, "delivered").await;
}

#[tokio::test]
async fn what_was_pending_when_an_endpoint_was_disabled_is_recovered_and_what_was_taken_back_is_not() {
    let receiver = Receiver::answering(Answer::Status(500)).await;
    let world = World::with(&NO_LOCKOUT, json!({ "retryPolicy": "50s, 1h" }), receiver).await;
    let follower = world.follow().await;
    let messages = world.publish(2).await;
    follower.saw(2, "pending").await;
    let path = format!("/api/v1/app/{APPLICATION}/msg/msg_{}", messages[0]);
    world.api().call(Method::DELETE, &path, None).await;
    follower.saw(1, "cancelled").await;
    disable(&world, true).await;
    follower.saw(2, "cancelled").await;
    disable(&world, false).await;
    world.receiver.answers(Answer::Status(204));
    let task = ended(&world, &begin(&world, "recover", json!({})).await).await;
    assert_eq!(task["data"]["made"], 1);
    follower.saw(1, "delivered").await;
    assert_eq!(world.receiver.count_of(&format!("msg_{}", messages[1])), 2);
}

#[tokio::test]
async fn a_task_goes_on_after_a_kill_and_stops_when_it_is_told_to() {
    let mut world = world(Answer::Status(500)).await;
    let follower = world.follow().await;
    world.publish(200).await;
    follower.saw(200, "exhausted").await;
    world.receiver.answers(Answer::Status(204));
    let task = begin(&world, "recover", json!({ "rate": 20 })).await;
    wait_until("it has begun", || world.receiver.count() > 200).await;
    world.kill_and_start().await;
    let before = world.receiver.count();
    wait_until("it goes on", || world.receiver.count() > before + 20).await;
    let path = format!("/api/v1/background-task/{task}/cancel");
    let (status, stopped) = world.api().call(Method::POST, &path, None).await;
    assert_eq!((status, stopped["status"].clone()), (200, json!("failed")));
    let made = stopped["data"]["made"].as_u64().expect("a number");
    assert!((20..200).contains(&made), "{stopped}");
}
