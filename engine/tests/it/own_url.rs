//! Messages that bring their URL along.

use serde_json::json;

use crate::harness::{APPLICATION, Answer, EVENT_TYPE, Receiver, World, wait_for_async, wait_until};

async fn publish(world: &World, own: serde_json::Value) -> String {
    let body = json!({ "eventType": EVENT_TYPE, "payload": { "n": 1 }, "override": own });
    let made = world.api().post(&format!("/api/v1/app/{APPLICATION}/msg"), &body).await;
    made["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_message_goes_to_the_url_it_brings_along_with_the_authorization_of_its_endpoint() {
    let usual = Receiver::answering(Answer::Status(204)).await;
    let authorization = json!({ "authorization": { "type": "bearer", "token": "abc" } });
    let world = World::with(&[], authorization, usual).await;
    let own = Receiver::answering(Answer::Status(204)).await;
    let message = publish(&world, json!({ "url": own.url() })).await;
    wait_until("the request", || own.count() == 1).await;
    let received = &own.received()[0];
    assert_eq!((received.id(), received.header("authorization")), (message.as_str(), "Bearer abc"));
    let secret = world.api().secret(APPLICATION, &world.endpoint).await;
    let webhook = standardwebhooks::Webhook::new(&secret).expect("a secret");
    webhook.verify(&received.body, &received.headers).expect("signed with the endpoint's secret");
    assert_eq!(world.receiver.count(), 0);
}

#[tokio::test]
async fn a_secret_that_comes_with_the_url_signs_instead_of_the_endpoints() {
    let world = World::start().await;
    let own = Receiver::answering(Answer::Status(204)).await;
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    publish(&world, json!({ "url": own.url(), "secret": secret })).await;
    wait_until("the request", || own.count() == 1).await;
    let received = &own.received()[0];
    let webhook = standardwebhooks::Webhook::new(secret).expect("a secret");
    webhook.verify(&received.body, &received.headers).expect("signed with the secret of the URL");
}

#[tokio::test]
async fn a_url_that_keeps_failing_is_locked_out_and_the_endpoint_is_not() {
    let settings = [("lockout.url.consecutive_failures", "3")];
    let retries = json!({ "retryPolicy": "10ms, 10ms, 10ms, 10ms, 10ms, 10ms jitter=0%" });
    let world = World::with(&settings, retries, Receiver::answering(Answer::Status(204)).await).await;
    let own = Receiver::answering(Answer::Status(500)).await;
    let follower = world.follow().await;
    publish(&world, json!({ "url": own.url() })).await;
    follower.saw(1, "exhausted").await;
    assert_eq!(own.count(), 3, "after three failures it is left alone");
    let told = follower.outcomes();
    assert_eq!(told.iter().filter(|outcome| outcome.outcome == "url_locked_out").count(), 4);
    world.publish(5).await;
    follower.saw(5, "delivered").await;
    assert_eq!(world.endpoint_shown().await["health"]["state"], "healthy");
}

#[tokio::test]
async fn a_replay_for_another_endpoint_does_not_show_its_authorization_to_the_url() {
    let world = World::start().await;
    let own = Receiver::answering(Answer::Status(204)).await;
    let other = Receiver::answering(Answer::Status(204)).await;
    publish(&world, json!({ "url": own.url() })).await;
    wait_until("the request", || own.count() == 1).await;
    let fields = json!({ "authorization": { "type": "bearer", "token": "of the other" } });
    let endpoint = world.add_endpoint(fields, &other).await;
    let api = world.api();
    let replay = format!("/api/v1/app/{APPLICATION}/endpoint/{endpoint}/replay-missing");
    let task = api.post(&replay, &json!({ "since": "2020-01-01T00:00:00Z" })).await;
    let path = format!("/api/v1/background-task/{}", task["id"].as_str().expect("an id"));
    let ended = wait_for_async("the end", async || {
        Some(api.get(&path).await).filter(|task| task["status"] != "running")
    });
    assert_eq!(ended.await["data"]["made"], 0);
    assert_eq!((own.count(), other.count()), (1, 0));
}

#[tokio::test]
async fn the_url_is_still_known_after_a_restart() {
    let retries = json!({ "retryPolicy": "300ms, 300ms, 300ms, 300ms, 300ms, 300ms, 1s, 1s, 1s, 1s" });
    let mut world = World::with(&[], retries, Receiver::answering(Answer::Status(204)).await).await;
    let own = Receiver::answering(Answer::Status(500)).await;
    publish(&world, json!({ "url": own.url() })).await;
    wait_until("an attempt", || own.count() >= 1).await;
    world.kill_and_start().await;
    own.answers(Answer::Status(204));
    let follower = world.follow().await;
    follower.saw(1, "delivered").await;
    assert_eq!(world.receiver.count(), 0);
}

#[tokio::test]
async fn a_url_and_an_ordering_key_come_over_tcp_too() {
    use posthaste_protocol::client::{NewMessage, NewUrl};
    let world = World::start().await;
    let own = Receiver::answering(Answer::Status(204)).await;
    let client = world.client().await;
    let to = own.url();
    let url = NewUrl { url: &to, secret: None, endpoint: Some(&world.endpoint) };
    let message = NewMessage::new(APPLICATION, EVENT_TYPE, b"{}").ordering_key("a").url(url);
    let id = client.publish(&message).await.expect("accepted");
    wait_until("the request", || own.count() == 1).await;
    let shown = world.api().get(&format!("/api/v1/app/{APPLICATION}/msg/msg_{id}")).await;
    assert_eq!((shown["overrideUrl"].clone(), shown["orderingKey"].clone()), (json!(to), json!("a")));
    let refused = client.publish(&message.url(NewUrl { url: "ftp://x", ..url })).await;
    assert!(refused.unwrap_err().to_string().contains("override url"), "it is said what is wrong");
}
