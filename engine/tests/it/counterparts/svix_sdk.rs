//! The official Svix SDKs, unchanged, against our API.

use crate::harness::{Answer, Receiver, Site, Tool, node_with, python_with};

/// Runs what a customer's program does.
async fn run(tool: Tool, script: &str) {
    let site = Site::new(&[("api.tokens", "['token of a test']")]);
    let posthaste = site.start().await;
    let receiver = Receiver::answering(Answer::Body(200, "thank you")).await;
    let arguments = [format!("http://{}", posthaste.http()), "token of a test".into(), receiver.url()];
    assert_eq!(tool.script(script, arguments).await, "ok\n");
    // Two messages, one of them once more, and an example.
    assert_eq!(receiver.count(), 4);
    assert_eq!(receiver.received()[0].header("x-shop"), "42");
}

#[tokio::test]
async fn the_svix_sdk_for_python_sets_everything_up_publishes_and_lists_the_attempts() {
    if let Some(python) = python_with("svix") {
        run(python, "svix_sdk.py").await;
    }
}

#[tokio::test]
async fn the_svix_sdk_for_javascript_sets_everything_up_publishes_and_lists_the_attempts() {
    if let Some(node) = node_with("svix") {
        run(node, "svix_sdk.js").await;
    }
}
