use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::world::World;
use crate::config::{ApiKey, Scope};

fn key(token: &str, scopes: &[Scope], application: Option<&str>) -> ApiKey {
    let application = application.map(Into::into);
    ApiKey {
        token: Some(token.into()),
        sha256: None,
        scopes: scopes.into(),
        application,
        event_types: None,
        events_per_second: None,
    }
}

/// A token for each scope, named like it, and some for `acme` alone; and two applications with endpoints.
async fn world() -> World {
    let mut keys: BTreeMap<String, ApiKey> = Scope::ALL
        .iter()
        .map(|scope| (scope.name().to_owned(), key(scope.name(), &[*scope], None)))
        .collect();
    keys.insert("acme".into(), key("acme", &[Scope::Admin], Some("acme")));
    keys.insert("later".into(), key("later", &[Scope::Ingest], Some("later")));
    let world = World::with_access(&["right"], &keys, 1_000_000);
    for uid in ["acme", "other"] {
        assert_eq!(call(&world, "POST", "/app", json!({ "name": uid, "uid": uid }), "right").await.0, 201);
        let endpoint = json!({ "url": "https://shop.example/hook", "uid": "shop" });
        let path = format!("/app/{uid}/endpoint");
        assert_eq!(call(&world, "POST", &path, endpoint, "right").await.0, 201);
    }
    call(&world, "POST", "/event-type", json!({ "name": "a", "description": "" }), "right").await;
    world
}

async fn call(world: &World, method: &str, path: &str, body: Value, token: &str) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = world.call_with(method, path, &body, Some(token)).await;
    (answer.status, answer.body)
}

#[tokio::test]
async fn a_token_may_do_what_its_scopes_say_and_nothing_else() {
    let world = world().await;
    let publish = json!({ "eventType": "a", "payload": {} });
    for (method, path, body, scopes) in [
        ("GET", "/app", Value::Null, &["read"][..]),
        ("GET", "/app/acme/endpoint/shop", Value::Null, &["read"]),
        ("GET", "/app/acme/attempt/endpoint/shop", Value::Null, &["read"]),
        ("GET", "/app/acme/endpoint/shop/secret", Value::Null, &["endpoints:write"]),
        ("PATCH", "/app/acme/endpoint/shop", json!({}), &["endpoints:write"]),
        ("POST", "/app/acme/msg", publish, &["ingest"]),
        ("POST", "/app/acme/msg/batch", json!({ "messages": [] }), &["ingest"]),
        ("PATCH", "/app/acme", json!({}), &[]),
        ("PUT", "/event-type/a", json!({ "description": "" }), &[]),
        ("POST", "/auth/app-portal-access/acme", Value::Null, &[]),
    ] {
        for scope in Scope::ALL {
            let (status, answer) = call(&world, method, path, body.clone(), scope.name()).await;
            let allowed = scope == Scope::Admin || scopes.contains(&scope.name());
            if allowed {
                assert!(status < 300, "{method} {path} with {scope:?}: {status} {answer}");
            } else {
                assert_eq!(
                    (status, &answer["code"]),
                    (403, &json!("forbidden")),
                    "{method} {path} {scope:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_token_for_one_application_does_not_give_it_the_name_of_another() {
    let world = world().await;
    for (method, body) in [
        ("PATCH", json!({ "uid": "globex" })),
        ("PATCH", json!({ "uid": null })),
        ("PUT", json!({ "name": "Acme", "uid": "globex" })),
        ("PUT", json!({ "name": "Acme" })),
    ] {
        assert_eq!(call(&world, method, "/app/acme", body.clone(), "acme").await.0, 403, "{method} {body}");
    }
    for (method, body) in
        [("PATCH", json!({ "uid": "acme", "name": "A" })), ("PUT", json!({ "name": "B", "uid": "acme" }))]
    {
        assert_eq!(call(&world, method, "/app/acme", body.clone(), "acme").await.0, 200, "{method} {body}");
    }
    assert_eq!(call(&world, "PATCH", "/app/acme", json!({ "uid": "renamed" }), "right").await.0, 200);
}

#[tokio::test]
async fn to_a_token_for_one_application_others_do_not_exist_and_what_is_about_all_is_forbidden() {
    let world = world().await;
    for path in ["/app/acme", "/app/acme/endpoint", "/event-type", "/event-type/a"] {
        assert_eq!(call(&world, "GET", path, Value::Null, "acme").await.0, 200, "{path}");
    }
    let (_, other) = call(&world, "GET", "/app/other", Value::Null, "right").await;
    let by_id = format!("/app/{}", other["id"].as_str().unwrap());
    for path in ["/app/other", "/app/other/endpoint/shop", &by_id, "/app/nobody"] {
        let (status, answer) = call(&world, "GET", path, Value::Null, "acme").await;
        assert_eq!((status, &answer["detail"]), (404, &json!("There is no such application")), "{path}");
    }
    for (method, path) in [("GET", "/app"), ("DELETE", "/event-type/a")] {
        assert_eq!(call(&world, method, path, Value::Null, "acme").await.0, 403, "{path}");
    }
}

#[tokio::test]
async fn a_message_brings_its_application_along_only_for_somebody_who_may_make_one() {
    let world = world().await;
    let message =
        json!({ "eventType": "a", "payload": {}, "application": { "name": "Later", "uid": "later" } });
    assert_eq!(call(&world, "POST", "/app/later/msg", message.clone(), "later").await.0, 403);
    assert_eq!(call(&world, "POST", "/app/later/msg", message.clone(), "admin").await.0, 202);
    assert_eq!(call(&world, "POST", "/app/later/msg", message, "later").await.0, 202);
}

#[tokio::test]
async fn portal_access_is_for_one_application_to_look_and_change_its_endpoints() {
    let world = world().await;
    let (status, access) = call(&world, "POST", "/auth/app-portal-access/acme", json!({}), "right").await;
    let token = access["token"].as_str().unwrap();
    assert_eq!((status, &access["url"]), (200, &json!(format!("https://hooks.example/portal#key={token}"))));
    for (method, path, body, expected) in [
        ("GET", "/app/acme/endpoint", Value::Null, 200),
        ("GET", "/app/acme/endpoint/shop/secret", Value::Null, 200),
        ("GET", "/app/acme/msg", Value::Null, 200),
        ("GET", "/event-type", Value::Null, 200),
        ("PATCH", "/app/acme/endpoint/shop", json!({ "description": "mine" }), 200),
        ("GET", "/app/other/endpoint", Value::Null, 404),
        ("PATCH", "/app/acme", json!({ "name": "mine" }), 403),
        ("POST", "/app/acme/msg", json!({ "eventType": "a", "payload": {} }), 403),
        ("POST", "/event-type", json!({ "name": "b", "description": "" }), 403),
        ("POST", "/auth/app-portal-access/acme", json!({}), 403),
        ("GET", "/app", Value::Null, 403),
    ] {
        assert_eq!(call(&world, method, path, body, token).await.0, expected, "{method} {path}");
    }
    let (_, access) = call(&world, "POST", "/auth/app-portal-access/acme", json!({}), "right").await;
    for token in [token, access["token"].as_str().unwrap()] {
        // Under the same key: what was answered to the one is no answer to the other.
        let request = Request::builder().method("POST").uri("/api/v1/auth/logout");
        let request = request.header("authorization", format!("Bearer {token}"));
        let request = request.header("idempotency-key", "logout").body(Body::empty()).unwrap();
        assert_eq!(world.send(request).await.status, 204);
        assert_eq!(call(&world, "GET", "/app/acme/endpoint", Value::Null, token).await.0, 401);
    }
    assert_eq!(call(&world, "POST", "/auth/logout", Value::Null, "right").await.0, 403);
}

#[tokio::test]
async fn people_of_an_application_see_its_background_tasks_and_no_others() {
    let world = world().await;
    let portal = async |uid: &str| {
        let path = format!("/auth/app-portal-access/{uid}");
        call(&world, "POST", &path, json!({}), "right").await.1["token"].as_str().unwrap().to_owned()
    };
    let (acme, other) = (portal("acme").await, portal("other").await);
    let since = json!({ "since": "2020-01-01T00:00:00Z" });
    let (status, task) = call(&world, "POST", "/app/acme/endpoint/shop/recover", since, &acme).await;
    assert_eq!(status, 202, "{task}");
    let path = format!("/background-task/{}", task["id"].as_str().unwrap());
    for (token, seen, status) in [(&acme, 1, 200), (&other, 0, 404), (&"right".to_owned(), 1, 200)] {
        let (_, list) = call(&world, "GET", "/background-task", Value::Null, token).await;
        assert_eq!(list["data"].as_array().unwrap().len(), seen);
        assert_eq!(call(&world, "GET", &path, Value::Null, token).await.0, status);
    }
    let cancel = format!("{path}/cancel");
    assert_eq!(call(&world, "POST", &cancel, Value::Null, &other).await.0, 404);
    assert_eq!(call(&world, "POST", &cancel, Value::Null, &acme).await.0, 200);
}

#[tokio::test]
async fn the_audit_log_says_in_whose_name_something_was_changed() {
    let world = world().await;
    let (_, access) = call(&world, "POST", "/auth/app-portal-access/acme", json!({}), "right").await;
    let portal = access["token"].as_str().unwrap();
    let body = json!({ "description": "mine" });
    call(&world, "PATCH", "/app/acme/endpoint/shop", body, portal).await;
    let repeatable = Request::builder().method("POST").uri("/api/v1/app/acme/endpoint");
    let repeatable = repeatable.header("idempotency-key", "one").header("authorization", "Bearer acme");
    let body = json!({ "url": "https://shop.example/other" }).to_string();
    assert_eq!(world.send(repeatable.body(Body::from(body)).unwrap()).await.status, 201);
    let (_, list) = call(&world, "GET", "/audit?limit=3", Value::Null, "admin").await;
    let actors: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|entry| entry["actor"].as_str().unwrap()).collect();
    let (_, acme) = call(&world, "GET", "/app/acme", Value::Null, "right").await;
    assert_eq!(actors, ["acme", &format!("portal:{}", acme["id"].as_str().unwrap()), "token-1"]);
    assert_eq!(call(&world, "GET", "/audit", Value::Null, "read").await.0, 403);
}

#[tokio::test]
async fn portal_access_says_how_long_and_what_for_and_may_bring_its_application_along() {
    let world = world().await;
    let ask = async |path: &str, body: Value| call(&world, "POST", path, body, "right").await;
    for expiry in [json!(3_599), json!(604_801), json!(-1), json!("1h")] {
        let (status, answer) = ask("/auth/app-portal-access/acme", json!({ "expiry": expiry })).await;
        assert_eq!((status, &answer["detail"][0]["loc"]), (422, &json!(["body", "expiry"])));
    }
    assert_eq!(ask("/auth/app-portal-access/nobody", json!({})).await.0, 404);
    let (status, access) = ask(
        "/auth/app-portal-access/new",
        json!({ "expiry": 3_600, "readOnly": true, "featureFlags": [], "application": { "name": "New" } }),
    )
    .await;
    assert_eq!(status, 200, "{access}");
    let token = access["token"].as_str().unwrap();
    assert_eq!(call(&world, "GET", "/app/new/endpoint", Value::Null, token).await.0, 200);
    let endpoint = json!({ "url": "https://shop.example/hook" });
    assert_eq!(call(&world, "POST", "/app/new/endpoint", endpoint, token).await.0, 403);
}

#[tokio::test]
async fn too_many_requests_a_second_with_one_token_are_turned_away_and_told_when_to_come_again() {
    let world = World::with_access(&["busy one", "quiet one"], &BTreeMap::new(), 5);
    let mut refused = None;
    for _ in 0..50 {
        let answer = world.call_with("GET", "/app", "", Some("busy one")).await;
        if answer.status != 200 {
            refused = Some(answer);
        }
    }
    let refused = refused.expect("fifty requests take less than the nine seconds that five a second allow");
    assert_eq!((refused.status, &refused.body["code"]), (429, &json!("rate_limited")));
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(world.call_with("GET", "/app", "", Some("quiet one")).await.status, 200);
}

#[tokio::test]
async fn a_body_that_is_said_to_be_something_else_than_json_is_refused() {
    let world = World::new();
    let post = async |content_type: Option<&str>, body: &str| {
        let mut request = Request::builder().method("POST").uri("/api/v1/app");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        world.send(request.body(Body::from(body.to_owned())).unwrap()).await
    };
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "\u{e9}"] {
        let answer = post(Some(content_type), r#"{"name":"a"}"#).await;
        assert_eq!((answer.status, &answer.body["code"]), (415, &json!("unsupported_media_type")));
    }
    for content_type in
        [None, Some("application/json"), Some("Application/JSON; charset=utf-8"), Some("a/b+json")]
    {
        assert_eq!(post(content_type, r#"{"name":"a"}"#).await.status, 201, "{content_type:?}");
    }
    assert_eq!(post(Some("text/plain"), "").await.status, 422);
}
