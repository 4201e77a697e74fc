//! Looking up afterwards what happened to a message.

use serde_json::json;

use crate::harness::{APPLICATION, Answer, NO_LOCKOUT, Receiver, World};

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

#[tokio::test]
async fn an_attempt_shows_its_timing_its_request_and_what_went_wrong() {
    let receiver = Receiver::behaving(|_, before| match before {
        0 => Answer::Status(503),
        _ => Answer::After(std::time::Duration::from_millis(60), 204),
    });
    let fields = json!({ "retryPolicy": "100ms", "headers": { "x-api-key": "k", "x-shop": "42" } });
    let world = World::with(&NO_LOCKOUT, fields, receiver.await).await;
    let follower = world.follow().await;
    let message = format!("msg_{}", world.publish_one().await);
    follower.saw(1, "delivered").await;
    let attempts = world.api().attempts(APPLICATION, &message).await;
    let (second, first) = (&attempts[0], &attempts[1]);
    assert_eq!((&first["reused"], &second["reused"]), (&json!(false), &json!(true)));
    let ms = |attempt: &serde_json::Value, name: &str| attempt["timing"][name].as_f64().expect("a number");
    assert!(ms(first, "connectMs") > 0.0 && ms(second, "connectMs") == 0.0, "{attempts:?}");
    assert!(ms(second, "firstByteMs") >= 60.0 && ms(second, "totalMs") >= ms(second, "firstByteMs"));
    assert_eq!((&first["error"]["class"], &second["error"]), (&json!("http_5xx"), &json!(null)));
    assert_eq!((&first["trigger"], &first["triggerType"]), (&json!("scheduled"), &json!(0)));
    for (attempt, received) in attempts.iter().rev().zip(world.receiver.received_of(&message)) {
        let sent = attempt["requestHeaders"].as_object().unwrap_or_else(|| panic!("{attempt}"));
        for (name, value) in sent {
            let expected = if name == "x-api-key" { "***" } else { received.header(name) };
            assert_eq!(value, expected, "{name}");
        }
        assert_eq!(sent.len(), received.headers.len());
    }
    world.api().patch(&endpoint_path(&world, ""), &json!({ "description": "changed" })).await;
    let attempts = world.api().attempts(APPLICATION, &message).await;
    assert_eq!(attempts[0]["requestHeadersMissing"], "the endpoint was changed since");
}

fn endpoint_path(world: &World, rest: &str) -> String {
    format!("/api/v1/app/{APPLICATION}/endpoint/{}{rest}", world.endpoint)
}

#[tokio::test]
async fn deliveries_are_found_by_where_they_stand_also_after_a_kill() {
    let receiver = Receiver::behaving(|received, _| match received.body.as_ref() {
        b"{\"n\":0}" => Answer::Status(204),
        b"{\"n\":1}" => Answer::Status(404),
        _ => Answer::Status(500),
    });
    let mut world = World::with(&NO_LOCKOUT, json!({ "retryPolicy": "200ms" }), receiver.await).await;
    let follower = world.follow().await;
    let ids: Vec<String> = world.publish(2).await.into_iter().map(|id| format!("msg_{id}")).collect();
    follower.saw(1, "delivered").await;
    follower.saw(1, "exhausted").await;
    world.api().patch(&endpoint_path(&world, ""), &json!({ "retryPolicy": "1h" })).await;
    let later: Vec<String> = world.publish(3).await.into_iter().map(|id| format!("msg_{id}")).collect();
    follower.saw(2, "delivered").await;
    follower.saw(3, "pending").await;
    drop(follower);
    for ending in ["no end", "a kill"] {
        if ending == "a kill" {
            world.kill_and_start().await;
        }
        let api = world.api();
        let found = async |query: &str| {
            let page = api.get(&format!("/api/v1/app/{APPLICATION}/delivery?{query}")).await;
            assert_eq!(page["done"], true);
            let items = page["data"].as_array().expect("a list").clone();
            items.iter().map(|item| item["msgId"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(found("state=delivered").await, [later[0].as_str(), ids[0].as_str()], "{ending}");
        assert_eq!(found("state=exhausted").await, [ids[1].as_str()], "{ending}");
        assert_eq!(found("status_code=404&state=exhausted").await, [ids[1].as_str()]);
        assert_eq!(found("status_code_class=500&state=pending").await, [later[2].as_str()]);
        assert_eq!(found(&format!("msg_id={}", ids[0])).await, [ids[0].as_str()]);
        assert_eq!(found(&format!("endpoint_id={}&state=pending,exhausted", world.endpoint)).await.len(), 3);
        let to_endpoint = api.get(&endpoint_path(&world, "/msg?status=2")).await;
        assert_eq!(to_endpoint["data"][0]["id"], json!(ids[1]));
        assert_eq!(to_endpoint["data"].as_array().map(Vec::len), Some(1));
        let stats = api.get(&endpoint_path(&world, "/stats")).await;
        assert_eq!(stats["complete"], true);
        let count = |name: &str| stats[name].as_u64().expect("a number");
        assert_eq!((count("success"), count("fail"), count("pending")), (2, 1, 2), "{stats}");
        // What is recent begins anew with the process.
        assert_eq!(stats["recent"].is_null(), ending == "a kill", "{stats}");
    }
}

#[tokio::test]
async fn an_application_can_be_exported_as_json_lines() {
    let world = World::start().await;
    let follower = world.follow().await;
    world.publish(30).await;
    follower.saw(30, "delivered").await;
    let export = world.api().get(&format!("/api/v1/app/{APPLICATION}/export")).await;
    let text = export.as_str().expect("more than one line");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).count();
    assert_eq!((of("message"), of("attempt"), of("end")), (30, 30, 1));
    assert_eq!(lines[60], json!({ "type": "end", "messages": 30, "attempts": 30 }));
    assert_eq!(lines[0]["payload"], json!({ "n": 0 }));
    let after =
        world.api().get(&format!("/api/v1/app/{APPLICATION}/export?after=2100-01-01T00:00:00Z")).await;
    assert_eq!(after, json!({ "type": "end", "messages": 0, "attempts": 0 }));
}

#[tokio::test]
async fn a_payload_that_is_erased_is_gone_from_every_door_and_from_the_disk() {
    const SECRET: &str = "4711-secret-4711";
    let receiver = Receiver::answering(Answer::Body(500, "you sent 4711-secret-4711")).await;
    let mut world = World::with(&NO_LOCKOUT, json!({ "retryPolicy": "1h" }), receiver).await;
    let follower = world.follow().await;
    let messages = format!("/api/v1/app/{APPLICATION}/msg");
    let new = json!({ "eventType": "invoice.paid", "payload": { "card": SECRET } });
    let message = world.api().post(&messages, &new).await;
    let id = message["id"].as_str().expect("an id").to_owned();
    follower.saw(1, "pending").await;
    assert!(is_on_disk(&world, SECRET));
    let attempts = world.api().attempts(APPLICATION, &id).await;
    let attempt = attempts[0]["id"].as_str().expect("an id").to_owned();
    world.api().delete(&format!("{messages}/{id}/content")).await;
    world.api().delete(&format!("{messages}/{id}/attempt/{attempt}/content")).await;
    follower.saw(1, "cancelled").await;
    drop(follower);
    for ending in ["no end", "a kill"] {
        if ending == "a kill" {
            world.kill_and_start().await;
        }
        assert!(!is_on_disk(&world, SECRET), "{ending}");
        let api = world.api();
        let shown = api.get(&format!("{messages}/{id}")).await;
        assert_eq!((&shown["payload"], &shown["payloadErased"]), (&json!({}), &json!(true)), "{ending}");
        let tried = api.attempts(APPLICATION, &id).await;
        let first = tried.iter().find(|one| one["id"] == json!(attempt)).expect("it is listed");
        assert_eq!((&first["response"], &first["responseErased"]), (&json!(""), &json!(true)));
        assert_eq!(first["requestHeadersMissing"], "its payload was erased");
        let again = format!("{messages}/{id}/endpoint/{}/resend", world.endpoint);
        assert_eq!(api.call(hyper::Method::POST, &again, None).await.0, 404, "it cannot be sent again");
        let exported = api.get(&format!("/api/v1/app/{APPLICATION}/export")).await;
        assert!(!exported.as_str().expect("lines").contains(SECRET));
    }
    assert_eq!(world.receiver.count(), 1);
}

/// Whether any file of the data folder has these bytes.
fn is_on_disk(world: &World, bytes: &str) -> bool {
    fn search(folder: &std::path::Path, bytes: &[u8]) -> bool {
        let entries = std::fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path()).any(|path| match path.is_dir() {
            true => search(&path, bytes),
            false => {
                let content = std::fs::read(&path).unwrap_or_default();
                content.windows(bytes.len()).any(|window| window == bytes)
            }
        })
    }
    search(world.site.data(), bytes.as_bytes())
}
