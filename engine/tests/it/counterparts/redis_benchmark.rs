//! redis-benchmark: a load that was not made for us.

use crate::harness::{APPLICATION, EVENT_TYPE, Tool, World};

const MESSAGES: usize = 20_000;

#[tokio::test]
async fn redis_benchmark_completes_and_every_message_is_delivered() {
    let Some(tool) = Tool::find("redis-benchmark") else { return };
    let world = World::start().await;
    let port = world.posthaste.tcp().port().to_string();
    let (count, key) = (MESSAGES.to_string(), format!("messages:{APPLICATION}"));
    let load = ["-p", &port, "-n", &count, "-P", "64", "-c", "8", "-q"];
    let command = ["XADD", &key, "*", "type", EVENT_TYPE, "payload", "{\"n\":1}"];
    let printed = tool.run(load.into_iter().chain(command).map(str::to_owned)).await;
    assert!(
        printed.contains("requests per second") && !printed.to_lowercase().contains("error"),
        "{printed}"
    );
    // It sends what its last pipelines have room for, which may be a little more than asked for.
    let stored = usize::try_from(world.resp().await.xlen(APPLICATION).await).expect("a count");
    assert!(stored >= MESSAGES, "{stored}");
    world.receiver.had_messages(stored).await;
    assert_eq!(world.receiver.count(), stored, "nothing is repeated");
}
