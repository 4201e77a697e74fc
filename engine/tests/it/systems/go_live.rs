//! Three steps to the first webhook: make a receiver, test that it works, save it and go live.

use http::Method;
use serde_json::json;

use super::{CUSTOMER, endpoints, ids, platform, publish};
use crate::harness::{Answer, Api, Follower, Receiver};

const EVENT_TYPES: [&str; 3] = ["delivery.status", "reply.received", "link.clicked"];

#[tokio::test]
async fn a_receiver_is_made_tested_saved_and_goes_live() {
    let (_site, posthaste) = platform(&[("probe.show_private", "true")], &EVENT_TYPES).await;
    let api = Api::at(posthaste.http());
    let follower = Follower::start(posthaste.tcp(), CUSTOMER).await;

    // Step 1: a receiver, which is not quite right yet.
    let receiver = Receiver::answering(Answer::Body(404, "no such page")).await;

    // Step 2: test it, until it works.
    let candidate =
        json!({ "url": receiver.url(), "eventType": "reply.received", "payload": { "text": "hi" } });
    let probe = format!("{}/probe", endpoints());
    let failed = api.post(&probe, &candidate).await;
    assert_eq!((&failed["status"], &failed["response"]), (&json!(404), &json!("no such page")));
    receiver.answers(Answer::Status(200));
    assert_eq!(api.post(&probe, &candidate).await["outcome"], "success");
    assert_eq!(receiver.received()[1].body, r#"{"text":"hi"}"#);

    // Nothing is sent to it before it is saved.
    publish(&api, "link.clicked", json!({})).await;

    // Step 3: save it, and go live.
    let endpoint = api.make_endpoint(CUSTOMER, &json!({ "url": receiver.url() })).await;
    for event_type in EVENT_TYPES {
        let test = format!("{}/{endpoint}/test", endpoints());
        let tested = api.post(&test, &json!({ "eventType": event_type })).await;
        assert_eq!(tested["outcome"], "success", "{tested}");
    }
    let mut live = Vec::new();
    for event_type in EVENT_TYPES {
        live.push(publish(&api, event_type, json!({})).await);
    }
    follower.saw(3, "delivered").await;
    let (tests, had) = (5, ids(&receiver));
    assert_eq!(had.len(), tests + live.len());
    assert!(live.iter().all(|id| had.contains(id)));
}

#[tokio::test]
async fn an_event_that_nobody_has_heard_of_cannot_be_tested() {
    let (_site, posthaste) = platform(&[], &EVENT_TYPES).await;
    let receiver = Receiver::answering(Answer::Status(200)).await;
    let body = json!({ "url": receiver.url(), "eventType": "delivery.stauts" });
    let probe = format!("{}/probe", endpoints());
    let (status, answer) = Api::at(posthaste.http()).call(Method::POST, &probe, Some(&body)).await;
    assert_eq!((status, &answer["detail"][0]["loc"]), (422, &json!(["body", "eventType"])));
    assert_eq!(receiver.count(), 0);
}
