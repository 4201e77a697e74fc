use serde_json::{Value, json};

use super::world::World;
use crate::core::ids::MessageId;
use crate::publish::PublishError;

async fn world() -> World {
    let world = World::new();
    world.with_endpoint().await;
    world
}

#[tokio::test]
async fn a_message_keeps_every_byte_of_its_payload() {
    let world = world().await;
    let payload = r#"{ "b" : 1.0,  "a":"\u00e4", "n": 12345678901234567890123 }"#;
    let body = format!(r#"{{"eventType":"a.b","payload":{payload}}}"#);
    let answer = world.call_with("POST", "/app/acme/msg", &body, None).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(world.engine.messages.lock()[0].payload, payload.as_bytes());
}

#[tokio::test]
async fn an_accepted_message_is_answered_with_its_id_time_and_content() {
    let world = world().await;
    let body = json!({"eventType": "a.b", "payload": {"x": 1}, "eventId": "e1", "channels": ["c"]});
    let (status, message) = world.post("/app/acme/msg", body.clone()).await;
    assert_eq!(status, 202);
    let expect = json!({
        "id": "msg_1732300000000-0", "eventType": "a.b", "eventId": "e1", "channels": ["c"],
        "payload": {"x": 1}, "timestamp": "2024-11-22T18:26:40Z",
    });
    assert_eq!(message, expect);
    let (_, without) = world.post("/app/acme/msg?with_content=false", body).await;
    assert_eq!(without["payload"], json!({}));
    assert_eq!(world.get("/app/acme/msg/msg_1732300000000-0").await, (200, expect.clone()));
    assert_eq!(world.get("/app/acme/msg/e1").await, (200, expect));
    for id in ["msg_1-1", "e2", "msg_x"] {
        assert_eq!(world.get(&format!("/app/acme/msg/{id}")).await.0, 404, "{id}");
    }
}

#[tokio::test]
async fn content_that_is_not_json_comes_and_goes_as_a_text() {
    let world = world().await;
    let body = json!({"eventType": "a", "payload": "x=\"1\"", "contentType": "text/plain"});
    let (status, message) = world.post("/app/acme/msg", body).await;
    assert_eq!(
        (status, message["payload"].clone(), message["contentType"].clone()),
        (202, json!("x=\"1\""), json!("text/plain"))
    );
    assert_eq!(world.engine.messages.lock()[0].payload, "x=\"1\"");
    let (status, _) = world
        .post("/app/acme/msg", json!({"eventType": "a", "payload": {}, "contentType": "text/plain"}))
        .await;
    assert_eq!(status, 422);
}

#[tokio::test]
async fn a_message_that_is_refused_says_why_and_where() {
    let world = world().await;
    let cases = [
        (json!({"payload": {}}), 422, json!(["body", "eventType"])),
        (json!({"eventType": "a"}), 422, json!(["body", "payload"])),
        (json!({"eventType": "a b", "payload": {}}), 422, json!(["body", "eventType"])),
        (json!({"eventType": "a", "payload": {}, "eventId": ""}), 422, json!(["body", "eventId"])),
        (
            json!({"eventType": "a", "payload": {}, "channels": ["1", "2", "3", "4", "5", "6"]}),
            422,
            json!(["body", "channels"]),
        ),
        (json!({"eventType": "a", "payload": "", "contentType": "x"}), 422, json!(["body", "contentType"])),
    ];
    for (body, status, location) in cases {
        let (answered, answer) = world.post("/app/acme/msg", body.clone()).await;
        assert_eq!((answered, answer["detail"][0]["loc"].clone()), (status, location), "{body}");
    }
    assert_eq!(world.post("/app/nobody/msg", json!({"eventType": "a", "payload": {}})).await.0, 404);
    let (status, body) =
        world.post("/app/acme/msg", json!({"eventType": "a", "payload": "x".repeat(1_001)})).await;
    assert_eq!((status, body["code"].clone()), (413, json!("payload_too_large")));
    assert_eq!(body["detail"], "payload is 1003 bytes; the limit is 1000 (limits.payload_bytes_max)");
}

#[tokio::test]
async fn what_the_engine_refuses_has_its_status_and_code() {
    let world = world().await;
    let first = MessageId(posthaste_storage::EntryId::new(5, 1));
    for (error, status, code) in [
        (PublishError::Conflict { event_id: "e1".into(), first }, 409, "conflict"),
        (PublishError::Full, 507, "disk_full"),
        (PublishError::Overloaded, 429, "overloaded"),
        (PublishError::LogPoisoned, 503, "log_stopped"),
    ] {
        let text = error.to_string();
        *world.engine.refuses_with.lock() = Some(error);
        let answer = world.post("/app/acme/msg", json!({"eventType": "a", "payload": {}})).await;
        assert_eq!(answer, (status, json!({"code": code, "detail": text})));
    }
}

#[tokio::test]
async fn a_message_may_bring_its_application_along() {
    let world = World::new();
    let body = json!({"eventType": "a", "payload": {}, "application": {"name": "New", "uid": "new"}});
    assert_eq!(world.post("/app/new/msg", body.clone()).await.0, 202);
    assert_eq!(world.get("/app/new").await.1["name"], "New");
    assert_eq!(world.post("/app/new/msg", body.clone()).await.0, 202);
    assert_eq!(world.post("/app/other/msg", body).await.0, 422);
}

#[tokio::test]
async fn messages_are_listed_newest_first_and_paged() {
    let world = world().await;
    for event_type in ["a", "b", "a", "b", "a"] {
        world.post("/app/acme/msg", json!({"eventType": event_type, "payload": 1})).await;
    }
    let ids = |body: &Value| -> Vec<String> {
        let data = body["data"].as_array().unwrap();
        data.iter().map(|item| item["id"].as_str().unwrap().replace("msg_1732300000000-", "")).collect()
    };
    let (_, first) = world.get("/app/acme/msg?limit=2").await;
    assert_eq!((ids(&first), first["done"].clone()), (vec!["4".into(), "3".into()], json!(false)));
    let (_, second) =
        world.get(&format!("/app/acme/msg?limit=2&iterator={}", first["iterator"].as_str().unwrap())).await;
    assert_eq!(ids(&second), ["2", "1"]);
    let (_, back) = world
        .get(&format!("/app/acme/msg?limit=2&iterator={}", second["prevIterator"].as_str().unwrap()))
        .await;
    assert_eq!(ids(&back), ["4", "3"]);
    let (_, some) = world.get("/app/acme/msg?event_types=b&with_content=false").await;
    assert_eq!(
        (ids(&some), some["data"][0]["payload"].clone()),
        (vec!["3".to_owned(), "1".to_owned()], json!({}))
    );
    assert_eq!(world.get("/app/acme/msg?before=noon").await.0, 422);
}

#[tokio::test]
async fn deleting_a_message_cancels_what_is_pending() {
    let world = world().await;
    let (_, message) = world.post("/app/acme/msg", json!({"eventType": "a", "payload": 1})).await;
    let id = message["id"].as_str().unwrap();
    assert_eq!(world.call("DELETE", &format!("/app/acme/msg/{id}"), Value::Null).await, (204, Value::Null));
    assert_eq!(*world.engine.cancelled.lock(), [id.parse().unwrap()]);
    assert_eq!(world.call("DELETE", "/app/acme/msg/msg_9-9", Value::Null).await.0, 404);
}

#[tokio::test]
async fn where_the_deliveries_of_a_message_stand_is_told_with_their_endpoints() {
    let world = world().await;
    let (_, message) = world.post("/app/acme/msg", json!({"eventType": "a", "payload": 1})).await;
    let (status, list) =
        world.get(&format!("/app/acme/msg/{}/endpoint", message["id"].as_str().unwrap())).await;
    let delivery = &list["data"][0];
    assert_eq!(
        (status, delivery["uid"].clone(), delivery["url"].clone()),
        (200, json!("shop"), json!("https://shop.example/hook"))
    );
    assert_eq!((delivery["status"].clone(), delivery["statusText"].clone()), (json!(3), json!("sending")));
    assert_eq!(delivery["nextAttempt"], "2024-11-22T18:26:40Z");
}

#[tokio::test]
async fn in_a_batch_a_message_that_is_refused_does_not_stand_in_the_way_of_the_others() {
    let world = world().await;
    let batch = json!({"messages": [
        {"eventType": "a", "payload": {"n": 1}},
        {"eventType": "a b", "payload": {}},
        {"payload": {}},
        {"eventType": "a", "payload": {"n": 2}},
    ]});
    let (status, body) = world.post("/app/acme/msg/batch?with_content=true", batch).await;
    let data = body["data"].as_array().unwrap();
    assert_eq!((status, data.len()), (202, 4));
    assert_eq!((data[0]["payload"].clone(), data[3]["payload"].clone()), (json!({"n": 1}), json!({"n": 2})));
    assert_eq!(
        (data[1]["code"].clone(), data[2]["detail"].clone()),
        (json!("validation"), json!("eventType is missing"))
    );
    assert_eq!(data[3]["id"], "msg_1732300000000-1");
    let many: Vec<_> = (0..1_001).map(|_| json!({"eventType": "a", "payload": 1})).collect();
    assert_eq!(world.post("/app/acme/msg/batch", json!({"messages": many})).await.0, 422);
    assert_eq!(world.post("/app/nobody/msg/batch", json!({"messages": []})).await.0, 404);
}
