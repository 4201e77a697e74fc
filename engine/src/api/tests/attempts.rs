use bytes::Bytes;
use posthaste_storage::EntryId;
use serde_json::json;

use super::world::{FIRST_MS, World};
use crate::api::{AttemptQuery, MessageStatus, StoredAttempt};
use crate::catalog::Start;
use crate::core::delivery::DeliveryState;
use crate::core::ids::{AttemptId, EndpointId, MessageId};
use crate::core::outcome::{Outcome, Phase};

const MESSAGE: &str = "msg_1732300000000-0";

fn attempt(number: u16, endpoint: EndpointId, outcome: Outcome) -> StoredAttempt {
    let success = outcome.is_success();
    StoredAttempt {
        id: AttemptId(EntryId::new(FIRST_MS, number)),
        message: MessageId(EntryId::new(FIRST_MS, 0)),
        endpoint,
        number,
        started_ms: FIRST_MS,
        duration_us: 12_345,
        outcome,
        state: if success { DeliveryState::Delivered } else { DeliveryState::Pending },
        next_attempt_ms: (!success).then_some(FIRST_MS + 5_000),
        response_headers: Bytes::from_static(b"x-a: 1\r\n"),
        response_body: Bytes::from_static(b"oops \xff"),
        detail: "in words".into(),
        endpoint_revision: 4,
    }
}

async fn world() -> (World, EndpointId) {
    let world = World::new();
    let endpoint = world.with_endpoint().await;
    world.post("/app/acme/msg", json!({"eventType": "a", "payload": 1})).await;
    *world.engine.attempts.lock() = vec![
        attempt(1, endpoint, Outcome::TimedOut(Phase::Connect)),
        attempt(2, endpoint, Outcome::BadStatus { status: 503 }),
        attempt(3, endpoint, Outcome::Success { status: 204 }),
    ];
    (world, endpoint)
}

#[tokio::test]
async fn an_attempt_says_what_was_tried_and_what_came_back() {
    let (world, endpoint) = world().await;
    let (status, body) = world.get(&format!("/app/acme/msg/{MESSAGE}/attempt/atmpt_1732300000000-2")).await;
    let expect = json!({
        "id": "atmpt_1732300000000-2", "msgId": MESSAGE, "endpointId": endpoint.to_string(),
        "url": "https://shop.example/hook", "response": "oops \u{fffd}", "responseStatusCode": 503,
        "responseDurationMs": 12, "status": 2, "statusText": "fail", "timestamp": "2024-11-22T18:26:40Z",
        "triggerType": 0, "outcome": "bad_status", "detail": "in words", "attemptNumber": 2, "state": "pending",
        "nextAttempt": "2024-11-22T18:26:45Z", "responseHeaders": "x-a: 1\r\n", "endpointVersion": 4,
    });
    assert_eq!((status, body), (200, expect));
    for path in ["attempt/atmpt_1-1", "attempt/x"] {
        assert_eq!(world.get(&format!("/app/acme/msg/{MESSAGE}/{path}")).await.0, 404);
    }
}

#[tokio::test]
async fn attempts_are_listed_newest_first_by_message_and_by_endpoint() {
    let (world, _) = world().await;
    for path in [format!("/app/acme/attempt/msg/{MESSAGE}"), "/app/acme/attempt/endpoint/shop".into()] {
        let (status, body) = world.get(&format!("{path}?limit=2&with_content=false")).await;
        let numbers: Vec<_> =
            body["data"].as_array().unwrap().iter().map(|item| &item["attemptNumber"]).collect();
        assert_eq!((status, numbers, body["done"].clone()), (200, vec![&json!(3), &json!(2)], json!(false)));
        assert_eq!(body["data"][0]["response"], "");
        let (_, rest) = world.get(&format!("{path}?iterator={}", body["iterator"].as_str().unwrap())).await;
        assert_eq!(rest["data"][0]["responseStatusCode"], 0);
    }
    assert_eq!(world.get("/app/acme/attempt/endpoint/nobody").await.0, 404);
    assert_eq!(world.get("/app/acme/attempt/msg/nothing").await.0, 404);
}

#[tokio::test]
async fn attempts_are_filtered_by_everything_the_query_names() {
    let (world, endpoint) = world().await;
    let path = format!(
        "/app/acme/attempt/msg/{MESSAGE}?status=2&status_code_class=500&event_types=a,b&channel=c&endpoint_id=shop\
         &before=2025-01-01T00:00:00Z&after=2024-01-01T00:00:00Z&limit=7"
    );
    let (status, body) = world.get(&path).await;
    assert_eq!((status, body["data"].as_array().unwrap().len()), (200, 1));
    let expect = AttemptQuery {
        limit: 7,
        start: Start::First,
        endpoint: Some(endpoint),
        status: Some(MessageStatus::Fail),
        status_code_class: Some(500),
        event_types: vec!["a".into(), "b".into()],
        channel: Some("c".into()),
        before_ms: Some(1_735_689_600_000),
        after_ms: Some(1_704_067_200_000),
    };
    assert_eq!(*world.engine.last_attempt_query.lock(), Some(expect));
    let (_, none) = world.get("/app/acme/attempt/endpoint/shop?status_code_class=0").await;
    assert_eq!(none["data"][0]["outcome"], "timeout_connect");
    for query in ["status=4", "status_code_class=7", "status=x", "after=x"] {
        assert_eq!(world.get(&format!("/app/acme/attempt/endpoint/shop?{query}")).await.0, 422, "{query}");
    }
}

#[tokio::test]
async fn attempts_at_an_endpoint_that_is_gone_are_still_shown() {
    let (world, _) = world().await;
    world.call("DELETE", "/app/acme/endpoint/shop", serde_json::Value::Null).await;
    let (_, body) = world.get(&format!("/app/acme/attempt/msg/{MESSAGE}")).await;
    assert_eq!((body["data"].as_array().unwrap().len(), body["data"][0]["url"].clone()), (3, json!("")));
}
