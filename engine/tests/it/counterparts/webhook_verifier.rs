//! The `standardwebhooks` package of Python: a receiver's own check of what it got.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::harness::{APPLICATION, Received, Tool, World, python_with};

/// What a receiver with this secret is to find about a request.
fn case(received: &Received, secret: &str, accepted: bool) -> Value {
    let header = |name: &str| received.header(name).to_owned();
    json!({
        "secret": secret,
        "id": header("webhook-id"),
        "timestamp": header("webhook-timestamp"),
        "signature": header("webhook-signature"),
        "body": String::from_utf8(received.body.to_vec()).expect("JSON"),
        "accepted": accepted,
    })
}

async fn check(python: &Tool, cases: &[Value]) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    cases.iter().for_each(|case| writeln!(file, "{case}").expect("it takes a line"));
    let path = file.path().display().to_string();
    assert_eq!(python.script("webhook_verifier.py", [path]).await, "ok\n");
}

/// The request of one more message.
async fn next(world: &World) -> Received {
    let before = world.receiver.count();
    world.publish_one().await;
    world.receiver.had(before + 1).await;
    world.receiver.received().pop().expect("a request")
}

#[tokio::test]
async fn the_standard_webhooks_package_of_python_verifies_every_request_before_during_and_after_a_rotation() {
    let Some(python) = python_with("standardwebhooks") else { return };
    let world = World::start().await;
    let rotate = format!("/api/v1/app/{APPLICATION}/endpoint/{}/secret/rotate", world.endpoint);
    let api = world.api();

    let old = api.secret(APPLICATION, &world.endpoint).await;
    let before = next(&world).await;
    api.post(&rotate, &json!({ "gracePeriodSeconds": 2 })).await;
    let new = api.secret(APPLICATION, &world.endpoint).await;
    let during = next(&world).await;
    let after = loop {
        let received = next(&world).await;
        if !received.header("webhook-signature").contains(' ') {
            break received;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    // To a key pair, which this package does not know: it must find its own signature beside the other.
    api.post(&rotate, &json!({ "signature": "v1a", "gracePeriodSeconds": 60 })).await;
    let beside = next(&world).await;
    assert!(beside.header("webhook-signature").starts_with("v1a,"));

    let cases = [
        case(&before, &old, true),
        case(&before, &new, false),
        case(&during, &old, true),
        case(&during, &new, true),
        case(&after, &old, false),
        case(&after, &new, true),
        case(&beside, &old, false),
        case(&beside, &new, true),
    ];
    check(&python, &cases).await;
}
