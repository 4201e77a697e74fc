//! How the server is doing, how an endpoint did over time, and what a retry policy means.

use serde_json::{Value, json};

use super::world::World;
use crate::api::EndpointHealth;

#[tokio::test]
async fn the_overview_names_who_is_locked_out_unless_it_was_disabled() {
    let world = World::new();
    let endpoint = world.with_endpoint().await;
    let locked_out = EndpointHealth { state: "locked_out", until: None };
    *world.engine.locked_out.lock() = vec![(endpoint, locked_out)];
    let (status, body) = world.get("/overview").await;
    assert_eq!(status, 200);
    assert_eq!(body["lockedOut"]["count"], 1);
    assert_eq!(body["lockedOut"]["endpoints"][0]["endpointId"], endpoint.to_string());
    assert_eq!((&body["problems"], &body["oldestPending"]), (&json!([]), &Value::Null));
    world.call("PATCH", "/app/acme/endpoint/shop", json!({"disabled": true})).await;
    assert_eq!(world.get("/overview").await.1["lockedOut"]["count"], 0);
}

#[tokio::test]
async fn the_overview_says_what_is_wrong_and_what_to_do_about_it() {
    let world = World::new();
    world.readiness.set_full(true);
    let (_, body) = world.get("/overview").await;
    assert_eq!(body["problems"][0]["class"], "disk_full");
    assert_eq!(
        body["problems"][0]["text"],
        "No message is accepted: the disk is full; publishers are refused until there is space."
    );
}

#[tokio::test]
async fn how_an_endpoint_did_over_time_is_told_where_it_is_asked_for() {
    let world = World::new();
    world.with_endpoint().await;
    let (status, body) = world.get("/app/acme/endpoint/shop/vitals").await;
    assert_eq!((status, &body["series"], &body["health"]["state"]), (200, &Value::Null, &json!("healthy")));
    let (_, body) = world.get("/app/acme/endpoint/shop/vitals?with_series=true").await;
    let stretch = json!({
        "since": "2024-11-22T18:26:40Z", "succeeded": 3, "failed": 1, "refused": 0, "meanMs": 1.5, "maxMs": null,
    });
    assert_eq!(body["series"], json!({"minutes": [stretch], "halfHours": [stretch]}));
}

#[tokio::test]
async fn a_retry_policy_is_told_by_its_waits() {
    let world = World::new();
    let (_, body) = world.get("/retry-policy?policy=patient").await;
    assert_eq!(body["default"]["waitsMs"], json!([5_000, 30_000]));
    let patient = json!({
        "name": "patient", "policy": "1m, 10m jitter=20%", "waitsMs": [60_000, 600_000], "jitterPercent": 20,
    });
    assert_eq!((&body["named"], &body["policy"]), (&json!([patient]), &patient));
    let (_, body) = world.get("/retry-policy?policy=1s,2s").await;
    assert_eq!((&body["policy"]["name"], &body["policy"]["waitsMs"]), (&Value::Null, &json!([1_000, 2_000])));
    let (status, body) = world.get("/retry-policy?policy=whenever").await;
    assert_eq!((status, &body["detail"][0]["loc"]), (422, &json!(["query", "policy"])));
}
