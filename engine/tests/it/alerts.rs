//! Alerts: the operator hears of endpoints in trouble, through an endpoint of the operator's own, by mail, and in the
//! API.

use base64::Engine as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::harness::{
    APPLICATION, Answer, Api, NO_LOCKOUT, Posthaste, Receiver, World, wait_for_async, wait_until,
};

/// The application that hears of alerts.
const OPERATOR: &str = "operator";
const SETTINGS: [(&str, &str); 3] =
    [("alerts.application", "'operator'"), ("alerts.failing_attempts", "3"), ("alerts.failing_for", "'0s'")];
/// One attempt a message.
const ONCE: &str = "none";

/// A world whose endpoint answers this, and the receiver that hears of alerts about it.
async fn world(more: &[(&str, &str)], answer: Answer) -> (World, Receiver) {
    let settings = [&SETTINGS[..], more].concat();
    let receiver = Receiver::answering(answer).await;
    let world = World::with(&settings, json!({ "retryPolicy": ONCE, "uid": "shop" }), receiver).await;
    let pager = Receiver::answering(Answer::Status(204)).await;
    made(&world.posthaste).await;
    world.api().make_endpoint(OPERATOR, &json!({ "url": pager.url() })).await;
    (world, pager)
}

/// Waits until the operator's application is there.
async fn made(posthaste: &Posthaste) {
    let api = Api::at(posthaste.http());
    wait_for_async("the operator's application", async || {
        let (status, _) = api.call(hyper::Method::GET, &format!("/api/v1/app/{OPERATOR}"), None).await;
        (status == 200).then_some(())
    })
    .await;
}

/// The alerts of this type that a pager heard of.
fn heard(pager: &Receiver, kind: &str) -> Vec<Value> {
    let bodies = pager.received().into_iter().map(|received| serde_json::from_slice(&received.body));
    let bodies = bodies.map(|body| body.expect("JSON"));
    bodies.filter(|body: &Value| body["type"] == format!("posthaste.{kind}")).collect()
}

async fn hears(pager: &Receiver, kind: &str) -> Value {
    wait_until(&format!("an alert {kind}"), || !heard(pager, kind).is_empty()).await;
    heard(pager, kind).remove(0)
}

async fn listed(world: &World, query: &str) -> Vec<Value> {
    let page = world.api().get(&format!("/api/v1/app/{APPLICATION}/alert?{query}")).await;
    page["data"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn an_endpoint_that_keeps_failing_is_told_to_the_operators_endpoint_and_so_is_its_recovery() {
    let (world, pager) = world(&NO_LOCKOUT, Answer::Status(500)).await;
    for _ in 0..5 {
        let before = world.receiver.count();
        world.publish_one().await;
        world.receiver.had(before + 1).await;
    }
    let failing = hears(&pager, "endpoint.failing").await;
    assert_eq!((&failing["applicationUid"], &failing["endpointUid"]), (&json!(APPLICATION), &json!("shop")));
    assert_eq!(failing["endpointId"], world.endpoint);
    assert_eq!(failing["url"], world.receiver.url());
    assert_eq!(
        (&failing["detail"]["lastOutcome"], &failing["detail"]["lastStatus"]),
        (&json!("bad_status"), &json!(500))
    );
    assert_eq!(listed(&world, "type=failing&open=true").await.len(), 1);

    world.receiver.answers(Answer::Status(204));
    world.publish_one().await;
    let recovered = hears(&pager, "endpoint.recovered").await;
    assert_eq!(recovered["detail"]["after"], json!(["posthaste.endpoint.failing"]));
    let failing = listed(&world, "type=failing").await.remove(0);
    assert!(failing["endedAt"].is_string(), "{failing}");
    assert_eq!(heard(&pager, "endpoint.failing").len(), 1, "once");
}

#[tokio::test]
async fn an_exhausted_delivery_is_told_with_its_message() {
    let (world, pager) = world(&NO_LOCKOUT, Answer::Status(503)).await;
    let message = world.publish_one().await;
    let exhausted = hears(&pager, "delivery.exhausted").await;
    assert_eq!(exhausted["detail"]["lastMessageId"], format!("msg_{message}"));
    assert_eq!(exhausted["detail"]["deliveries"], 1);
    world.publish(20).await;
    world.receiver.had(21).await;
    let metric = world.api();
    wait_for_async("the last one to be counted", async || {
        (metric.metric("posthaste_deliveries_exhausted_total").await >= 21).then_some(())
    })
    .await;
    assert_eq!(heard(&pager, "delivery.exhausted").len(), 1, "further ones are summed up");
}

#[tokio::test]
async fn a_lockout_and_its_end_are_told() {
    let settings = [("lockout.url.consecutive_failures", "3"), ("lockout.url.wait_first", "'1s'")];
    let (world, pager) = world(&settings, Answer::Status(500)).await;
    for _ in 0..4 {
        world.publish_one().await;
    }
    let locked_out = hears(&pager, "endpoint.locked_out").await;
    assert_eq!(locked_out["detail"]["door"], "url");
    world.receiver.answers(Answer::Status(204));
    wait_for_async("the recovery", async || {
        world.publish_one().await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        (!heard(&pager, "endpoint.recovered").is_empty()).then_some(())
    })
    .await;
    let after = &heard(&pager, "endpoint.recovered")[0]["detail"]["after"];
    assert!(after.as_array().expect("a list").contains(&json!("posthaste.endpoint.locked_out")), "{after}");
    assert!(listed(&world, "open=true&type=locked_out").await.is_empty());
}

#[tokio::test]
async fn an_endpoint_that_was_disabled_is_told_over_a_restart_once_until_it_is_enabled_again() {
    let (mut world, pager) = world(&[], Answer::Status(410)).await;
    world.publish_one().await;
    let disabled = hears(&pager, "endpoint.disabled").await;
    assert_eq!(
        (&disabled["detail"]["reason"], &disabled["detail"]["failingSince"]["x"]),
        (&json!("gone"), &Value::Null)
    );
    assert_eq!(listed(&world, "type=disabled&open=true").await.len(), 1);
    world.kill_and_start().await;
    made(&world.posthaste).await;
    assert_eq!(listed(&world, "type=disabled&open=true").await.len(), 1, "alerts survive a kill");
    world.receiver.answers(Answer::Status(204));
    let path = format!("/api/v1/app/{APPLICATION}/endpoint/shop");
    world.api().patch(&path, &json!({ "disabled": false })).await;
    wait_for_async("the end of the alert", async || {
        listed(&world, "type=disabled&open=true").await.is_empty().then_some(())
    })
    .await;
    let told = heard(&pager, "endpoint.disabled");
    let ids: std::collections::BTreeSet<String> = told.iter().map(|body| body["id"].to_string()).collect();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn deliveries_that_a_disabled_endpoint_misses_say_why() {
    let (world, _) = world(&NO_LOCKOUT, Answer::Status(500)).await;
    let path = format!("/api/v1/app/{APPLICATION}/endpoint/shop");
    world.api().patch(&path, &json!({ "retryPolicy": "1m" })).await;
    let message = format!("msg_{}", world.publish_one().await);
    world.receiver.had(1).await;
    wait_for_async("the first attempt", async || {
        (!world.api().attempts(APPLICATION, &message).await.is_empty()).then_some(())
    })
    .await;
    world.api().patch(&path, &json!({ "disabled": true })).await;
    let withdrawn = wait_for_async("the end of the delivery", async || {
        let attempts = world.api().attempts(APPLICATION, &message).await;
        attempts.into_iter().find(|attempt| attempt["outcome"] == "withdrawn")
    })
    .await;
    assert_eq!(withdrawn["state"], "cancelled");
    assert!(withdrawn.to_string().contains("the endpoint is disabled (by_hand)"), "{withdrawn}");
}

#[tokio::test]
async fn alerts_about_the_operators_own_endpoint_make_no_messages_and_are_acknowledged_in_the_api() {
    let (world, pager) = world(&NO_LOCKOUT, Answer::Status(500)).await;
    pager.answers(Answer::Status(410));
    world.publish_one().await;
    pager.had(1).await;
    let api = world.api();
    let alert = wait_for_async("an alert about the pager", async || {
        let page = api.get(&format!("/api/v1/app/{OPERATOR}/alert?type=disabled")).await;
        page["data"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    let noted = api.post(&format!("/api/v1/alert/{alert}/acknowledge"), &json!({ "note": "mine" })).await;
    assert_eq!(noted["acknowledged"]["note"], "mine");
    let page = api.get("/api/v1/alert?acknowledged=true").await;
    assert_eq!(page["data"].as_array().map(Vec::len), Some(1));
    let messages = api.get(&format!("/api/v1/app/{OPERATOR}/msg")).await;
    let messages = messages["data"].as_array().expect("a list");
    assert!(
        messages.iter().all(|message| message["payload"]["applicationUid"] == APPLICATION),
        "{messages:?}"
    );
}

/// A mail server that takes one mail, and returns it.
async fn take_one_mail(listener: TcpListener) -> String {
    let (tcp, _) = listener.accept().await.expect("somebody with a mail");
    let mut link = BufReader::new(tcp);
    link.write_all(b"220 ready\r\n").await.expect("a connection");
    loop {
        let mut line = String::new();
        link.read_line(&mut line).await.expect("a command");
        if line.starts_with("DATA") {
            link.write_all(b"354 go on\r\n").await.expect("a connection");
            let mut mail = String::new();
            while !mail.ends_with("\r\n.\r\n") {
                link.read_line(&mut mail).await.expect("the mail");
            }
            link.write_all(b"250 taken\r\n").await.expect("a connection");
            return mail;
        }
        link.write_all(b"250 fine\r\n").await.expect("a connection");
    }
}

#[tokio::test]
async fn alerts_come_by_mail() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let settings = [
        ("alerts.email.host", "'127.0.0.1'"),
        ("alerts.email.port", &*port),
        ("alerts.email.security", "'none'"),
        ("alerts.email.from", "'posthaste@example.com'"),
        ("alerts.email.to", "['ann@example.com']"),
        ("alerts.email.digest_wait", "'1s'"),
    ];
    let mail = tokio::spawn(take_one_mail(listener));
    let (world, _) = world(&settings, Answer::Status(410)).await;
    world.publish_one().await;
    let mail = mail.await.expect("a mail");
    let (head, body) = mail.trim_end_matches(".\r\n").split_once("\r\n\r\n").expect("head and body");
    assert!(head.contains("To: ann@example.com") && head.contains("Subject: Posthaste: "), "{head}");
    let body: String = body.split_ascii_whitespace().collect();
    let text = base64::engine::general_purpose::STANDARD.decode(body).expect("base64");
    let text = String::from_utf8(text).expect("UTF-8");
    assert!(text.contains(&format!("{} was disabled (gone)", world.receiver.url())), "{text}");
}
