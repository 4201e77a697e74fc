//! What a request looks like, as its endpoint wants it: forms, their secret, names of headers, kinds of signatures.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use posthaste_protocol::client::NewMessage;
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use crate::harness::{APPLICATION, Answer, EVENT_TYPE, Received, Receiver, World, wait_for_async};

async fn world(endpoint: Value) -> World {
    World::with(&[], endpoint, Receiver::answering(Answer::Status(200)).await).await
}

/// What came of publishing this payload.
async fn received(world: &World, payload: &str) -> Received {
    let before = world.receiver.count();
    let message = NewMessage::new(APPLICATION, EVENT_TYPE, payload.as_bytes());
    world.client().await.publish(&message).await.expect("accepted");
    world.receiver.had(before + 1).await;
    world.receiver.received().pop().expect("a request")
}

/// Changes the secret of the endpoint, and returns what its receiver checks with from then on.
async fn rotate(world: &World, body: Value) -> String {
    let path = format!("/api/v1/app/{APPLICATION}/endpoint/{}/secret/rotate", world.endpoint);
    world.api().post(&path, &body).await;
    world.api().secret(APPLICATION, &world.endpoint).await
}

#[tokio::test]
async fn a_form_has_nested_brackets_the_secret_at_its_end_and_a_signature_over_its_own_bytes() {
    let world = world(json!({ "format": "form", "bodySecret": "s3cr&t", "successRule": "only_200" })).await;
    let payload = r#"{"event":"incoming_message","contact":{"vars":{"foo":"Hello world"}},
        "media":[{"url":"https://m.example/?a=1","size":70}],"starred":true,"time_sent":null}"#;
    let got = received(&world, payload).await;
    assert_eq!(got.header("content-type"), "application/x-www-form-urlencoded");
    let body = String::from_utf8(got.body.to_vec()).expect("ASCII");
    assert_eq!(
        body,
        "event=incoming_message&contact%5Bvars%5D%5Bfoo%5D=Hello+world&\
         media%5B0%5D%5Burl%5D=https%3A%2F%2Fm.example%2F%3Fa%3D1&media%5B0%5D%5Bsize%5D=70&starred=1&\
         secret=s3cr%26t"
    );
    let secret = world.api().secret(APPLICATION, &world.endpoint).await;
    Webhook::new(&secret).expect("a secret").verify(&got.body, &got.headers).expect("a valid signature");
    // What was published is what history shows.
    let shown = world.api().get(&format!("/api/v1/app/{APPLICATION}/msg/{}", got.id())).await;
    assert_eq!(shown["payload"]["contact"]["vars"]["foo"], "Hello world");
}

#[tokio::test]
async fn a_payload_that_no_form_can_hold_fails_in_words_and_is_delivered_once_the_endpoint_takes_json() {
    let world =
        world(json!({ "format": "form", "retryPolicy": "200ms, 200ms, 200ms, 200ms, 200ms, 200ms" })).await;
    let message = NewMessage::new(APPLICATION, EVENT_TYPE, b"[1]");
    let id = world.client().await.publish(&message).await.expect("accepted");
    let message = format!("msg_{id}");
    let first =
        wait_for_async("an attempt", async || world.api().attempts(APPLICATION, &message).await.pop());
    let shown = first.await.to_string();
    assert!(shown.contains("cannot be made a form: it is no object"), "{shown}");
    assert_eq!(world.receiver.count(), 0);
    let path = format!("/api/v1/app/{APPLICATION}/endpoint/{}", world.endpoint);
    world.api().patch(&path, &json!({ "format": "json" })).await;
    world.receiver.had(1).await;
    assert_eq!(world.receiver.received()[0].body, &b"[1]"[..]);
}

#[tokio::test]
async fn a_receiver_written_for_svix_finds_its_headers() {
    let world = world(json!({ "headerNames": "both" })).await;
    let got = received(&world, "{}").await;
    for part in ["id", "timestamp", "signature"] {
        let value = got.header(&format!("svix-{part}"));
        assert!(!value.is_empty() && value == got.header(&format!("webhook-{part}")), "{part}: {value}");
    }
    let path = format!("/api/v1/app/{APPLICATION}/endpoint/{}", world.endpoint);
    world.api().patch(&path, &json!({ "headerNames": "svix" })).await;
    let got = received(&world, "{}").await;
    assert!(!got.headers.contains_key("webhook-id"));
    let secret = world.api().secret(APPLICATION, &world.endpoint).await;
    let signed = Webhook::new(&secret).expect("a secret").sign(
        got.header("svix-id"),
        got.header("svix-timestamp").parse().expect("a number"),
        &got.body,
    );
    assert_eq!(signed.expect("a signature"), got.header("svix-signature"));
}

/// Checks the signature of this kind as whoever has the public key would, with a library that has no part in making
/// it.
fn is_signed_by(got: &Received, public: &str) -> bool {
    let bytes = |text: &str| BASE64_STANDARD.decode(text).expect("base64");
    let public = bytes(public.strip_prefix("whpk_").expect("a public key"));
    let key = VerifyingKey::from_bytes(&public.try_into().expect("32 bytes")).expect("a key");
    let (id, timestamp) = (got.id().as_bytes(), got.header("webhook-timestamp").as_bytes());
    let signed = [id, b".", timestamp, b".", &got.body].concat();
    let mut signatures =
        got.header("webhook-signature").split(' ').filter_map(|one| one.strip_prefix("v1a,"));
    signatures.any(|one| {
        let signature = Signature::from_slice(&bytes(one)).expect("64 bytes");
        key.verify_strict(&signed, &signature).is_ok()
    })
}

#[tokio::test]
async fn an_endpoint_moves_from_a_shared_secret_to_a_key_pair_without_a_request_it_could_not_check() {
    let world = world(json!({})).await;
    let shared = world.api().secret(APPLICATION, &world.endpoint).await;
    let old = Webhook::new(&shared).expect("a secret");
    let got = received(&world, r#"{"n":1}"#).await;
    old.verify(&got.body, &got.headers).expect("signed by the shared secret");

    // Two seconds, in which both sign; behind them the old one is silent though nobody touches the endpoint.
    let public = rotate(&world, json!({ "signature": "v1a", "gracePeriodSeconds": 2 })).await;
    let got = received(&world, r#"{"n":2}"#).await;
    old.verify(&got.body, &got.headers).expect("still signed by the old one");
    assert!(is_signed_by(&got, &public));
    let is_alone = |got: &Received| !got.header("webhook-signature").contains(' ');
    loop {
        let got = received(&world, r#"{"n":3}"#).await;
        assert!(is_signed_by(&got, &public), "the new one always signs");
        if is_alone(&got) {
            old.verify(&got.body, &got.headers).expect_err("the old one has run out");
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let next = rotate(&world, json!({ "gracePeriodSeconds": 60 })).await;
    let got = received(&world, r#"{"n":4}"#).await;
    assert!(next.starts_with("whpk_") && next != public);
    assert!(is_signed_by(&got, &public) && is_signed_by(&got, &next));
}

#[tokio::test]
async fn the_private_key_of_an_endpoint_is_taken_and_never_shown() {
    // RFC 8032 section 7.1, test 1.
    let private = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    let world = world(json!({ "secret": format!("whsk_{private}") })).await;
    let public = world.api().secret(APPLICATION, &world.endpoint).await;
    assert_eq!(public, "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    assert!(is_signed_by(&received(&world, "{}").await, &public));
}

#[tokio::test]
async fn a_url_that_a_message_brings_along_gets_its_own_secret_in_the_form() {
    let world =
        world(json!({ "format": "form", "bodySecret": "the endpoint's", "headerNames": "both" })).await;
    let other = Receiver::answering(Answer::Status(200)).await;
    let body = json!({
        "eventType": EVENT_TYPE,
        "payload": { "event": "send_status" },
        "override": { "url": other.url(), "secret": "its own", "endpoint": world.endpoint },
    });
    world.api().post(&format!("/api/v1/app/{APPLICATION}/msg"), &body).await;
    other.had(1).await;
    let got = &other.received()[0];
    assert_eq!(got.body, &b"event=send_status&secret=its+own"[..]);
    assert!(got.headers.contains_key("svix-id"));
    assert_eq!(world.receiver.count(), 0);
}
