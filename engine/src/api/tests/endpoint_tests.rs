use std::time::Duration;

use bytes::Bytes;
use posthaste_storage::EntryId;
use serde_json::json;

use super::world::World;
use crate::core::ids::MessageId;
use crate::core::outcome::Outcome;
use crate::delivery::{Ended, Timing};
use crate::probe::{ProbeError, Probed};

async fn world() -> World {
    let world = World::new();
    world.with_endpoint().await;
    world
}

fn probed(outcome: Outcome, response_body: &'static [u8]) -> Result<Probed, ProbeError> {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Ok(Probed {
        message: MessageId(EntryId::new(7, 0x8001)),
        request_headers: vec![
            header("authorization", "Bearer key of the shop"),
            header("x-api-key", "another"),
            header("webhook-signature", "v1,abc"),
        ],
        ended: Ended {
            outcome,
            timing: Timing { connect_us: 250, total_us: 1_500, ..Timing::default() },
            response_headers: Bytes::from_static(b"x-a: 1\r\nx-a: 2\r\n"),
            response_body: Bytes::from_static(response_body),
            detail: "".into(),
            reused: false,
            signed_secs: None,
            span: None,
        },
        is_hidden: false,
    })
}

impl World {
    fn probes_end_with(&self, result: Result<Probed, ProbeError>) {
        *self.engine.probe_answer.lock() = Some(result);
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_saved_can_be_tried_and_is_not_saved_by_it() {
    let world = world().await;
    world.probes_end_with(probed(Outcome::Success { status: 200 }, b"thanks"));
    let body = json!({"url": "https://new.example/hook", "timeoutMs": 2000, "headers": {"X-A": "1"}});
    let (status, result) = world.post("/app/acme/endpoint/probe", body).await;
    assert_eq!(status, 200, "{result}");
    let expect = json!({
        "messageId": "msg_7-32769", "eventType": "endpoint.test",
        "payload": {"example": true, "eventType": "endpoint.test"},
        "outcome": "success", "outcomeText": "the receiver answered 200", "status": 200,
        "response": "thanks", "responseHeaders": {"x-a": "1, 2"}, "responseHidden": false,
        "timing": {"dnsMs": 0.0, "connectMs": 0.25, "tlsMs": 0.0, "firstByteMs": 0.0, "totalMs": 1.5},
        "requestHeaders": {
            "authorization": "Bearer ***", "x-api-key": "***", "webhook-signature": "v1,abc",
        },
    });
    assert_eq!(result, expect);
    let probe = world.engine.probes.lock()[0].clone();
    assert_eq!((&*probe.endpoint.url, probe.endpoint.timeout_ms), ("https://new.example/hook", Some(2_000)));
    assert_eq!(probe.endpoint.secrets.len(), 1, "it is signed");
    let (_, list) = world.get("/app/acme/endpoint").await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "nothing new: {list}");
}

#[tokio::test]
async fn a_url_that_may_not_be_used_is_refused_before_it_is_tried() {
    let world = world().await;
    for (body, field) in [
        (json!({"url": "http://new.example/hook"}), "url"),
        (json!({}), "url"),
        (json!({"url": "https://new.example/", "secret": "short"}), "secret"),
        (json!({"url": "https://new.example/", "eventType": "no spaces please"}), "eventType"),
    ] {
        let (status, answer) = world.post("/app/acme/endpoint/probe", body).await;
        assert_eq!((status, answer["detail"][0]["loc"][1].clone()), (422, json!(field)), "{answer}");
    }
    let large = json!({"payload": "x".repeat(super::world::PAYLOAD_BYTES_MAX)});
    assert_eq!(world.post("/app/acme/endpoint/shop/test", large).await.0, 413);
    assert!(world.engine.probes.lock().is_empty());
}

#[tokio::test]
async fn a_receiver_that_fails_is_a_result_and_no_error() {
    let world = world().await;
    let refused = Ended::unsent(Outcome::ConnectFailed, "connection refused by 192.0.2.1:443");
    let result = Probed { ended: refused, ..probed(Outcome::Gone, b"").unwrap() };
    world.probes_end_with(Ok(result));
    let (status, result) = world.post("/app/acme/endpoint/shop/test", json!(null)).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&result["outcome"], &result["outcomeText"], &result["status"], &result["response"]),
        (&json!("connect_failed"), &json!("connection refused by 192.0.2.1:443"), &json!(null), &json!(null))
    );
}

#[tokio::test]
async fn whoever_tests_too_much_is_told_when_to_come_back() {
    let world = world().await;
    world.probes_end_with(Err(ProbeError::Busy { waiting: 64 }));
    let answer = world.call_with("POST", "/app/acme/endpoint/shop/test", "{}", None).await;
    assert_eq!((answer.status, answer.body["code"].clone()), (429, json!("too_many_requests")));
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn a_test_sends_the_payload_given_or_the_example_of_the_event_type() {
    let world = world().await;
    let schemas = json!({"1": {"examples": [{"old": 1}]}, "10": {"examples": [{"order": 7}]}, "9": {}});
    let event_type = json!({"name": "order.paid", "description": "", "schemas": schemas});
    world.post("/event-type", event_type).await;
    world.post("/event-type", json!({"name": "order.lost", "description": ""})).await;
    for (body, sent) in [
        (json!({"eventType": "order.paid"}), r#"{"order":7}"#),
        (json!({"eventType": "order.paid", "payload": {"order": 8}}), r#"{"order":8}"#),
        (json!({"eventType": "order.lost"}), r#"{"eventType":"order.lost","example":true}"#),
        (json!({"payload": [1]}), "[1]"),
    ] {
        world.probes_end_with(probed(Outcome::Success { status: 200 }, b""));
        let (status, answer) = world.post("/app/acme/endpoint/shop/test", body).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(world.engine.probes.lock().pop().unwrap().payload, sent);
    }
}

#[tokio::test]
async fn an_example_is_published_to_one_endpoint_alone_whatever_it_subscribes_to() {
    let world = world().await;
    let other = json!({"url": "https://other.example/hook", "uid": "other", "eventTypes": ["a.b"]});
    let id = world.post("/app/acme/endpoint", other).await.1["id"].clone();
    let schemas = json!({"1": {"examples": [{"order": 7}]}});
    world.post("/event-type", json!({"name": "order.paid", "description": "", "schemas": schemas})).await;
    let ask = json!({"eventType": "order.paid"});
    let (status, message) = world.post("/app/acme/endpoint/other/send-example", ask.clone()).await;
    assert_eq!((status, &message["payload"]), (200, &json!({"order": 7})), "{message}");
    let deliveries = world.engine.deliveries.lock().clone();
    assert_eq!(deliveries.len(), 1);
    assert_eq!(json!(deliveries[0].endpoint.to_string()), id);

    world.call("PATCH", "/app/acme/endpoint/other", json!({"disabled": true})).await;
    let (status, answer) = world.post("/app/acme/endpoint/other/send-example", ask).await;
    assert_eq!((status, &answer["code"]), (409, &json!("endpoint_disabled")));
}

#[tokio::test]
async fn an_event_type_without_an_example_has_none_to_send() {
    let world = world().await;
    world.post("/event-type", json!({"name": "order.lost", "description": ""})).await;
    for name in ["order.lost", "order.unknown"] {
        let (status, answer) =
            world.post("/app/acme/endpoint/shop/send-example", json!({"eventType": name})).await;
        assert_eq!((status, &answer["detail"][0]["loc"]), (422, &json!(["body", "eventType"])), "{answer}");
    }
}

/// The time that a handler waits is the prober's to bound; here only that it waits for nothing else.
#[tokio::test]
async fn a_disabled_endpoint_can_be_tested() {
    let world = world().await;
    world.call("PATCH", "/app/acme/endpoint/shop", json!({"disabled": true})).await;
    world.probes_end_with(probed(Outcome::Success { status: 204 }, b""));
    let asked = world.post("/app/acme/endpoint/shop/test", json!({}));
    let (status, _) = tokio::time::timeout(Duration::from_secs(10), asked).await.unwrap();
    assert_eq!(status, 200);
}
