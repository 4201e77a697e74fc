use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::world::World;
use crate::access::write_notes;
use crate::api::export::Lines;
use crate::clock::unix_ms;
use crate::config::{ApiKey, Scope};
use crate::listener::Places;

/// A world with a token that may do everything, `root`, and the application `acme` with an endpoint.
async fn world() -> World {
    let world = World::with_tokens(&["root"]);
    for (path, body) in [
        ("/app", json!({ "name": "Acme", "uid": "acme" })),
        ("/app", json!({ "name": "Other", "uid": "other" })),
        ("/app/acme/endpoint", json!({ "url": "https://shop.example/hook", "uid": "shop" })),
        ("/event-type", json!({ "name": "invoice.paid", "description": "" })),
    ] {
        assert_eq!(call(&world, "POST", path, body, "root").await.0, 201, "{path}");
    }
    world
}

async fn call(world: &World, method: &str, path: &str, body: Value, token: &str) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = world.call_with(method, path, &body, Some(token)).await;
    (answer.status, answer.body)
}

/// Makes a key; its id and its token.
async fn make(world: &World, body: Value) -> (String, String) {
    let (status, made) = call(world, "POST", "/auth/api-key", body, "root").await;
    assert_eq!(status, 201, "{made}");
    (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_key_is_shown_once_and_may_do_what_it_says_from_then_on() {
    let world = world().await;
    let body = json!({ "name": "The shop", "scopes": ["read", "ingest"], "applicationId": "acme" });
    let (id, token) = make(&world, body).await;
    assert!(token.starts_with(&format!("ph_test_{}_", id.strip_prefix("key_").unwrap())), "{token}");
    for (method, path, body, expected) in [
        ("GET", "/app/acme", Value::Null, 200),
        ("POST", "/app/acme/msg", json!({ "eventType": "invoice.paid", "payload": {} }), 202),
        ("PATCH", "/app/acme/endpoint/shop", json!({}), 403),
        ("GET", "/app/other", Value::Null, 404),
        ("GET", "/app", Value::Null, 403),
        ("GET", "/auth/api-key", Value::Null, 403),
    ] {
        assert_eq!(call(&world, method, path, body, &token).await.0, expected, "{method} {path}");
    }
    let (_, list) = call(&world, "GET", "/auth/api-key", Value::Null, "root").await;
    let (_, read) = call(&world, "GET", &format!("/auth/api-key/{id}"), Value::Null, "root").await;
    assert_eq!(list["data"], json!([read]));
    assert!(!list.to_string().contains(&token[24..]), "{list}");
    assert_eq!(read["censoredToken"], json!(format!("{}...", &token[..20])));
    assert!(read["lastUsedAt"].is_string() && read["expiresAt"].is_null(), "{read}");
}

#[tokio::test]
async fn a_key_that_was_revoked_opens_nothing_when_the_revocation_is_answered() {
    let world = world().await;
    let (id, token) = make(&world, json!({ "name": "a", "scopes": ["admin"] })).await;
    assert_eq!(call(&world, "GET", "/app", Value::Null, &token).await.0, 200);
    let path = format!("/auth/api-key/{id}");
    assert_eq!(call(&world, "DELETE", &path, Value::Null, "root").await, (204, Value::Null));
    assert_eq!(call(&world, "GET", "/app", Value::Null, &token).await.0, 401);
    assert_eq!(call(&world, "DELETE", &path, Value::Null, "root").await.0, 404);
    for nobody in ["/auth/api-key/key_00000000000", "/auth/api-key/x"] {
        assert_eq!(call(&world, "GET", nobody, Value::Null, "root").await.0, 404);
    }
}

#[tokio::test]
async fn where_nobody_is_asked_any_token_will_do_but_not_a_key_that_is_no_longer_valid() {
    let world = World::new();
    assert_eq!(call(&world, "GET", "/app", Value::Null, "whatever").await.0, 200);
    let body = json!({ "name": "a", "scopes": ["admin"] });
    let (_, made) = call(&world, "POST", "/auth/api-key", body, "whatever").await;
    let token = made["token"].as_str().unwrap();
    assert_eq!(call(&world, "GET", "/app", Value::Null, token).await.0, 200);
    let path = format!("/auth/api-key/{}", made["id"].as_str().unwrap());
    assert_eq!(call(&world, "DELETE", &path, Value::Null, "whatever").await.0, 204);
    assert_eq!(call(&world, "GET", "/app", Value::Null, token).await.0, 401);
}

#[tokio::test]
async fn a_key_runs_out_in_a_while_and_never_later_than_it_would_have() {
    let world = world().await;
    let (id, token) = make(&world, json!({ "name": "a", "scopes": ["read"] })).await;
    let path = format!("/auth/api-key/{id}/expire");
    for expiry in [0, 604_801] {
        assert_eq!(call(&world, "POST", &path, json!({ "expiry": expiry }), "root").await.0, 422);
    }
    let (status, first) = call(&world, "POST", &path, json!({ "expiry": 60 }), "root").await;
    let (_, second) = call(&world, "POST", &path, json!({ "expiry": 600_000 }), "root").await;
    assert_eq!((status, &first["expiresAt"]), (200, &second["expiresAt"]));
    assert_eq!(call(&world, "GET", "/app/acme", Value::Null, &token).await.0, 200);
    // As if the time had passed.
    world.editor.expire_api_key(id.parse().unwrap(), unix_ms() - 1).await.unwrap();
    assert_eq!(call(&world, "GET", "/app/acme", Value::Null, &token).await.0, 401);
}

#[tokio::test]
async fn what_a_key_cannot_be_is_said_by_field() {
    let world = world().await;
    for (body, field) in [
        (json!({ "scopes": ["read"] }), "name"),
        (json!({ "name": "a" }), "scopes"),
        (json!({ "name": "a", "scopes": ["everything"] }), "scopes"),
        (json!({ "name": "a", "scopes": ["read"], "applicationId": "nobody" }), "applicationId"),
        (json!({ "name": "a", "scopes": ["read"], "expiresAt": "2020-01-01T00:00:00Z" }), "expiresAt"),
        (json!({ "name": "a", "scopes": ["read"], "expiresAt": "soon" }), "expiresAt"),
        (json!({ "name": "a", "scopes": ["ingest"], "eventTypes": ["a b"] }), "eventTypes"),
        (json!({ "name": "a", "scopes": ["ingest"], "eventsPerSecond": 0 }), "eventsPerSecond"),
    ] {
        let (status, answer) = call(&world, "POST", "/auth/api-key", body, "root").await;
        assert_eq!((status, &answer["detail"][0]["loc"]), (422, &json!(["body", field])), "{answer}");
    }
}

#[tokio::test]
async fn keys_publish_the_event_types_that_they_are_for_whether_made_or_configured() {
    let configured = ApiKey {
        token: Some("configured".into()),
        sha256: None,
        scopes: vec![Scope::Ingest],
        application: None,
        event_types: Some(vec!["invoice.*".into()]),
        events_per_second: None,
    };
    let world = World::with_access(&["root"], &BTreeMap::from([("shop".into(), configured)]), 1_000_000);
    call(&world, "POST", "/app", json!({ "name": "Acme", "uid": "acme" }), "root").await;
    let body = json!({ "name": "a", "scopes": ["ingest"], "eventTypes": ["invoice.*"] });
    let (_, made) = make(&world, body).await;
    for token in ["configured", &made] {
        let publish = async |event_type: &str| {
            let body = json!({ "eventType": event_type, "payload": {} });
            call(&world, "POST", "/app/acme/msg", body, token).await
        };
        assert_eq!(publish("invoice.paid").await.0, 202);
        let (status, answer) = publish("user.signup").await;
        assert_eq!((status, &answer["code"]), (403, &json!("forbidden")), "{answer}");
        let messages =
            ["user.signup", "invoice.paid"].map(|name| json!({ "eventType": name, "payload": {} }));
        let batch = json!({ "messages": messages });
        let (status, answer) = call(&world, "POST", "/app/acme/msg/batch", batch, token).await;
        assert_eq!((status, &answer["data"][0]["code"]), (202, &json!("forbidden")), "{answer}");
        assert!(answer["data"][1]["id"].is_string(), "{answer}");
    }
}

#[tokio::test]
async fn a_key_publishes_as_many_messages_a_second_as_it_may_and_is_told_when_to_come_again() {
    let world = world().await;
    let (_, token) = make(&world, json!({ "name": "a", "scopes": ["ingest"], "eventsPerSecond": 3 })).await;
    let message = json!({ "eventType": "invoice.paid", "payload": {} });
    let batch = json!({ "messages": vec![message.clone(); 20] });
    let (status, answer) = call(&world, "POST", "/app/acme/msg/batch", batch, &token).await;
    assert_eq!(status, 202);
    let entries = answer["data"].as_array().unwrap();
    let accepted = entries.iter().take_while(|entry| entry["id"].is_string()).count();
    // Twenty take less than the five seconds that seventeen would have to wait.
    assert!((3..20).contains(&accepted), "{answer}");
    let refused = world.call_with("POST", "/app/acme/msg", &message.to_string(), Some(&token)).await;
    assert_eq!((refused.status, &refused.headers["retry-after"]), (429, &"1".parse().unwrap()));
    assert!(refused.body["detail"].as_str().unwrap().contains("3 messages a second"), "{}", refused.body);
}

#[tokio::test]
async fn what_arrives_after_the_revocation_is_not_done_although_it_was_begun_before() {
    let world = world().await;
    let (id, token) = make(&world, json!({ "name": "a", "scopes": ["admin"] })).await;
    let (body, lines) = tokio::sync::mpsc::channel(1);
    let request = Request::builder().method("POST").uri("/api/v1/auth/api-key");
    let request = request.header("authorization", format!("Bearer {token}"));
    let request = request.body(Body::new(Lines(lines))).unwrap();
    let send = async {
        body.send(r#"{ "name": "b", "#.into()).await.unwrap();
        // Whoever takes the first piece has let it in.
        let room = body.reserve().await.unwrap();
        let revoked = call(&world, "DELETE", &format!("/auth/api-key/{id}"), Value::Null, "root").await;
        assert_eq!(revoked.0, 204);
        room.send(r#""scopes": ["admin"] }"#.into());
        drop(body);
    };
    let (answer, ()) = tokio::join!(world.send(request), send);
    assert_eq!(answer.status, 401, "{}", answer.body);
    let (_, list) = call(&world, "GET", "/auth/api-key", Value::Null, "root").await;
    assert_eq!(list["data"], json!([]));
}

#[tokio::test]
async fn whoever_shows_a_token_that_is_known_keeps_the_place_and_others_leave_it_to_the_next() {
    let world = world().await;
    let stranger = std::net::IpAddr::from([192, 0, 2, 1]);
    for (path, token, keeps) in [
        ("/app", Some("root"), true),
        ("/app", Some("wrong"), false),
        ("/app", None, false),
        ("/health", Some("root"), false),
    ] {
        let places = Places::new("api", 1, 10);
        let place = std::sync::Arc::new(places.take(stranger).expect("a place"));
        let mut request = Request::builder().uri(format!("/api/v1{path}")).extension(place.clone());
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(places.take(stranger).is_err(), keeps, "{path} {token:?}");
    }
}

#[tokio::test]
async fn a_repetition_makes_no_second_key_and_does_not_show_the_token_again() {
    let world = world().await;
    let repeat = async || {
        let request = Request::builder().method("POST").uri("/api/v1/auth/api-key");
        let request = request.header("authorization", "Bearer root").header("idempotency-key", "one");
        let body = json!({ "name": "a", "scopes": ["read"] }).to_string();
        world.send(request.body(Body::from(body)).unwrap()).await
    };
    let (first, second) = (repeat().await, repeat().await);
    assert_eq!((first.status, second.status), (201, 409));
    assert_eq!(second.body["code"], "answer_not_kept");
    let (_, list) = call(&world, "GET", "/auth/api-key", Value::Null, "root").await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn who_made_used_and_revoked_a_key_and_who_was_turned_away_is_in_the_audit_log() {
    let world = world().await;
    let (id, token) = make(&world, json!({ "name": "a", "scopes": ["read"] })).await;
    call(&world, "GET", "/app", Value::Null, &token).await;
    call(&world, "GET", "/app", Value::Null, &token).await;
    call(&world, "DELETE", "/app/acme/endpoint/shop", Value::Null, &token).await;
    for _ in 0..5 {
        call(&world, "GET", "/app", Value::Null, "guessed").await;
    }
    write_notes(&world.access, &world.editor).await.unwrap();
    write_notes(&world.access, &world.editor).await.unwrap();
    call(&world, "DELETE", &format!("/auth/api-key/{id}"), Value::Null, "root").await;
    let (_, list) = call(&world, "GET", "/audit?limit=4", Value::Null, "root").await;
    let shown: Vec<[&Value; 4]> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| ["actor", "action", "object", "count"].map(|name| &entry[name]))
        .collect();
    let (id, none) = (json!(id), Value::Null);
    assert_eq!(
        shown,
        [
            [&json!("token-1"), &json!("api_key.revoke"), &id, &none],
            [&json!("stranger"), &json!("access.refuse"), &json!("api"), &json!(5)],
            [&id, &json!("api_key.first_use"), &id, &none],
            [&json!("token-1"), &json!("api_key.create"), &id, &none],
        ]
    );
    assert!(!list.to_string().contains("guessed"), "{list}");
}
