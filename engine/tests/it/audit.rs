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
async fn an_export_is_verified_by_its_lines_alone_and_a_line_that_was_altered_or_taken_out_shows() {
    let world = World::start().await;
    world.api().make_application("other").await;
    let export = world.api().get("/api/v1/audit/export").await;
    let export = export.as_str().expect("lines");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let verify = |name: &str, lines: &str, more: &[&str]| {
        let file = folder.path().join(name);
        std::fs::write(&file, lines).expect("written");
        let mut command = crate::harness::binary();
        let output = command.args(["audit", "verify"]).arg(file).args(more).output().expect("it runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    let (code, said) = verify("whole", export, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("the chain holds: 4 entries from aud_1 to aud_4; it ends with "), "{said}");
    let (code, said) = verify("altered", &export.replacen("anonymous", "somebody", 1), &[]);
    assert_eq!(code, Some(1));
    assert!(said.starts_with("the chain is broken: line 2: aud_2 does not hold the hash"), "{said}");
    let without: Vec<&str> =
        export.lines().enumerate().filter(|(n, _)| *n != 1).map(|(_, line)| line).collect();
    let (code, said) = verify("shorter", &without.join("\n"), &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("aud_3 follows aud_1"), "{said}");
    // Two exports: the second continues the first.
    let (first, rest) = export.split_at(export.find("{\"id\":\"aud_3\"").expect("a third entry"));
    let (_, said) = verify("first", first, &[]);
    let hash = said.trim_end().rsplit(' ').next().expect("a hash");
    assert_eq!(verify("rest", rest, &["--previous", hash]).0, Some(0));
    assert_eq!(verify("rest", rest, &["--previous", &"0".repeat(64)]).0, Some(1));
}

#[tokio::test]
async fn who_guesses_a_password_is_in_the_audit_log_with_a_count_once_the_server_stops_or_a_minute_is_over() {
    use crate::harness::Site;

    let site = Site::new(&[("ingest.password", "'open sesame'"), ("api.tokens", "['the first token']")]);
    let posthaste = site.start().await;
    for _ in 0..2 {
        let mut resp = crate::harness::Resp::connect(posthaste.tcp()).await;
        resp.call(&["AUTH", "sesame"]).await;
        resp.call(&["AUTH", "open"]).await;
    }
    let wrong = crate::harness::Api::at(posthaste.http()).with_token("guessed");
    assert_eq!(wrong.call(hyper::Method::GET, "/api/v1/app", None).await.0, 401);
    assert!(posthaste.stop().await.success());
    let posthaste = site.start().await;
    let api = crate::harness::Api::at(posthaste.http()).with_token("the first token");
    let page = api.get("/api/v1/audit?action=access.refuse").await;
    let entries = page["data"].as_array().expect("a list");
    let mut shown: Vec<(&str, &str, u64)> = entries
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().expect("a text");
            (text("object"), text("address"), entry["count"].as_u64().expect("a count"))
        })
        .collect();
    shown.sort_unstable();
    assert_eq!(shown, [("api", "127.0.0.1", 1), ("ingest", "127.0.0.1", 4)]);
    assert!(!page.to_string().contains("sesame") && !page.to_string().contains("guessed"), "{page}");
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
