//! What the portal of a calling platform lets its customers do, over the API that the portal would use.

use http::Method;
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use super::{CUSTOMER, endpoints, ids, platform, publish};
use crate::harness::{Answer, Api, Follower, Receiver, wait_for_async, wait_until};

const EVENT_TYPES: [&str; 6] = [
    "call.started",
    "call.completed",
    "call.failed",
    "contact.created",
    "campaign.paused",
    "system.integration.connected",
];

#[tokio::test]
async fn endpoints_get_all_events_or_those_that_were_chosen_while_they_are_active() {
    let (_site, posthaste) = platform(&[], &EVENT_TYPES).await;
    let (api, follower) = (Api::at(posthaste.http()), Follower::start(posthaste.tcp(), CUSTOMER).await);
    let [all, calls, paused] = [
        Receiver::answering(Answer::Status(204)).await,
        Receiver::answering(Answer::Status(204)).await,
        Receiver::answering(Answer::Status(204)).await,
    ];
    api.make_endpoint(CUSTOMER, &json!({ "url": all.url() })).await;
    api.make_endpoint(
        CUSTOMER,
        &json!({ "url": calls.url(), "eventTypes": ["call.completed", "call.failed"] }),
    )
    .await;
    api.make_endpoint(CUSTOMER, &json!({ "url": paused.url(), "disabled": true })).await;
    let mut published = Vec::new();
    for event_type in EVENT_TYPES {
        published.push(publish(&api, event_type, json!({})).await);
    }
    follower.saw(EVENT_TYPES.len() + 2, "delivered").await;
    assert_eq!((all.count(), calls.count(), paused.count()), (EVENT_TYPES.len(), 2, 0));
    assert!(ids(&calls).contains(&published[1]) && ids(&calls).contains(&published[2]));

    let listed = api.get(&endpoints()).await;
    let listed = listed["data"].as_array().expect("a list");
    let active = listed.iter().filter(|endpoint| endpoint["disabled"] == json!(false)).count();
    assert_eq!((listed.len(), active), (3, 2));
}

#[tokio::test]
async fn a_test_event_of_each_type_shows_its_result() {
    let (_site, posthaste) = platform(&[("probe.show_private", "true")], &EVENT_TYPES).await;
    let api = Api::at(posthaste.http());
    let receiver = Receiver::behaving(|received, _| match received.body.as_ref() {
        body if body.windows(11).any(|part| part == b"call.failed") => Answer::Body(422, "what is that?"),
        _ => Answer::Body(200, "thanks"),
    })
    .await;
    let endpoint = api.make_endpoint(CUSTOMER, &json!({ "url": receiver.url() })).await;
    for event_type in EVENT_TYPES {
        let path = format!("{}/{endpoint}/test", endpoints());
        let result = api.post(&path, &json!({ "eventType": event_type })).await;
        let expect = match event_type {
            "call.failed" => (json!("bad_status"), json!(422), json!("what is that?")),
            _ => (json!("success"), json!(200), json!("thanks")),
        };
        assert_eq!((result["outcome"].clone(), result["status"].clone(), result["response"].clone()), expect);
    }
}

#[tokio::test]
async fn a_forged_request_is_told_from_a_real_one_before_and_after_a_rotation_of_the_secret() {
    let (_site, posthaste) = platform(&[], &EVENT_TYPES).await;
    let (api, follower) = (Api::at(posthaste.http()), Follower::start(posthaste.tcp(), CUSTOMER).await);
    let receiver = Receiver::answering(Answer::Status(204)).await;
    let endpoint = api.make_endpoint(CUSTOMER, &json!({ "url": receiver.url() })).await;
    let old = api.secret(CUSTOMER, &endpoint).await;
    publish(&api, "call.started", json!({})).await;
    follower.saw(1, "delivered").await;
    api.post(&format!("{}/{endpoint}/secret/rotate", endpoints()), &json!({})).await;
    let new = api.secret(CUSTOMER, &endpoint).await;
    publish(&api, "call.completed", json!({})).await;
    follower.saw(2, "delivered").await;

    let [before, after] = <[_; 2]>::try_from(receiver.received()).expect("two requests");
    let accepts = |secret: &str, received: &crate::harness::Received, body: &[u8]| {
        Webhook::new(secret).expect("a secret").verify(body, &received.headers).is_ok()
    };
    assert!(accepts(&old, &before, &before.body) && !accepts(&new, &before, &before.body));
    assert!(accepts(&old, &after, &after.body), "who has not changed over yet can still check");
    assert!(accepts(&new, &after, &after.body));
    assert!(!accepts(&new, &after, br#"{"of":"call.forged"}"#));
}

#[tokio::test]
async fn failures_are_retried_marked_as_failed_explained_and_sent_again_by_hand() {
    let (_site, posthaste) = platform(&[], &EVENT_TYPES).await;
    let (api, follower) = (Api::at(posthaste.http()), Follower::start(posthaste.tcp(), CUSTOMER).await);
    let receiver = Receiver::answering(Answer::Body(400, "the field 'duration' is missing")).await;
    let policy = "50ms, 100ms jitter=0%";
    let endpoint =
        api.make_endpoint(CUSTOMER, &json!({ "url": receiver.url(), "retryPolicy": policy })).await;
    let message = publish(&api, "call.completed", json!({})).await;
    follower.saw(1, "exhausted").await;
    let attempts = api.attempts(CUSTOMER, &message).await;
    assert_eq!(attempts.len(), 3);
    for attempt in &attempts {
        assert_eq!(attempt["responseStatusCode"], 400);
        assert_eq!(attempt["response"], "the field 'duration' is missing");
        assert_eq!(attempt["detail"], "the receiver answered 400");
    }
    let states: Vec<&Value> = attempts.iter().map(|attempt| &attempt["state"]).collect();
    assert_eq!(states, [&json!("exhausted"), &json!("pending"), &json!("pending")]);

    receiver.answers(Answer::Status(204));
    let resend = format!("/api/v1/app/{CUSTOMER}/msg/{message}/endpoint/{endpoint}/resend");
    assert_eq!(api.call(Method::POST, &resend, None).await.0, 202);
    follower.saw(1, "delivered").await;
    assert_eq!(receiver.count_of(&message), 4, "under the same id");
}

#[tokio::test]
async fn the_usual_causes_of_failure_are_told_apart() {
    let (_site, posthaste) = platform(&[], &EVENT_TYPES).await;
    let api = Api::at(posthaste.http());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody_url = format!("http://{}/", nobody.local_addr().expect("an address"));
    drop(nobody);
    let slow = Receiver::answering(Answer::Hang).await;
    let broken = Receiver::answering(Answer::Status(500)).await;
    for (cause, endpoint, outcome) in [
        ("unavailable", json!({ "url": nobody_url }), "connect_failed"),
        ("too slow", json!({ "url": slow.url(), "timeoutMs": 300 }), "timeout_first_byte"),
        ("no 2xx", json!({ "url": broken.url() }), "bad_status"),
        ("certificate or TLS", json!({ "url": broken.url().replace("http:", "https:") }), "tls_failed"),
    ] {
        let id = api.make_endpoint(CUSTOMER, &endpoint).await;
        let message = publish(&api, "call.failed", json!({})).await;
        let attempt = wait_for_async(cause, async || {
            let attempts = api.attempts(CUSTOMER, &message).await;
            attempts.into_iter().find(|attempt| attempt["endpointId"] == id)
        })
        .await;
        assert_eq!(attempt["outcome"], outcome, "{cause}: {attempt}");
        assert!(attempt["detail"].as_str().is_some_and(|words| words.len() > 10), "{cause}: {attempt}");
        api.delete(&format!("{}/{id}", endpoints())).await;
    }
    wait_until("the slow one was asked", || slow.count() > 0).await;
}
