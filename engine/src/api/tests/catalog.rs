use serde_json::{Value, json};

use super::world::World;

/// Whether an object has these fields, not null.
fn assert_has(value: &Value, fields: &[&str]) {
    for field in fields {
        assert!(!value[field].is_null(), "{field} is missing in {value}");
    }
}

fn location(body: &Value) -> Value {
    body["detail"][0]["loc"].clone()
}

#[tokio::test]
async fn an_application_is_created_read_patched_and_deleted_by_id_or_uid() {
    let world = World::new();
    let (status, created) =
        world.post("/app", json!({"name": "Acme", "uid": "acme", "throttleRate": 5})).await;
    assert_eq!(status, 201);
    assert_has(&created, &["id", "uid", "name", "metadata", "createdAt", "updatedAt"]);
    let by_id = world.get(&format!("/app/{}", created["id"].as_str().unwrap())).await;
    assert_eq!(by_id, world.get("/app/acme").await);
    assert_eq!(by_id, (200, created));
    let (status, patched) =
        world.call("PATCH", "/app/acme", json!({"name": "New", "throttleRate": null})).await;
    assert_eq!(
        (status, patched["name"].clone(), patched["throttleRate"].clone()),
        (200, json!("New"), Value::Null)
    );
    assert_eq!(patched["uid"], "acme");
    assert_eq!(world.call("DELETE", "/app/acme", Value::Null).await, (204, Value::Null));
    assert_eq!(world.get("/app/acme").await.0, 404);
}

#[tokio::test]
async fn a_uid_that_is_taken_is_a_conflict_unless_the_present_one_will_do() {
    let world = World::new();
    let (_, first) = world.post("/app", json!({"name": "Acme", "uid": "acme"})).await;
    let (status, body) = world.post("/app", json!({"name": "Other", "uid": "acme"})).await;
    assert_eq!((status, body["code"].clone()), (409, json!("conflict")));
    let present = world.post("/app?get_if_exists=true", json!({"name": "Other", "uid": "acme"})).await;
    assert_eq!(present, (200, first));
    assert_eq!(world.post("/app?get_if_exists=true", json!({"name": "B", "uid": "b"})).await.0, 201);
}

#[tokio::test]
async fn put_creates_under_the_uid_in_the_path_and_then_replaces() {
    let world = World::new();
    let (status, created) = world.call("PUT", "/app/acme", json!({"name": "One", "throttleRate": 7})).await;
    assert_eq!((status, created["uid"].clone()), (201, json!("acme")));
    let (status, replaced) = world.call("PUT", "/app/acme", json!({"name": "Two", "uid": "acme"})).await;
    assert_eq!((status, replaced["throttleRate"].clone()), (200, Value::Null));
    assert_eq!(replaced["id"], created["id"]);
    assert_eq!(world.call("PUT", "/app/app_00000000000", json!({"name": "x"})).await.0, 404);
}

#[tokio::test]
async fn a_put_by_an_sdk_does_not_switch_off_the_rules_of_an_application_that_it_does_not_know() {
    let world = World::new();
    let rules = json!({"requireHttps": true, "allowedPorts": [443], "validatePayloads": true});
    let mut body = rules.clone();
    body["name"] = json!("Acme");
    assert_eq!(world.call("PUT", "/app/acme", body).await.0, 201);
    let of = |application: &Value| {
        json!({"requireHttps": application["requireHttps"], "allowedPorts": application["allowedPorts"],
               "validatePayloads": application["validatePayloads"]})
    };
    let (status, replaced) = world.call("PUT", "/app/acme", json!({"name": "Two", "uid": "acme"})).await;
    assert_eq!((status, of(&replaced)), (200, rules));
    let none = json!({"requireHttps": false, "allowedPorts": null, "validatePayloads": false});
    let mut body = none.clone();
    body["name"] = json!("Three");
    assert_eq!(of(&world.call("PUT", "/app/acme", body).await.1), none);
}

#[tokio::test]
async fn an_invalid_field_is_located() {
    let world = World::new();
    world.with_endpoint().await;
    let cases = [
        ("/app", json!({}), json!(["body", "name"])),
        ("/app", json!({"name": ""}), json!(["body", "name"])),
        ("/app", json!({"name": "a", "uid": "$"}), json!(["body", "uid"])),
        ("/app", json!({"name": "a", "throttleRate": 0}), json!(["body", "throttleRate"])),
        ("/app", json!({"name": "a", "throttleRate": 70000}), json!(["body", "throttleRate"])),
        ("/app", json!({"name": "a", "metadata": {"a": 1}}), json!(["body", "metadata"])),
        ("/app/acme/endpoint", json!({}), json!(["body", "url"])),
        ("/app/acme/endpoint", json!({"url": "http://x"}), json!(["body", "url"])),
        ("/app/acme/endpoint", json!({"url": "https://x", "secret": "short"}), json!(["body", "secret"])),
        ("/app/acme/endpoint", json!({"url": "https://x", "channels": []}), json!(["body", "channels"])),
        (
            "/app/acme/endpoint",
            json!({"url": "https://x", "successRule": "any"}),
            json!(["body", "successRule"]),
        ),
        (
            "/app/acme/endpoint",
            json!({"url": "https://x", "authorization": {"type": "bearer", "token": ""}}),
            json!(["body", "authorization", "token"]),
        ),
        ("/event-type", json!({"name": "a b", "description": ""}), json!(["body", "name"])),
        ("/event-type", json!({"name": "a", "description": "", "schemas": 1}), json!(["body", "schemas"])),
        ("/event-type", json!({"name": "a"}), json!(["body", "description"])),
    ];
    for (path, body, expect) in cases {
        let (status, answer) = world.post(path, body.clone()).await;
        assert_eq!((status, location(&answer)), (422, expect), "{path} {body}");
    }
}

#[tokio::test]
async fn lists_are_paged_forwards_and_backwards() {
    let world = World::new();
    for number in 0..5 {
        world.post("/event-type", json!({"name": format!("n{number}"), "description": ""})).await;
    }
    let names = |body: &Value| -> Vec<String> {
        body["data"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().into()).collect()
    };
    let (_, first) = world.get("/event-type?limit=2").await;
    assert_eq!((names(&first), first["done"].clone()), (vec!["n0".into(), "n1".into()], json!(false)));
    let (_, second) =
        world.get(&format!("/event-type?limit=2&iterator={}", first["iterator"].as_str().unwrap())).await;
    assert_eq!(names(&second), ["n2", "n3"]);
    let back = second["prevIterator"].as_str().unwrap();
    let (_, back) = world.get(&format!("/event-type?limit=2&iterator={back}")).await;
    assert_eq!(names(&back), ["n0", "n1"]);
    let (_, last) = world.get("/event-type?limit=2&iterator=n3").await;
    assert_eq!((names(&last), last["done"].clone()), (vec!["n4".to_owned()], json!(true)));
    let (_, downwards) = world.get("/event-type?limit=2&order=descending").await;
    assert_eq!(names(&downwards), ["n4", "n3"]);
    let (_, empty) = world.get("/event-type?iterator=n4").await;
    assert_eq!(empty, json!({"data": [], "iterator": "n4", "prevIterator": null, "done": true}));
}

#[tokio::test]
async fn a_page_that_cannot_be_is_refused_by_the_parameter() {
    let world = World::new();
    for (query, name) in
        [("limit=251", "limit"), ("limit=x", "limit"), ("order=up", "order"), ("iterator=x", "iterator")]
    {
        let (status, body) = world.get(&format!("/app?{query}")).await;
        assert_eq!((status, location(&body)), (422, json!(["query", name])), "{query}");
    }
    assert_eq!(world.get("/app?limit=250&iterator=").await.0, 200);
}

#[tokio::test]
async fn an_endpoint_has_the_fields_that_old_and_new_sdks_insist_on() {
    let world = World::new();
    world.post("/app", json!({"name": "Acme", "uid": "acme"})).await;
    let body = json!({
        "url": "https://a.example", "filterTypes": ["a", "b.*"], "rateLimit": 3, "version": 1, "channels": ["x"],
        "authorization": {"type": "bearer", "token": "hush"}, "timeoutMs": 10000, "successRule": "only_200",
        "retryPolicy": "patient", "headers": {"X-A": "1"},
    });
    let (status, endpoint) = world.post("/app/acme/endpoint", body).await;
    assert_eq!(status, 201, "{endpoint}");
    assert_has(&endpoint, &["id", "createdAt", "updatedAt", "description", "metadata", "url", "version"]);
    assert_eq!(
        (&endpoint["eventTypes"], &endpoint["filterTypes"]),
        (&json!(["a", "b.*"]), &json!(["a", "b.*"]))
    );
    assert_eq!((&endpoint["throttleRate"], &endpoint["rateLimit"]), (&json!(3), &json!(3)));
    assert_eq!(endpoint["url"], "https://a.example/");
    assert_eq!(endpoint["authorization"], json!({"type": "bearer"}));
    assert_eq!(endpoint["health"], json!({"state": "healthy", "until": null}));
    assert!(!endpoint.to_string().contains("hush"));
}

#[tokio::test]
async fn put_replaces_what_sdks_know_and_keeps_what_they_cannot_repeat() {
    let world = World::new();
    world.with_endpoint().await;
    let path = "/app/acme/endpoint/shop";
    let (_, before) = world.get(&format!("{path}/secret")).await;
    let ours = json!({"description": "d", "timeoutMs": 10000, "headers": {"x-a": "1"}, "disabled": true});
    assert_eq!(world.call("PATCH", path, ours).await.1["disabledReason"], "by_hand");
    let (status, put) = world.call("PUT", path, json!({"url": "https://b.example/", "uid": "shop"})).await;
    assert_eq!(
        (status, put["url"].clone(), put["description"].clone()),
        (200, json!("https://b.example/"), json!(""))
    );
    assert_eq!(
        (put["timeoutMs"].clone(), put["disabled"].clone(), put["version"].clone()),
        (json!(10000), json!(false), json!(3))
    );
    assert_eq!(world.get(&format!("{path}/headers")).await.1["headers"], json!({"x-a": "1"}));
    assert_eq!(world.get(&format!("{path}/secret")).await.1, before);
    let (status, created) =
        world.call("PUT", "/app/acme/endpoint/new", json!({"url": "https://c.example"})).await;
    assert_eq!((status, created["uid"].clone()), (201, json!("new")));
}

#[tokio::test]
async fn an_endpoint_of_one_application_is_not_found_through_another() {
    let world = World::new();
    let id = world.with_endpoint().await;
    world.post("/app", json!({"name": "Other", "uid": "other"})).await;
    for path in [
        format!("/app/other/endpoint/{id}"),
        "/app/other/endpoint/shop".into(),
        "/app/nobody/endpoint/shop".into(),
    ] {
        for method in ["GET", "DELETE"] {
            assert_eq!(world.call(method, &path, Value::Null).await.0, 404, "{method} {path}");
        }
        assert_eq!(world.call("PATCH", &path, json!({})).await.0, 404, "{path}");
    }
    let (_, list) = world.get("/app/other/endpoint").await;
    assert_eq!(list["data"], json!([]));
}

#[tokio::test]
async fn header_values_that_open_doors_are_not_shown_again() {
    let world = World::new();
    world.with_endpoint().await;
    let path = "/app/acme/endpoint/shop/headers";
    let put = world
        .call("PUT", path, json!({"headers": {"X-A": "1", "Authorization": "hush", "X-Api-Key": "hush"}}))
        .await;
    assert_eq!(put, (204, Value::Null));
    let (_, shown) = world.get(path).await;
    assert_eq!(shown, json!({"headers": {"x-a": "1"}, "sensitive": ["authorization", "x-api-key"]}));
    let patch = world.call("PATCH", path, json!({"headers": {"x-a": null, "X-B": "2"}})).await;
    assert_eq!(patch.0, 204);
    assert_eq!(world.get(path).await.1["headers"], json!({"x-b": "2"}));
    let (status, refused) = world.call("PUT", path, json!({"headers": {"host": "x"}})).await;
    assert_eq!((status, location(&refused)), (422, json!(["body", "headers"])));
}

#[tokio::test]
async fn a_secret_is_taken_generated_and_rotated() {
    let world = World::new();
    world.with_endpoint().await;
    let given = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    world.post("/app/acme/endpoint", json!({"url": "https://x", "uid": "own", "secret": given})).await;
    assert_eq!(world.get("/app/acme/endpoint/own/secret").await, (200, json!({"key": given})));
    let path = "/app/acme/endpoint/shop/secret";
    let (_, before) = world.get(path).await;
    assert!(before["key"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(world.post(&format!("{path}/rotate"), Value::Null).await, (204, Value::Null));
    assert_ne!(world.get(path).await.1, before);
    assert_eq!(
        world.post(&format!("{path}/rotate"), json!({"key": given, "gracePeriodSeconds": 0})).await.0,
        204
    );
    assert_eq!(world.get(path).await.1, json!({"key": given}));
    let (status, body) = world.post(&format!("{path}/rotate"), json!({"gracePeriodSeconds": 604_801})).await;
    assert_eq!((status, location(&body)), (422, json!(["body", "gracePeriodSeconds"])));
}

#[tokio::test]
async fn of_a_private_key_only_the_public_one_is_ever_shown() {
    let world = World::new();
    world.with_endpoint().await;
    // RFC 8032 section 7.1, test 1.
    let private = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    let public = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    world.post("/app/acme/endpoint", json!({"url": "https://x", "uid": "own", "secret": private})).await;
    let path = "/app/acme/endpoint/own/secret";
    assert_eq!(world.get(path).await, (200, json!({"key": public})));
    // A new one is of the same kind, unless the body says otherwise.
    assert_eq!(world.post(&format!("{path}/rotate"), Value::Null).await.0, 204);
    let next = world.get(path).await.1["key"].clone();
    assert!(next.as_str().unwrap().starts_with("whpk_") && next != public, "{next}");
    for (signature, prefix) in [("v1", "whsec_"), ("v1a", "whpk_")] {
        let rotated = world.post(&format!("{path}/rotate"), json!({"signature": signature})).await;
        assert_eq!(rotated.0, 204);
        assert!(world.get(path).await.1["key"].as_str().unwrap().starts_with(prefix));
    }
    for (body, field) in [
        (json!({"signature": "v2"}), "signature"),
        (json!({"signature": "v1", "key": private}), "signature"),
        (json!({"key": "whsk_AAAA"}), "key"),
    ] {
        let (status, refused) = world.post(&format!("{path}/rotate"), body).await;
        assert_eq!((status, location(&refused)), (422, json!(["body", field])));
    }
}

#[tokio::test]
async fn an_event_type_is_archived_hidden_and_taken_back_into_use() {
    let world = World::new();
    let body = json!({"name": "a.b", "description": "d", "schemas": {"1": {"type": "object"}}});
    let (status, created) = world.post("/event-type", body.clone()).await;
    assert_eq!(status, 201);
    assert_has(
        &created,
        &["name", "description", "deprecated", "archived", "createdAt", "updatedAt", "schemas"],
    );
    assert_eq!(world.post("/event-type", body.clone()).await.0, 409);
    assert_eq!(world.get("/event-type").await.1["data"][0]["schemas"], Value::Null);
    assert_eq!(world.get("/event-type?with_content=true").await.1["data"][0]["schemas"], body["schemas"]);
    assert_eq!(world.call("DELETE", "/event-type/a.b", Value::Null).await.0, 204);
    assert_eq!(world.get("/event-type").await.1["data"], json!([]));
    assert_eq!(world.get("/event-type?include_archived=true").await.1["data"][0]["archived"], true);
    assert_eq!(world.get("/event-type/a.b").await.1["archived"], true);
    assert_eq!(world.post("/event-type", body).await.0, 201);
    assert_eq!(world.get("/event-type/a.b").await.1["archived"], false);
    assert_eq!(world.call("DELETE", "/event-type/a.b?expunge=true", Value::Null).await.0, 204);
    assert_eq!(world.get("/event-type/a.b").await.0, 404);
}

#[tokio::test]
async fn schemas_are_checked_when_they_are_saved() {
    let world = World::new();
    let body = |schemas: Value| json!({"name": "a.b", "description": "", "schemas": schemas});
    let (status, refusal) = world.post("/event-type", body(json!({"2": {"type": "strin"}}))).await;
    assert_eq!((status, location(&refusal)), (422, json!(["body", "schemas"])));
    let problem = refusal["detail"][0]["msg"].as_str().unwrap();
    assert!(problem.starts_with("schemas has version '2', which is no JSON Schema at /type"), "{problem}");
    assert_eq!(world.post("/event-type", body(json!({"2": {"type": "string"}}))).await.0, 201);
    let remote = json!({"schemas": {"1": {"$ref": "https://example.com/x"}}});
    assert_eq!(world.call("PATCH", "/event-type/a.b", remote).await.0, 422);
}

#[tokio::test]
async fn payloads_are_held_against_the_schema_where_the_application_asks_for_that() {
    let world = World::new();
    world.with_endpoint().await;
    let schema = json!({"1": {"required": ["id"], "properties": {"id": {"type": "string"}}}});
    world.post("/event-type", json!({"name": "a.b", "description": "", "schemas": schema})).await;
    let publish =
        |payload: Value| world.post("/app/acme/msg", json!({"eventType": "a.b", "payload": payload}));
    assert_eq!(publish(json!({"id": 1})).await.0, 202);
    assert_eq!(world.call("PATCH", "/app/acme", json!({"validatePayloads": true})).await.0, 200);
    let (status, refusal) = publish(json!({"id": 1})).await;
    assert_eq!((status, location(&refusal)), (422, json!(["body", "payload"])));
    let problem = "payload does not fit version 1 of the schema of 'a.b': at '/id': value is not of type \"string\" (type)";
    assert_eq!(refusal["detail"][0]["msg"], problem);
    assert_eq!(publish(json!({"id": "c-1"})).await.0, 202);
    // A new schema counts at once.
    let stricter = json!({"schemas": {"1": {}, "2": {"required": ["more"]}}});
    assert_eq!(world.call("PATCH", "/event-type/a.b", stricter).await.0, 200);
    assert_eq!(publish(json!({"id": "c-1"})).await.0, 422);
}

#[tokio::test]
async fn an_application_that_requires_https_or_some_ports_has_no_other_urls() {
    let world = World::new();
    world.with_endpoint().await;
    let endpoint = |url: &str| world.post("/app/acme/endpoint", json!({ "url": url }));
    let (status, plain) = endpoint("http://plain.example/").await;
    let warning = "the URL is not https: on the way everybody can read what is sent";
    assert_eq!((status, &plain["warnings"]), (201, &json!([warning])));
    assert_eq!(endpoint("https://a.example/").await.1["warnings"], json!([]));
    // The rule is not accepted as long as there is an endpoint that it forbids.
    let require = || world.call("PATCH", "/app/acme", json!({"requireHttps": true}));
    let (status, refusal) = require().await;
    assert_eq!((status, location(&refusal)), (422, json!(["body", "requireHttps"])));
    let id = plain["id"].as_str().unwrap();
    let problem = format!("requireHttps does not allow the present URL of {id}; change them first");
    assert_eq!(refusal["detail"][0]["msg"], problem);
    assert_eq!(world.call("DELETE", &format!("/app/acme/endpoint/{id}"), Value::Null).await.0, 204);
    assert_eq!(require().await.0, 200);
    let (status, refusal) = endpoint("http://plain.example/").await;
    let problem = "url is not https, which this application requires (requireHttps)";
    assert_eq!((status, &refusal["detail"][0]["msg"]), (422, &json!(problem)));
    let ports = json!({"allowedPorts": [443, 8443]});
    assert_eq!(world.call("PATCH", "/app/acme", ports).await.0, 200);
    assert_eq!(endpoint("https://a.example:8443/").await.0, 201);
    let (status, refusal) =
        world.call("PATCH", "/app/acme/endpoint/shop", json!({"url": "https://a.example:1/"})).await;
    assert_eq!((status, location(&refusal)), (422, json!(["body", "url"])));
    // URLs that messages bring along obey too.
    let own = |url: &str| {
        let own = json!({"url": url, "endpoint": "shop"});
        world.post("/app/acme/msg", json!({"eventType": "x", "payload": {}, "override": own}))
    };
    assert_eq!(own("https://b.example:8443/").await.0, 202);
    assert_eq!((own("https://b.example:1/").await.0, own("http://plain.example/").await.0), (422, 422));
}

#[tokio::test]
async fn a_filter_is_saved_if_it_can_be_read_and_refused_with_the_place_otherwise() {
    let world = World::new();
    world.with_endpoint().await;
    let path = "/app/acme/endpoint/shop";
    let filter = "payload.amount > 10 && 'eu' in channels";
    assert_eq!(world.call("PATCH", path, json!({ "filter": filter })).await.1["filter"], filter);
    let (status, refusal) = world.call("PATCH", path, json!({"filter": "payload.amount >"})).await;
    assert_eq!((status, location(&refusal)), (422, json!(["body", "filter"])));
    let problem = "filter cannot be read: a value is expected instead of the end, at character 17";
    assert_eq!(refusal["detail"][0]["msg"], problem);
    assert_eq!(world.get(path).await.1["filter"], filter);
    assert_eq!(world.call("PATCH", path, json!({"filter": null})).await.1["filter"], Value::Null);
}

#[tokio::test]
async fn a_filter_can_be_tried_before_it_is_saved() {
    let world = World::new();
    world.with_endpoint().await;
    let path = "/app/acme/filter-test";
    let ask = |filter: &str| {
        let body =
            json!({"filter": filter, "payload": {"amount": 12}, "eventType": "a.b", "channels": ["eu"]});
        world.post(path, body)
    };
    let answer = |matches, error: Value| (200, json!({"matches": matches, "error": error}));
    let filter = "payload.amount > 10 && event_type == 'a.b' && 'eu' in channels";
    assert_eq!(ask(filter).await, answer(true, Value::Null));
    assert_eq!(ask("payload.amount > 100").await, answer(false, Value::Null));
    let why = "there is no field 'total', at character 9";
    assert_eq!(ask("payload.total > 100").await, answer(false, json!(why)));
    let (status, refusal) = ask("payload.").await;
    assert_eq!((status, location(&refusal)), (422, json!(["body", "filter"])));
    assert_eq!(world.post(path, json!({"filter": "true"})).await.0, 422);
    assert_eq!(world.post("/app/nobody/filter-test", json!({"filter": "true", "payload": 1})).await.0, 404);
}

#[tokio::test]
async fn an_event_type_is_put_and_patched() {
    let world = World::new();
    let put = |body| world.call("PUT", "/event-type/a.b", body);
    assert_eq!(put(json!({"description": "one", "featureFlag": "beta"})).await.0, 201);
    let (status, replaced) = put(json!({"description": "two"})).await;
    assert_eq!((status, replaced["featureFlag"].clone()), (200, Value::Null));
    let (status, patched) = world.call("PATCH", "/event-type/a.b", json!({"deprecated": true})).await;
    assert_eq!(
        (status, patched["deprecated"].clone(), patched["description"].clone()),
        (200, json!(true), json!("two"))
    );
    assert_eq!(world.call("PATCH", "/event-type/none", json!({})).await.0, 404);
}

#[tokio::test]
async fn where_requests_come_from_is_said_to_whoever_may_use_the_api() {
    let world = World::new();
    let shown = world.get("/source-addresses").await;
    assert_eq!(shown, (200, json!({"addresses": ["203.0.113.7/32"]})));
}
