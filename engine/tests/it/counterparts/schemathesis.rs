//! schemathesis: thousands of requests that follow from the OpenAPI document, and as many that break it, none of
//! which may be answered with a 5xx or with anything that the document does not say.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, Api, EVENT_TYPE, Receiver, Site, python_with};

const TOKEN: &str = "token of a test";
/// Generated for each operation in the phase that draws at random; the others add theirs.
const EXAMPLES: &str = "110";
const CASES_MIN: u64 = 5_000;
const PATIENCE: Duration = Duration::from_secs(600);
/// What an answer is held against. Those that are left out ask for more than a document can say (which iterator
/// was handed out) or for less than the API allows (`null` counts as absent).
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,unsupported_method,allow_header_conformance,\
    ignored_auth";

/// Paths lead to things that are there; what an operation removes is something else.
fn configuration(application: &Value, removed: &Value, endpoint: &Value) -> String {
    format!(
        "[parameters]\n\
         'path.app_id' = {application}\n'path.endpoint_id' = {endpoint}\n\
         'path.msg_id' = 'paid-1'\n'path.event_type_name' = '{EVENT_TYPE}'\n\
         [[operations]]\ninclude-operation-id = 'v1.application.delete'\n\
         parameters = {{ 'path.app_id' = {removed} }}\n\
         [[operations]]\ninclude-operation-id = 'v1.endpoint.delete'\n\
         parameters = {{ 'path.app_id' = {removed} }}\n"
    )
}

/// Two applications, an endpoint, an event type and a message; and the configuration that leads there.
async fn things(api: &Api, receiver: &Receiver) -> String {
    let application = api.post("/api/v1/app", &json!({ "name": "Acme" })).await["id"].clone();
    let removed = api.post("/api/v1/app", &json!({ "name": "Gone" })).await["id"].clone();
    api.make_event_type(EVENT_TYPE).await;
    let path = format!("/api/v1/app/{}", application.as_str().expect("an id"));
    let endpoint = api.post(&format!("{path}/endpoint"), &json!({ "url": receiver.url() })).await;
    let message = json!({ "eventType": EVENT_TYPE, "eventId": "paid-1", "payload": { "n": 1 } });
    api.post(&format!("{path}/msg"), &message).await;
    configuration(&application, &removed, &endpoint["id"])
}

/// What the report says of the cases: how many there were.
fn cases(printed: &str) -> u64 {
    let line = printed.lines().find(|line| line.contains(" generated")).unwrap_or_default();
    line.trim().split(' ').next().and_then(|count| count.parse().ok()).unwrap_or_default()
}

#[tokio::test]
async fn schemathesis_finds_no_server_error_and_no_answer_that_is_not_documented() {
    let Some(python) = python_with("schemathesis") else { return };
    let token = format!("['{TOKEN}']");
    let site = Site::new(&[("api.tokens", &token), ("api.rate_max", "1000000")]);
    let posthaste = site.start().await;
    let receiver = Receiver::answering(Answer::Status(204)).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let configuration = things(&Api::at(posthaste.http()).with_token(TOKEN), &receiver).await;
    std::fs::write(folder.path().join("schemathesis.toml"), configuration).expect("written");

    let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/counterparts/schemathesis_hooks.py");
    let mut command = python.command();
    command.current_dir(folder.path()).env("RECEIVER_URL", receiver.url());
    command.env("SCHEMATHESIS_HOOKS", hooks).env("PYTHONDONTWRITEBYTECODE", "1");
    command.args(["-m", "schemathesis.cli", "--no-color", "run"]);
    command.arg(format!("http://{}/api/v1/openapi.json", posthaste.http()));
    command.arg("--header").arg(format!("Authorization: Bearer {TOKEN}"));
    command.args(["--seed", "1", "--max-examples", EXAMPLES, "--workers", "1", "--checks", CHECKS]);
    command.args(["--phases", "examples,coverage,fuzzing,stateful", "--warnings", "off"]);
    command.args(["--generation-database", "none", "--continue-on-failure"]);
    let printed = python.run_command(command, PATIENCE).await;
    assert!(cases(&printed) >= CASES_MIN, "{printed}");
    let api = Api::at(posthaste.http()).with_token(TOKEN);
    assert!(!api.get("/api/v1/app").await["data"].as_array().expect("a list").is_empty());
}
