//! Looking up afterwards what happened to a message.

use serde_json::json;

use crate::harness::{APPLICATION, Answer, Receiver, World};

#[tokio::test]
async fn a_message_its_deliveries_and_its_attempts_can_be_looked_up_even_after_a_kill() {
    let receiver = Receiver::behaving(|_, before| match before {
        0 => Answer::Body(500, "out of order"),
        _ => Answer::Body(200, "thank you"),
    });
    let mut world = World::with(&[], json!({ "retryPolicy": "100ms" }), receiver.await).await;
    let follower = world.follow().await;
    let message = format!("msg_{}", world.publish_one().await);
    follower.saw(1, "delivered").await;
    drop(follower);
    for ending in ["no end", "a kill"] {
        if ending == "a kill" {
            world.kill_and_start().await;
        }
        let api = world.api();
        let shown = api.get(&format!("/api/v1/app/{APPLICATION}/msg/{message}")).await;
        assert_eq!((&shown["eventType"], &shown["payload"]), (&json!("invoice.paid"), &json!({ "n": 0 })));
        let attempts = api.attempts(APPLICATION, &message).await;
        let column = |name: &str| attempts.iter().map(|attempt| attempt[name].clone()).collect::<Vec<_>>();
        assert_eq!(column("responseStatusCode"), [200, 500], "after {ending}");
        assert_eq!(column("response"), ["thank you", "out of order"]);
        assert_eq!(column("attemptNumber"), [2, 1]);
        let id = attempts[0]["id"].as_str().expect("an id");
        let path = format!("/api/v1/app/{APPLICATION}/msg/{message}/attempt/{id}");
        assert_eq!(api.get(&path).await["response"], "thank you");
        let deliveries = api.get(&format!("/api/v1/app/{APPLICATION}/msg/{message}/endpoint")).await;
        assert_eq!(deliveries["data"][0]["id"], json!(world.endpoint), "{deliveries}");
        let at_endpoint = format!("/api/v1/app/{APPLICATION}/attempt/endpoint/{}", world.endpoint);
        assert_eq!(api.get(&at_endpoint).await["data"].as_array().map(Vec::len), Some(2));
    }
}

#[tokio::test]
async fn messages_are_listed_newest_first_page_by_page() {
    let world = World::start().await;
    let published = world.publish(25).await;
    let api = world.api();
    let mut listed = Vec::new();
    let mut path = format!("/api/v1/app/{APPLICATION}/msg?limit=10");
    loop {
        let page = api.get(&path).await;
        let items = page["data"].as_array().expect("a list");
        listed.extend(items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
        if page["done"] == true {
            break;
        }
        let iterator = page["iterator"].as_str().expect("an iterator");
        path = format!("/api/v1/app/{APPLICATION}/msg?limit=10&iterator={iterator}");
    }
    let expected: Vec<_> = published.iter().rev().map(|id| format!("msg_{id}")).collect();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_message_that_is_taken_back_is_not_tried_again() {
    let receiver = Receiver::answering(Answer::Status(500)).await;
    let world = World::with(&[], json!({ "retryPolicy": "1h" }), receiver).await;
    let follower = world.follow().await;
    let message = world.publish_one().await;
    world.receiver.had(1).await;
    follower.saw(1, "pending").await;
    world.api().delete(&format!("/api/v1/app/{APPLICATION}/msg/msg_{message}")).await;
    follower.saw(1, "cancelled").await;
}

#[tokio::test]
async fn without_the_token_nothing_is_shown_or_changed() {
    let site = crate::harness::Site::new(&[("api.tokens", "['a long token']")]);
    let posthaste = site.start().await;
    let body = json!({ "name": "x" });
    for api in [
        crate::harness::Api::at(posthaste.http()),
        crate::harness::Api::at(posthaste.http()).with_token("another token"),
    ] {
        let (status, answer) = api.call(hyper::Method::POST, "/api/v1/app", Some(&body)).await;
        assert_eq!((status, &answer["code"]), (401, &json!("authentication_failed")));
    }
    let api = crate::harness::Api::at(posthaste.http()).with_token("a long token");
    assert_eq!(api.get("/api/v1/app").await["data"], json!([]));
}
