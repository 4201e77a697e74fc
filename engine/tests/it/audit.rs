//! The audit log, from outside.

use serde_json::{Value, json};

use crate::harness::{APPLICATION, World};

async fn entries(world: &World, query: &str) -> Vec<Value> {
    let page = world.api().get(&format!("/api/v1/audit?{query}")).await;
    page["data"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn every_change_is_recorded_with_its_author_and_survives_a_kill() {
    let mut world = World::start().await;
    let path = format!("/api/v1/app/{APPLICATION}/endpoint/{}", world.endpoint);
    world.api().patch(&path, &json!({ "description": "the shop" })).await;
    let before = entries(&world, "").await;
    let actions: Vec<&str> = before.iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert_eq!(actions, ["endpoint.update", "endpoint.create", "event_type.create", "application.create"]);
    assert_eq!(before[0]["object"], world.endpoint);
    assert_eq!((&before[0]["actor"], &before[0]["address"]), (&json!("anonymous"), &json!("127.0.0.1")));
    assert_eq!(before[0]["fields"], json!(["description"]));

    world.kill_and_start().await;
    assert_eq!(entries(&world, "").await, before);
    assert_eq!(world.posthaste.log_lines_with("the audit log has a gap"), 0);
}

#[tokio::test]
async fn what_the_engine_does_by_itself_is_recorded_as_its_own() {
    use crate::harness::{Answer, Receiver, wait_for_async};

    let world = World::with(&[], json!({}), Receiver::answering(Answer::Status(410)).await).await;
    world.publish_one().await;
    let entry = wait_for_async("the endpoint to be disabled", async || {
        entries(&world, "action=endpoint.update").await.pop()
    })
    .await;
    assert_eq!((&entry["actor"], &entry["fields"]), (&json!("posthaste"), &json!(["disabled"])));
}

#[tokio::test]
async fn the_export_has_every_entry_as_a_line() {
    let world = World::start().await;
    let export = world.api().get("/api/v1/audit/export").await;
    let export = export.as_str().expect("lines");
    let lines: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut listed = entries(&world, "").await;
    listed.reverse();
    assert_eq!(lines, listed);
}

#[tokio::test]
async fn a_change_is_recorded_in_the_name_of_the_token_that_made_it() {
    let site = crate::harness::Site::new(&[("api.tokens", "['the first token', 'the second token']")]);
    let posthaste = site.start().await;
    let api = || crate::harness::Api::at(posthaste.http());
    api().with_token("the second token").make_application(APPLICATION).await;
    let first = api().with_token("the first token");
    first.make_event_type("a.b").await;
    let page = first.get("/api/v1/audit").await;
    let actors: Vec<&str> =
        page["data"].as_array().expect("a list").iter().filter_map(|entry| entry["actor"].as_str()).collect();
    assert_eq!(actors, ["token-1", "token-2"]);
    assert_eq!(first.get("/api/v1/audit?actor=token-2").await["data"].as_array().map(Vec::len), Some(1));
    assert!(!page.to_string().contains("second token"), "{page}");
}
