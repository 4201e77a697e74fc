//! Testing endpoints: before they are saved, at once, and by a message of their own.

use http::Method;
use serde_json::{Value, json};

use crate::harness::{APPLICATION, Answer, Api, EVENT_TYPE, Received, Receiver, World, wait_until};

const SHOW: (&str, &str) = ("probe.show_private", "true");

fn endpoint_path(rest: &str) -> String {
    format!("/api/v1/app/{APPLICATION}/endpoint/{rest}")
}

async fn probe(world: &World, body: Value) -> Value {
    world.api().post(&endpoint_path("probe"), &body).await
}

fn assert_verifies(received: &Received, secret: &str) {
    let verifier = standardwebhooks::Webhook::new(secret).expect("a secret");
    verifier.verify(&received.body, &received.headers).expect("signed as a receiver expects it");
}

#[tokio::test]
async fn a_url_is_tested_before_it_is_saved_and_what_it_answers_is_seen_at_once() {
    let world = World::with(&[SHOW], json!({}), Receiver::answering(Answer::Status(204)).await).await;
    let candidate = Receiver::answering(Answer::Body(500, "not ready")).await;
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let body = json!({
        "url": candidate.url(), "headers": { "X-Shop": "42" }, "secret": secret,
        "authorization": { "type": "bearer", "token": "key-of-the-shop" }, "payload": { "n": 7 },
    });
    let failed = probe(&world, body.clone()).await;
    assert_eq!((&failed["outcome"], &failed["status"]), (&json!("bad_status"), &json!(500)));
    assert_eq!(failed["response"], "not ready");
    assert_eq!(failed["requestHeaders"]["authorization"], "Bearer ***");
    assert_eq!(failed["requestHeaders"]["x-shop"], "42");
    assert!(!failed.to_string().contains("key-of-the-shop"), "{failed}");

    candidate.answers(Answer::Body(200, "welcome"));
    let passed = probe(&world, body).await;
    assert_eq!((&passed["outcome"], &passed["response"]), (&json!("success"), &json!("welcome")));
    assert!(passed["timing"]["totalMs"].as_f64() > Some(0.0), "{passed}");

    let received = candidate.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[1].header("authorization"), "Bearer key-of-the-shop");
    assert_eq!(received[1].id(), passed["messageId"]);
    assert_eq!(received[1].header("webhook-signature"), passed["requestHeaders"]["webhook-signature"]);
    assert_eq!(received[1].body, r#"{"n":7}"#);
    assert_verifies(&received[1], secret);
    let endpoints = world.api().get(&format!("/api/v1/app/{APPLICATION}/endpoint")).await;
    assert_eq!(endpoints["data"].as_array().expect("a list").len(), 1, "nothing was saved");
}

#[tokio::test]
async fn whatever_is_wrong_with_a_receiver_is_said_in_words() {
    let world = World::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = listener.local_addr().expect("an address");
    drop(listener);
    let silent = Receiver::answering(Answer::Hang).await;
    let busy = Receiver::answering(Answer::RetryAfter(503, 30)).await;
    let gone = Receiver::answering(Answer::Status(410)).await;
    for (body, outcome, words) in [
        (json!({ "url": format!("http://{nobody}/") }), "connect_failed", "connection refused"),
        (json!({ "url": silent.url(), "timeoutMs": 500 }), "timeout_first_byte", "no response began in time"),
        (json!({ "url": busy.url() }), "retry_after", "asks to wait 30 s"),
        (json!({ "url": gone.url() }), "gone", "wants nothing more"),
        (json!({ "url": gone.url().replace("http:", "https:") }), "tls_failed", "TLS"),
    ] {
        let result = probe(&world, body.clone()).await;
        assert_eq!(result["outcome"], outcome, "{result}");
        assert!(result["outcomeText"].as_str().is_some_and(|text| text.contains(words)), "{result}");
    }
}

#[tokio::test]
async fn a_url_that_may_not_be_used_is_refused_and_not_tried() {
    let world = World::start().await;
    for url in
        ["http://10.0.0.1/", "http://169.254.169.254/latest/meta-data/", "ftp://a.example/", "nonsense"]
    {
        let (status, answer) =
            world.api().call(Method::POST, &endpoint_path("probe"), Some(&json!({ "url": url }))).await;
        assert_eq!((status, &answer["detail"][0]["loc"]), (422, &json!(["body", "url"])), "{answer}");
    }
}

#[tokio::test]
async fn what_a_receiver_in_the_own_network_answers_is_not_shown_by_default() {
    let world = World::start().await;
    let inside = Receiver::answering(Answer::Body(200, "inner secret")).await;
    let result = probe(&world, json!({ "url": inside.url() })).await;
    assert_eq!((&result["status"], &result["responseHidden"]), (&json!(200), &json!(true)));
    assert_eq!((&result["response"], &result["responseHeaders"]), (&Value::Null, &json!({})));
}

#[tokio::test]
async fn a_test_is_signed_like_a_delivery_and_leaves_no_trace() {
    let receiver = Receiver::answering(Answer::Status(500)).await;
    let world = World::with(&[SHOW], json!({}), receiver).await;
    let path = endpoint_path(&format!("{}/test", world.endpoint));
    let mut last = Value::Null;
    // More than it takes to lock a URL out, were these deliveries.
    for n in 0..12 {
        last = world.api().post(&path, &json!({ "eventType": EVENT_TYPE, "payload": { "n": n } })).await;
        assert_eq!(last["outcome"], "bad_status", "{last}");
    }
    let shown = world.endpoint_shown().await;
    assert_eq!((&shown["health"]["state"], &shown["disabled"]), (&json!("healthy"), &json!(false)));
    world.receiver.answers(Answer::Status(410));
    world.api().post(&path, &json!({})).await;
    assert_eq!(world.endpoint_shown().await["disabled"], json!(false), "a 410 to a test disables nobody");

    let secret = world.api().secret(APPLICATION, &world.endpoint).await;
    let received = world.receiver.received();
    assert_eq!(received.len(), 13);
    received.iter().for_each(|received| assert_verifies(received, &secret));
    assert_eq!(world.receiver.messages(), 13, "no two have one id");
    let id = last["messageId"].as_str().expect("an id");
    let (status, _) =
        world.api().call(Method::GET, &format!("/api/v1/app/{APPLICATION}/msg/{id}"), None).await;
    assert_eq!(status, 404);
    assert_eq!(world.resp().await.xlen(APPLICATION).await, 0);
    assert_eq!(world.api().metric("posthaste_messages_accepted_total").await, 0);
}

#[tokio::test]
async fn tests_beyond_their_bound_are_refused_and_no_delivery_waits_for_them() {
    const IN_FLIGHT: usize = 2;
    const WAITING: usize = 2;
    const ASKED: usize = 8;
    let settings = [("probe.in_flight_max", "2"), ("probe.waiting_max", "2")];
    let world = World::with(&settings, json!({}), Receiver::answering(Answer::Status(204)).await).await;
    let silent = Receiver::answering(Answer::Hang).await;
    let (address, url) = (world.posthaste.http(), silent.url());
    let ask = || {
        let body = json!({ "url": url, "timeoutMs": 2_000 });
        async move { Api::at(address).call(Method::POST, &endpoint_path("probe"), Some(&body)).await }
    };
    let asking: Vec<_> = (0..ASKED).map(|_| tokio::spawn(ask())).collect();
    wait_until("tests under way", || silent.count() == IN_FLIGHT).await;
    let id = world.publish_one().await;
    world.receiver.had_message(id).await;
    let (mut tested, mut refused) = (0, 0);
    for asked in asking {
        match asked.await.expect("an answer") {
            (200, result) if result["outcome"] == "timeout_first_byte" => tested += 1,
            (429, answer) if answer["code"] == "too_many_requests" => refused += 1,
            (status, answer) => panic!("{status} {answer}"),
        }
    }
    // Fewer than that may find a place, if they come faster than the first ones are taken.
    assert!(tested <= IN_FLIGHT + WAITING, "{tested}");
    assert_eq!(tested + refused, ASKED);
}

#[tokio::test]
async fn an_example_message_goes_to_one_endpoint_as_an_ordinary_delivery() {
    let world = World::start().await;
    let other = Receiver::answering(Answer::Status(204)).await;
    world.api().make_event_type("something.else").await;
    let endpoint = world.add_endpoint(json!({ "eventTypes": ["something.else"] }), &other).await;
    let schemas = json!({ "1": { "type": "object", "examples": [{ "order": 7 }] } });
    let event_type = json!({ "name": "order.paid", "description": "an order", "schemas": schemas });
    world.api().post("/api/v1/event-type", &event_type).await;
    let path = endpoint_path(&format!("{endpoint}/send-example"));
    let message = world.api().post(&path, &json!({ "eventType": "order.paid" })).await;
    other.had(1).await;
    let received = &other.received()[0];
    assert_eq!(
        (received.id(), &received.body[..]),
        (message["id"].as_str().expect("an id"), &br#"{"order":7}"#[..])
    );
    world.follow().await.saw(1, "delivered").await;
    assert_eq!(world.receiver.count(), 0, "nobody else gets it");
    let attempts = world.api().attempts(APPLICATION, received.id()).await;
    assert_eq!(attempts.len(), 1);
}
