//! The official Svix SDK for Python, against our API.

use crate::harness::{Answer, Receiver, Site, python_with};

#[tokio::test]
async fn the_svix_sdk_sets_everything_up_publishes_and_lists_the_attempts() {
    let Some(python) = python_with("svix") else { return };
    let site = Site::new(&[("api.tokens", "['token of a test']")]);
    let posthaste = site.start().await;
    let receiver = Receiver::answering(Answer::Body(200, "thank you")).await;
    let arguments = [format!("http://{}", posthaste.http()), "token of a test".into(), receiver.url()];
    assert_eq!(python.script("svix_sdk.py", arguments).await, "ok\n");
    assert_eq!(receiver.count(), 2);
    assert_eq!(receiver.received()[0].header("x-shop"), "42");
}
