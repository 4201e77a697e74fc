//! Making deliveries again, one by hand and many in the background.

use serde_json::{Value, json};

use super::world::World;
use crate::api::Again;

async fn world() -> World {
    let world = World::new();
    world.with_endpoint().await;
    world
}

#[tokio::test]
async fn a_message_is_sent_again_to_an_endpoint_by_name() {
    let world = world().await;
    let (_, message) = world.post("/app/acme/msg", json!({"eventType": "a", "payload": {}})).await;
    let id = message["id"].as_str().unwrap();
    let answer = world.post(&format!("/app/acme/msg/{id}/endpoint/shop/resend"), Value::Null).await;
    assert_eq!(answer, (202, json!({})));
    let again: Vec<Again> = world.engine.again.lock().clone();
    assert_eq!(again[0].message.to_string(), id);
    let (status, _) = world.post("/app/acme/msg/msg_1-0/endpoint/shop/resend", Value::Null).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn nothing_is_sent_again_to_a_disabled_endpoint() {
    let world = world().await;
    let (_, message) = world.post("/app/acme/msg", json!({"eventType": "a", "payload": {}})).await;
    world.call("PATCH", "/app/acme/endpoint/shop", json!({"disabled": true})).await;
    let id = message["id"].as_str().unwrap();
    let (status, _) = world.post(&format!("/app/acme/msg/{id}/endpoint/shop/resend"), Value::Null).await;
    assert_eq!(status, 409);
    let (status, _) =
        world.post("/app/acme/endpoint/shop/recover", json!({"since": "2024-01-01T00:00:00Z"})).await;
    assert_eq!(status, 409);
}

#[tokio::test]
async fn a_task_is_begun_listed_and_stopped() {
    let world = world().await;
    for (path, kind) in [("recover", "endpoint.recover"), ("replay-missing", "endpoint.replay")] {
        let since = json!({"since": "2024-01-01T00:00:00Z", "rate": 50});
        let (status, task) = world.post(&format!("/app/acme/endpoint/shop/{path}"), since).await;
        assert_eq!(
            (status, task["status"].clone(), task["task"].clone()),
            (202, json!("running"), json!(kind))
        );
        assert_eq!(task["data"]["rate"], 50);
        let id = task["id"].as_str().unwrap();
        let (_, stopped) = world.post(&format!("/background-task/{id}/cancel"), Value::Null).await;
        assert_eq!(
            (stopped["status"].clone(), stopped["data"]["detail"].clone()),
            (json!("failed"), json!("it was cancelled"))
        );
        assert_eq!(world.get(&format!("/background-task/{id}")).await.1, stopped);
    }
    let (_, list) = world.get("/background-task?status=failed&task=endpoint.recover").await;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(world.get("/background-task/qtask_0").await.0, 404);
}

#[tokio::test]
async fn a_stretch_of_time_that_cannot_be_is_refused_by_field() {
    let world = world().await;
    for (body, field) in [
        (json!({}), "since"),
        (json!({"since": "yesterday"}), "since"),
        (json!({"since": "2999-01-01T00:00:00Z"}), "since"),
        (json!({"since": "2024-01-02T00:00:00Z", "until": "2024-01-01T00:00:00Z"}), "since"),
        (json!({"since": "2024-01-02T00:00:00Z", "rate": 0}), "rate"),
    ] {
        let (status, answer) = world.post("/app/acme/endpoint/shop/recover", body.clone()).await;
        assert_eq!((status, answer["detail"][0]["loc"][1].clone()), (422, json!(field)), "{body}");
    }
    assert_eq!(world.get("/background-task?status=happy").await.0, 422);
}
