use bytes::Bytes;
use posthaste_storage::EntryId;
use serde_json::json;

use super::world::{FIRST_MS, World};
use crate::api::{AttemptQuery, MessageStatus, StoredAttempt};
use crate::catalog::Start;
use crate::core::delivery::{DeliveryState, Trigger};
use crate::core::ids::{AttemptId, EndpointId, MessageId};
use crate::core::outcome::{Outcome, Phase};
use crate::delivery::Timing;

const MESSAGE: &str = "msg_1732300000000-0";

pub(in crate::api) fn attempt(number: u16, endpoint: EndpointId, outcome: Outcome) -> StoredAttempt {
    let success = outcome.is_success();
    StoredAttempt {
        id: AttemptId(EntryId::new(FIRST_MS, number)),
        message: MessageId(EntryId::new(FIRST_MS, 0)),
        endpoint,
        number,
        started_ms: FIRST_MS,
        outcome,
        state: if success { DeliveryState::Delivered } else { DeliveryState::Pending },
        next_attempt_ms: (!success).then_some(FIRST_MS + 5_000),
        response_headers: Bytes::from_static(b"x-a: 1\r\n"),
        response_body: Bytes::from_static(b"oops \xff"),
        detail: "in words".into(),
        endpoint_revision: 4,
        elsewhere: false,
        timing: Timing { dns_us: 0, connect_us: 0, tls_us: 0, first_byte_us: 12_000, total_us: 12_345 },
        reused: true,
        signed_secs: Some(FIRST_MS / 1_000),
        trigger: Trigger::Scheduled,
        erased: false,
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
        "timing": {"dnsMs": 0.0, "connectMs": 0.0, "tlsMs": 0.0, "firstByteMs": 12.0, "totalMs": 12.345},
        "reused": true, "trigger": "scheduled", "requestHeaders": null,
        "requestHeadersMissing": "the endpoint was changed since",
        "error": {
            "class": "http_5xx", "text": "HTTP 503: the receiver is down, or overloaded",
            "hint": "A proxy in front of it cannot reach it. It is tried again by itself.",
        },
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
        with_content: true,
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

#[tokio::test]
async fn the_headers_of_a_request_are_shown_with_the_signature_the_receiver_got_and_without_what_opens_doors()
{
    let world = World::new();
    world.post("/app", json!({"name": "Acme", "uid": "acme"})).await;
    let body = json!({
        "url": "https://shop.example/hook?a=1", "uid": "shop", "headers": {"x-api-key": "k1", "x-shop": "42"},
        "authorization": {"type": "bearer", "token": "t1"},
    });
    let (_, shop) = world.post("/app/acme/endpoint", body).await;
    let endpoint: EndpointId = shop["id"].as_str().unwrap().parse().unwrap();
    world.post("/app/acme/msg", json!({"eventType": "a", "payload": {"x": 1}})).await;
    let revision = shop["version"].as_u64().unwrap() as u32;
    let made =
        |number, outcome| StoredAttempt { endpoint_revision: revision, ..attempt(number, endpoint, outcome) };
    *world.engine.attempts.lock() = vec![
        made(1, Outcome::ConnectFailed),
        StoredAttempt { signed_secs: None, ..made(2, Outcome::BadStatus { status: 500 }) },
        made(3, Outcome::Success { status: 204 }),
    ];
    let (_, secret) = world.get("/app/acme/endpoint/shop/secret").await;
    let (_, body) = world.get(&format!("/app/acme/attempt/msg/{MESSAGE}")).await;
    let sent = body["data"][0]["requestHeaders"].as_object().unwrap();
    let header = |name: &str| sent[name].as_str().unwrap();
    assert_eq!((header("authorization"), header("x-api-key"), header("x-shop")), ("Bearer ***", "***", "42"));
    assert_eq!(
        (header("host"), header("webhook-id"), header("content-length")),
        ("shop.example", MESSAGE, "7")
    );
    let verifier = standardwebhooks::Webhook::new(secret["key"].as_str().unwrap()).unwrap();
    let id_and_secs = (header("webhook-id"), header("webhook-timestamp").parse().unwrap());
    let expected = verifier.sign(id_and_secs.0, id_and_secs.1, br#"{"x":1}"#).unwrap();
    assert_eq!(header("webhook-signature"), expected);
    let missing = |number: usize| body["data"][number]["requestHeadersMissing"].clone();
    assert!(
        missing(1).as_str().unwrap().contains("older version") && body["data"][1]["requestHeaders"].is_null()
    );
    assert_eq!((missing(0), missing(2)), (json!(null), json!("no request was sent")));
    let (_, without) = world.get(&format!("/app/acme/attempt/msg/{MESSAGE}?with_content=false")).await;
    assert!(without["data"][0]["requestHeaders"].is_null());
}
