//! The `standardwebhooks` package of Python: a receiver's own check of what it got.

use crate::harness::{APPLICATION, World, python_with};

#[tokio::test]
async fn the_standard_webhooks_package_of_python_verifies_what_was_delivered() {
    let Some(python) = python_with("standardwebhooks") else { return };
    let world = World::start().await;
    world.publish_one().await;
    world.receiver.had(1).await;
    let received = &world.receiver.received()[0];
    let secret = world.api().secret(APPLICATION, &world.endpoint).await;
    let header = |name: &str| received.header(name).to_owned();
    let body = String::from_utf8(received.body.to_vec()).expect("JSON");
    let arguments =
        [secret, header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"), body];
    assert_eq!(python.script("webhook_verifier.py", arguments).await, "ok\n");
}
