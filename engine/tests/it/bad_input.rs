//! Messages that are not accepted: the answer names what is wrong, and nothing is stored.

use serde_json::{Value, json};

use crate::harness::{APPLICATION, Answer, EVENT_TYPE, Receiver, World, error_text};

async fn world() -> World {
    let receiver = Receiver::answering(Answer::Status(204)).await;
    let world = World::with(&[("limits.payload_bytes_max", "'1KiB'")], json!({}), receiver).await;
    world.api().make_event_type("invoice.old").await;
    world.api().delete("/api/v1/event-type/invoice.old").await;
    world
}

/// What is published, beside key and id, and what the refusal has to say.
fn cases() -> Vec<(Vec<String>, &'static str)> {
    let long_id = "e".repeat(257);
    let large = format!("\"{}\"", "x".repeat(1_498));
    let fields = |fields: &[&str]| fields.iter().map(|&field| field.to_owned()).collect::<Vec<_>>();
    let paid = |more: &[&str]| [&fields(&["type", EVENT_TYPE])[..], &fields(more)[..]].concat();
    vec![
        (fields(&["type", "no.such", "payload", "{}"]), "event type 'no.such' is not in the catalog"),
        (fields(&["type", "invoice.old", "payload", "{}"]), "event type 'invoice.old' is archived"),
        (fields(&["type", "in voice", "payload", "{}"]), "event type is 'in voice'; it must consist of"),
        (paid(&["payload", &large]), "payload is 1500 bytes; the limit is 1024 (limits.payload_bytes_max)"),
        (paid(&["payload", "{\"n\":"]), "payload is not JSON"),
        (paid(&["payload", "{} {}"]), "payload is not JSON"),
        (paid(&["payload", "n", "content-type", "application/vnd.shop+json"]), "payload is not JSON"),
        (paid(&["payload", "{}", "content-type", "json"]), "content type is 'json'"),
        (paid(&["payload", "{}", "id", ""]), "id"),
        (paid(&["payload", "{}", "id", &long_id]), "257"),
        (paid(&["payload", "{}", "id", "a b"]), "event id is 'a b'"),
        (paid(&["payload", "{}", "channels", "a,b,c,d,e,f"]), "message is on 6 channels; the limit is 5"),
        (paid(&["payload", "{}", "colour", "red"]), "colour"),
        (paid(&[]), "payload"),
        (fields(&["payload", "{}"]), "type"),
    ]
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_named_and_nothing_is_stored() {
    let world = world().await;
    let mut resp = world.resp().await;
    for (fields, expected) in cases() {
        let command = [vec!["XADD".into(), format!("messages:{APPLICATION}"), "*".into()], fields].concat();
        let refused = error_text(&resp.call(&command).await);
        assert!(refused.starts_with("ERR ") && refused.contains(expected), "{command:?}: {refused}");
    }
    let refused = error_text(&resp.xadd("nobody", EVENT_TYPE, "{}").await);
    assert_eq!(refused, "ERR there is no application 'nobody'");
    assert_eq!(resp.xlen(APPLICATION).await, 0);
    assert_eq!(world.receiver.count(), 0);
    // The connection was none the worse for it.
    resp.xadd(APPLICATION, EVENT_TYPE, "{}").await;
    world.receiver.had(1).await;
    assert_eq!(resp.xlen(APPLICATION).await, 1);
}

#[tokio::test]
async fn a_bad_message_in_a_pipeline_leaves_the_others_as_they_are() {
    let world = world().await;
    let command = |payload: &str| {
        let key = format!("messages:{APPLICATION}");
        ["XADD", &key, "*", "type", EVENT_TYPE, "payload", payload].map(str::to_owned).to_vec()
    };
    let replies = world.resp().await.pipeline(&[command("1"), command("{"), command("3")]).await;
    let refused = replies.iter().map(|reply| matches!(reply, posthaste_protocol::value::Value::Error(_)));
    assert_eq!(refused.collect::<Vec<_>>(), [false, true, false]);
    world.receiver.had(2).await;
    assert_eq!(world.resp().await.xlen(APPLICATION).await, 2);
}

#[tokio::test]
async fn over_http_the_same_is_refused_in_the_words_of_that_door() {
    let world = world().await;
    let publish = async |application: &str, body: Value| {
        let path = format!("/api/v1/app/{application}/msg");
        world.api().call(hyper::Method::POST, &path, Some(&body)).await
    };
    let body = |event_type: &str, payload: Value| json!({ "eventType": event_type, "payload": payload });
    assert_eq!(publish("nobody", body(EVENT_TYPE, json!({}))).await.0, 404);
    let (status, answer) = publish(APPLICATION, body("no.such", json!({}))).await;
    assert_eq!((status, &answer["detail"][0]["loc"]), (422, &json!(["body", "eventType"])));
    let (status, answer) = publish(APPLICATION, body(EVENT_TYPE, json!("x".repeat(1_500)))).await;
    assert_eq!((status, &answer["code"]), (413, &json!("payload_too_large")));
    assert_eq!(world.resp().await.xlen(APPLICATION).await, 0);
}
