use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::world::{Answer, World};

async fn post(world: &World, path: &str, body: Value, key: &str) -> Answer {
    let request = Request::builder().method("POST").uri(format!("/api/v1{path}"));
    let request = request.header("idempotency-key", key).header("authorization", "Bearer one of them");
    world.send(request.body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_and_is_not_carried_out_again() {
    let world = World::new();
    let first = post(&world, "/app", json!({ "name": "Acme", "uid": "acme" }), "key").await;
    let again = post(&world, "/app", json!({ "name": "Acme", "uid": "acme" }), "key").await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body, again.body);
    assert_eq!(again.headers["content-type"], first.headers["content-type"]);
    assert!(!first.headers.contains_key("idempotency-replayed"));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let other = post(&world, "/app", json!({ "name": "Acme", "uid": "acme" }), "other").await;
    assert_eq!(other.status, 409, "without the key's memory the uid is taken");
}

#[tokio::test]
async fn a_message_is_published_once_under_a_key() {
    let world = World::new();
    world.with_endpoint().await;
    let publish = json!({ "eventType": "a", "payload": 1 });
    for _ in 0..3 {
        assert_eq!(post(&world, "/app/acme/msg", publish.clone(), "key").await.status, 202);
    }
    assert_eq!(world.engine.messages.lock().len(), 1);
}

#[tokio::test]
async fn a_key_is_for_one_request_only() {
    let world = World::new();
    post(&world, "/app", json!({ "name": "One" }), "key").await;
    for (path, body) in [
        ("/app", json!({ "name": "Two" })),
        ("/app?get_if_exists=true", json!({ "name": "One" })),
        ("/event-type", json!({ "name": "One" })),
    ] {
        let refused = post(&world, path, body, "key").await;
        assert_eq!(
            (refused.status, &refused.body["detail"][0]["loc"]),
            (422, &json!(["header", "idempotency-key"]))
        );
    }
}

#[tokio::test]
async fn each_token_has_keys_of_its_own() {
    let world = World::with_tokens(&["one of them", "another"]);
    let body = json!({ "name": "Acme" });
    let first = post(&world, "/app", body.clone(), "key").await;
    let request = Request::builder().method("POST").uri("/api/v1/app");
    let request = request.header("idempotency-key", "key").header("authorization", "Bearer another");
    let other = world.send(request.body(Body::from(body.to_string())).unwrap()).await;
    assert_eq!((first.status, other.status), (201, 201));
    assert_ne!(first.body["id"], other.body["id"]);
}

#[tokio::test]
async fn an_error_of_the_client_is_repeated_and_one_of_the_server_is_tried_again() {
    use crate::catalog::CommitError;
    let world = World::new();
    let body = json!({ "name": "Acme" });
    *world.log.fails_with.lock() = Some(CommitError::Full);
    assert_eq!(post(&world, "/app", body.clone(), "key").await.status, 507);
    *world.log.fails_with.lock() = None;
    assert_eq!(post(&world, "/app", body, "key").await.status, 201);
    let wrong = post(&world, "/app", json!({}), "wrong").await;
    let again = post(&world, "/app", json!({}), "wrong").await;
    assert_eq!((wrong.status, again.status, &again.body), (422, 422, &wrong.body));
}

#[tokio::test]
async fn of_requests_at_the_same_time_one_is_carried_out() {
    let world = World::new();
    world.with_endpoint().await;
    let publish = json!({ "eventType": "a", "payload": 1 });
    let posts = (0..20).map(|_| post(&world, "/app/acme/msg", publish.clone(), "key"));
    let mut statuses = Vec::new();
    let mut running: Vec<_> = posts.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        running.retain_mut(|post| match post.as_mut().poll(context) {
            std::task::Poll::Ready(answer) => {
                statuses.push(answer.status);
                false
            }
            std::task::Poll::Pending => true,
        });
        if running.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    assert!(
        statuses.contains(&202) && statuses.iter().all(|status| [202, 409].contains(status)),
        "{statuses:?}"
    );
    assert!(statuses.contains(&409), "the others came while it was under way: {statuses:?}");
    assert_eq!(world.engine.messages.lock().len(), 1);
}

#[tokio::test]
async fn whoever_hangs_up_half_way_and_comes_again_finds_the_answer() {
    let world = World::new();
    world.with_endpoint().await;
    let publish = json!({ "eventType": "a", "payload": 1 });
    let mut first = Box::pin(post(&world, "/app/acme/msg", publish.clone(), "key"));
    let once =
        std::future::poll_fn(|context| std::task::Poll::Ready(first.as_mut().poll(context).is_ready()));
    assert!(!once.await, "it is still under way");
    drop(first);
    let again = loop {
        let again = post(&world, "/app/acme/msg", publish.clone(), "key").await;
        if again.status != 409 {
            break again;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((again.status, &again.headers["idempotency-replayed"]), (202, &"true".parse().unwrap()));
    assert_eq!(world.engine.messages.lock().len(), 1);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let world = World::new();
    for key in ["", "a b", &"x".repeat(257), "\u{e9}"] {
        let refused = post(&world, "/app", json!({ "name": "a" }), key).await;
        assert_eq!(
            (refused.status, &refused.body["detail"][0]["loc"]),
            (422, &json!(["header", "idempotency-key"]))
        );
    }
    assert_eq!(post(&world, "/app", json!({ "name": "a" }), &"x".repeat(256)).await.status, 201);
}
