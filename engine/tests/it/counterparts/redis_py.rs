//! redis-py: a client library as producers use it.

use crate::harness::{World, python_with};

#[tokio::test]
async fn redis_py_publishes_and_follows_outcomes_in_both_versions_of_the_protocol() {
    let Some(python) = python_with("redis") else { return };
    let world = World::start().await;
    let printed = python.script("redis_py.py", [world.posthaste.tcp().port().to_string()]).await;
    assert_eq!(printed, "ok\n");
    assert_eq!(world.receiver.messages(), 2 * 101);
    assert_eq!(world.receiver.count(), 2 * 101);
}
