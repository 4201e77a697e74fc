//! Through the router, as a client sees it.

mod access;
mod alerts;
mod api_keys;
pub(super) mod attempts;
mod audit;
mod catalog;
mod deliveries;
mod document;
mod endpoint_tests;
mod idempotency;
mod messages;
mod overview;
mod tasks;
pub(crate) mod world;

use serde_json::{Value, json};
use world::World;

#[tokio::test]
async fn without_a_valid_token_nothing_is_read() {
    let world = World::with_tokens(&["right"]);
    for token in [None, Some("wrong"), Some("")] {
        let answer = world.call_with("GET", "/app", "", token).await;
        assert_eq!((answer.status, answer.body["code"].clone()), (401, json!("authentication_failed")));
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    assert_eq!(world.call_with("GET", "/app", "", Some("right")).await.status, 200);
}

#[tokio::test]
async fn whether_the_server_is_there_can_be_asked_without_a_token() {
    let world = World::with_tokens(&["right"]);
    for path in ["/health", "/health/ping"] {
        assert_eq!(world.call_with("GET", path, "", None).await.status, 204);
        assert_eq!(world.call_with("HEAD", path, "", None).await.status, 204);
    }
}

#[tokio::test]
async fn whether_messages_are_accepted_can_be_asked_without_a_token() {
    let world = World::with_tokens(&["right"]);
    assert_eq!(world.call_with("GET", "/health/ready", "", None).await.status, 204);
    world.readiness.set_full(true);
    let answer = world.call_with("GET", "/health/ready", "", None).await;
    let body = json!({
        "code": "disk_full",
        "detail": "the disk is full; publishers are refused until there is space",
    });
    assert_eq!((answer.status, answer.body), (503, body));
    world.readiness.set_poisoned();
    assert_eq!(world.call_with("GET", "/health/ready", "", None).await.body["code"], "log_stopped");
    world.readiness.set_stopping();
    assert_eq!(world.call_with("GET", "/health/ready", "", None).await.body["code"], "shutting_down");
    assert_eq!(world.raw("HEAD", "/health/ready").await.status, 503);
    assert_eq!(world.call_with("GET", "/health", "", None).await.status, 204, "it lives");
}

#[tokio::test]
async fn an_unknown_path_or_method_is_answered_in_json() {
    let world = World::new();
    assert_eq!(
        world.get("/nowhere").await,
        (404, json!({"code": "not_found", "detail": "There is no such path"}))
    );
    let (status, body) = world.call("DELETE", "/app", Value::Null).await;
    assert_eq!((status, body["code"].clone()), (405, json!("method_not_allowed")));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let world = World::new();
    let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(world::PAYLOAD_BYTES_MAX + 300_000));
    let answer = world.call_with("POST", "/app", &body, None).await;
    assert_eq!((answer.status, answer.body["code"].clone()), (413, json!("payload_too_large")));
}

#[tokio::test]
async fn a_body_that_is_not_json_names_its_place() {
    let world = World::new();
    let answer = world.call_with("POST", "/app", "{", None).await;
    assert_eq!(answer.status, 422);
    let item = &answer.body["detail"][0];
    assert_eq!(
        (item["loc"].clone(), item["type"].clone()),
        (json!(["body"]), json!("value_error.jsondecode"))
    );
}

#[tokio::test]
async fn a_log_that_takes_nothing_is_a_server_error_with_its_reason() {
    use crate::catalog::CommitError;
    let world = World::new();
    for (error, status, code) in [
        (CommitError::Full, 507, "disk_full"),
        (CommitError::Poisoned, 503, "log_stopped"),
        (CommitError::ShuttingDown, 503, "shutting_down"),
    ] {
        *world.log.fails_with.lock() = Some(error);
        let (answer, body) = world.post("/app", json!({"name": "a"})).await;
        assert_eq!((answer, body["code"].clone()), (status, json!(code)));
    }
}
