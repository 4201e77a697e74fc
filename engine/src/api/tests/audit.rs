use serde_json::{Value, json};

use super::world::World;

async fn actions(world: &World, query: &str) -> Vec<String> {
    let (status, page) = world.get(&format!("/audit?{query}")).await;
    assert_eq!(status, 200, "{page}");
    let items = page["data"].as_array().unwrap();
    items.iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

async fn world() -> World {
    let world = World::new();
    world.with_endpoint().await;
    world.call("PATCH", "/app/acme/endpoint/shop", json!({"description": "x", "timeoutMs": 500})).await;
    world.call("PATCH", "/app/acme/endpoint/shop/headers", json!({"headers": {"x-a": "hidden"}})).await;
    world.post("/app/acme/endpoint/shop/secret/rotate", json!({})).await;
    world.post("/event-type", json!({"name": "a.b", "description": "c"})).await;
    let (_, message) = world.post("/app/acme/msg", json!({"eventType": "a.b", "payload": 1})).await;
    world.call("DELETE", &format!("/app/acme/msg/{}", message["id"].as_str().unwrap()), Value::Null).await;
    world
}

#[tokio::test]
async fn the_audit_log_tells_newest_first_who_changed_what() {
    let world = world().await;
    let expected = [
        "message.cancel",
        "event_type.create",
        "endpoint.rotate_secret",
        "endpoint.update",
        "endpoint.update",
        "endpoint.create",
        "application.create",
    ];
    assert_eq!(actions(&world, "").await, expected);
    let (_, page) = world.get("/audit?action=endpoint.update").await;
    assert_eq!(page["data"][0]["fields"], json!(["headers"]));
    assert_eq!(page["data"][1]["fields"], json!(["description", "timeoutMs"]));
    assert!(page["data"].as_array().unwrap().iter().all(|entry| entry["actor"] == "anonymous"));
    assert!(!page.to_string().contains("hidden"), "{page}");
}

#[tokio::test]
async fn what_changes_nothing_is_not_recorded() {
    let world = world().await;
    let before = actions(&world, "").await.len();
    world.get("/app/acme").await;
    world.post("/app", json!({"name": ""})).await;
    world.post("/app/acme/msg", json!({"eventType": "a.b", "payload": 1})).await;
    assert_eq!(actions(&world, "").await.len(), before);
}

#[tokio::test]
async fn the_audit_log_is_filtered_and_paged() {
    let world = world().await;
    assert_eq!(actions(&world, "action=endpoint").await.len(), 4);
    assert_eq!(actions(&world, "action=end").await.len(), 0);
    assert_eq!(actions(&world, "object=a.b").await, ["event_type.create"]);
    assert_eq!(actions(&world, "actor=anonymous").await.len(), 7);
    assert_eq!(actions(&world, "actor=ann").await.len(), 0);
    assert_eq!(actions(&world, "before=2020-01-01T00:00:00Z").await.len(), 0);
    assert_eq!(actions(&world, "after=2020-01-01T00:00:00Z").await.len(), 7);
    let (_, page) = world.get("/audit?limit=5").await;
    assert_eq!(
        (&page["done"], &page["iterator"], &page["prevIterator"]),
        (&json!(false), &json!("aud_3"), &json!("-aud_7"))
    );
    assert_eq!(actions(&world, "limit=5&iterator=aud_3").await, ["endpoint.create", "application.create"]);
    assert_eq!(world.get("/audit?iterator=3").await.0, 422);
}

#[tokio::test]
async fn the_export_is_one_line_an_entry_each_with_the_hash_of_the_line_before() {
    let world = world().await;
    let export = world.call_text("GET", "/audit/export").await;
    let lines: Vec<&str> = export.lines().collect();
    assert_eq!(lines.len(), 7);
    for pair in lines.windows(2) {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, pair[0].as_bytes());
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let next: Value = serde_json::from_str(pair[1]).unwrap();
        assert_eq!(next["previous"], json!(hash));
    }
}
