//! redis-cli: the client that everybody has.

use crate::harness::{APPLICATION, EVENT_TYPE, Tool, World};

async fn run(world: &World, tool: &Tool, words: &[&str]) -> String {
    let port = world.posthaste.tcp().port().to_string();
    let arguments = ["-p", &port, "-e"].into_iter().chain(words.iter().copied());
    tool.run(arguments.map(str::to_owned)).await.trim_end().to_owned()
}

#[tokio::test]
async fn redis_cli_publishes_reads_outcomes_and_asks_around() {
    let Some(tool) = Tool::find("redis-cli") else { return };
    let world = World::start().await;
    let key = format!("messages:{APPLICATION}");
    let id =
        run(&world, &tool, &["XADD", &key, "*", "type", EVENT_TYPE, "payload", "{\"n\":1}", "id", "one"])
            .await;
    world.receiver.had(1).await;
    assert_eq!(world.receiver.received()[0].id(), format!("msg_{id}"));
    assert_eq!(world.receiver.received()[0].body, &b"{\"n\":1}"[..]);
    world.follow().await.saw(1, "delivered").await;

    let outcomes = run(&world, &tool, &["XREAD", "COUNT", "10", "STREAMS", "outcomes:acme", "0"]).await;
    assert!(outcomes.contains(&format!("msg_{id}")) && outcomes.contains("delivered"), "{outcomes}");
    let three = run(&world, &tool, &["-3", "XREAD", "STREAMS", "outcomes:acme", "0"]).await;
    assert!(three.contains(&format!("msg_{id}")), "{three}");
    let range = run(&world, &tool, &["XRANGE", &key, "-", "+"]).await;
    assert_eq!(
        range.lines().collect::<Vec<_>>(),
        [&id, "type", EVENT_TYPE, "payload", "{\"n\":1}", "id", "one"]
    );
    assert_eq!(run(&world, &tool, &["XLEN", &key]).await, "1");
    assert_eq!(run(&world, &tool, &["PING"]).await, "PONG");
    assert!(run(&world, &tool, &["INFO"]).await.contains("posthaste_version:"));
    assert!(run(&world, &tool, &["COMMAND"]).await.contains("xadd"));
    assert_eq!(run(&world, &tool, &["CONFIG", "GET", "save"]).await, "");
}

#[tokio::test]
async fn redis_cli_is_told_what_is_supported() {
    let Some(tool) = Tool::find("redis-cli") else { return };
    let world = World::start().await;
    let port = world.posthaste.tcp().port().to_string();
    let said = tool.run(["-p", &port, "SET", "a", "b"].map(str::to_owned)).await;
    assert!(said.starts_with("ERR ") && said.contains("XADD"), "{said}");
}
