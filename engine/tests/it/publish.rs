//! Publishing over TCP and HTTP, as far as the receiver.

use std::collections::HashMap;

use posthaste_protocol::StreamId;
use posthaste_protocol::client::NewMessage;
use serde_json::json;
use standardwebhooks::Webhook;

use crate::harness::{APPLICATION, Answer, EVENT_TYPE, Received, Receiver, Resp, World, bulk, error_text};

fn xadd(payload: &str, event_id: Option<&str>) -> Vec<String> {
    let key = format!("messages:{APPLICATION}");
    let mut words = vec!["XADD", &key, "*", "type", EVENT_TYPE, "payload", payload];
    words.extend(event_id.into_iter().flat_map(|id| ["id", id]));
    words.into_iter().map(Into::into).collect()
}

#[tokio::test]
async fn a_message_arrives_byte_for_byte_with_its_headers_and_a_valid_signature() {
    let receiver = Receiver::answering(Answer::Status(204)).await;
    let world = World::with(&[], json!({ "headers": { "X-Shop": "42" } }), receiver).await;
    // White space, order of keys, escapes: all of it is the producer's.
    let payload = "{ \"b\":1,\"a\" : [ 1.0, \"\\u00e9\" ],\r\n\t\"n\":1e3 }";
    let id = bulk(&world.resp().await.xadd(APPLICATION, EVENT_TYPE, payload).await);

    world.receiver.had(1).await;
    let received = &world.receiver.received()[0];
    assert_eq!(received.body, payload.as_bytes());
    assert_eq!(received.id(), format!("msg_{id}"));
    assert_eq!(received.header("content-type"), "application/json");
    assert_eq!(received.header("x-shop"), "42");
    let secret = world.api().secret(APPLICATION, &world.endpoint).await;
    let webhook = Webhook::new(&secret).expect("a secret in the form of Standard Webhooks");
    webhook.verify(&received.body, &received.headers).expect("a valid signature");
    webhook.verify(b"{}", &received.headers).expect_err("the signature covers the payload");
}

#[tokio::test]
async fn a_payload_that_is_not_json_arrives_with_the_content_type_it_was_published_with() {
    let world = World::start().await;
    let payload = [0_u8, 255, 13, 10, 36, 42];
    let message = NewMessage::new(APPLICATION, EVENT_TYPE, &payload).content_type("application/octet-stream");
    world.client().await.publish(&message).await.expect("accepted");
    world.receiver.had(1).await;
    let received = &world.receiver.received()[0];
    assert_eq!(received.body, &payload[..]);
    assert_eq!(received.header("content-type"), "application/octet-stream");
}

#[tokio::test]
async fn a_message_published_over_http_arrives_like_one_published_over_tcp() {
    let world = World::start().await;
    let body = json!({ "eventType": EVENT_TYPE, "payload": { "n": 7 } });
    let made = world.api().post(&format!("/api/v1/app/{APPLICATION}/msg"), &body).await;
    world.receiver.had(1).await;
    let received = &world.receiver.received()[0];
    assert_eq!(received.id(), made["id"].as_str().expect("an id"));
    assert_eq!(received.body, &b"{\"n\":7}"[..]);
    assert_eq!(world.resp().await.xlen(APPLICATION).await, 1);
}

#[tokio::test]
async fn a_pipeline_of_thousands_is_answered_in_its_order_with_growing_ids() {
    const MESSAGES: usize = 5_000;
    let world = World::start().await;
    // Every hundredth command is another one: its reply has to keep its place, too.
    let is_echo = |n: usize| n % 100 == 99;
    let command = |n: usize| match is_echo(n) {
        true => vec!["ECHO".to_owned(), n.to_string()],
        false => xadd(&json!({ "n": n }).to_string(), None),
    };
    let commands: Vec<_> = (0..MESSAGES).map(command).collect();
    let replies = world.resp().await.pipeline(&commands).await;

    let mut last = StreamId::MIN;
    let mut ids = Vec::new();
    for (n, reply) in replies.iter().map(bulk).enumerate() {
        if is_echo(n) {
            assert_eq!(reply, n.to_string());
            continue;
        }
        let id = StreamId::parse(reply.as_bytes(), 0).expect("an id");
        assert!(id > last, "{id} came after {last}");
        last = id;
        ids.push((format!("msg_{id}"), json!({ "n": n }).to_string()));
    }
    world.receiver.had_messages(ids.len()).await;
    assert_eq!(world.receiver.count(), ids.len(), "nothing is delivered twice");
    let bodies: HashMap<String, Received> =
        world.receiver.received().into_iter().map(|one| (one.id().to_owned(), one)).collect();
    for (id, payload) in ids {
        assert_eq!(bodies[&id].body, payload.as_bytes(), "{id}");
    }
}

#[tokio::test]
async fn an_event_id_stands_for_its_first_message_even_after_a_restart_and_a_kill() {
    let mut world = World::start().await;
    let first = bulk(&world.resp().await.call(&xadd("{\"n\":1}", Some("paid-1"))).await);
    for ending in ["no end", "a restart", "a kill"] {
        match ending {
            "a restart" => assert!(world.restart().await.success()),
            "a kill" => world.kill_and_start().await,
            _ => {}
        }
        let mut resp = world.resp().await;
        let again = bulk(&resp.call(&xadd("{\"n\":1}", Some("paid-1"))).await);
        assert_eq!(again, first, "after {ending}");
        let other = error_text(&resp.call(&xadd("{\"n\":2}", Some("paid-1"))).await);
        let expected = format!("CONFLICT event id 'paid-1' was used for another message, msg_{first}");
        assert_eq!(other, expected, "after {ending}");
        assert_eq!(resp.xlen(APPLICATION).await, 1, "after {ending}");
    }
    // Something later has arrived: so would have a second delivery of the first.
    let later = world.publish_one().await;
    world.receiver.had_message(later).await;
    assert_eq!(world.receiver.messages(), 2);
}

#[tokio::test]
async fn a_message_goes_to_the_endpoints_that_listen_to_its_type_and_channel() {
    let world = World::start().await;
    world.api().make_event_type("invoice.sent").await;
    let sent_only = Receiver::answering(Answer::Status(204)).await;
    let on_channel = Receiver::answering(Answer::Status(204)).await;
    world.add_endpoint(json!({ "eventTypes": ["invoice.sent"] }), &sent_only).await;
    world.add_endpoint(json!({ "channels": ["project_7"] }), &on_channel).await;
    let client = world.client().await;
    client.publish(&NewMessage::new(APPLICATION, EVENT_TYPE, b"{}")).await.expect("accepted");
    client.publish(&NewMessage::new(APPLICATION, "invoice.sent", b"{}")).await.expect("accepted");
    let message = NewMessage::new(APPLICATION, EVENT_TYPE, b"{}").channels(&["project_7"]);
    client.publish(&message).await.expect("accepted");

    let follower = world.follow().await;
    follower.saw(5, "delivered").await;
    assert_eq!(world.receiver.count(), 3, "no event types and no channels mean all");
    assert_eq!((sent_only.count(), on_channel.count()), (1, 1));
}

#[tokio::test]
async fn with_a_password_nothing_is_published_before_it_was_given() {
    let receiver = Receiver::answering(Answer::Status(204)).await;
    let world = World::with(&[("ingest.password", "'open sesame'")], json!({}), receiver).await;
    let mut resp = Resp::connect(world.posthaste.tcp()).await;
    let refused = error_text(&resp.xadd(APPLICATION, EVENT_TYPE, "{}").await);
    assert!(refused.starts_with("NOAUTH "), "{refused}");
    let wrong = error_text(&resp.call(&["AUTH", "sesame"]).await);
    assert!(wrong.starts_with("WRONGPASS "), "{wrong}");
    assert_eq!(bulk(&resp.call(&["AUTH", "open sesame"]).await), "OK");
    assert_eq!(resp.xlen(APPLICATION).await, 0);
    bulk(&resp.xadd(APPLICATION, EVENT_TYPE, "{}").await);
    world.receiver.had(1).await;
}
