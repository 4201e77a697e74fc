//! Publish messages and follow them until each is delivered or given up, with `posthaste_protocol`.
//!
//! ```console
//! $ PASSWORD=... cargo run -p posthaste-protocol --example publish -- 127.0.0.1:7480 acme invoice.paid
//! ```

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::collections::HashSet;
use std::error::Error;

use posthaste_protocol::client::{Client, NewMessage, Options};
use posthaste_protocol::command::StreamStart;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("arguments: <host:port> <application> <event type>");
    publish_and_follow(&next()?, &next()?, &next()?).await
}

/// Publishes three messages, and returns when each has ended.
pub async fn publish_and_follow(
    address: &str,
    application: &str,
    event_type: &str,
) -> Result<(), Box<dyn Error>> {
    let options = Options { password: std::env::var("PASSWORD").ok(), ..Options::default() };
    let client = Client::connect(address, options).await?;

    // Sent without waiting in between; each id comes once its message is on disk. An event id (`.event_id(...)`)
    // makes it safe to publish again after an error that leaves open whether the message arrived.
    let payloads = [1, 2, 3].map(|n| format!(r#"{{"n":{n}}}"#));
    let messages: Vec<NewMessage<'_>> =
        payloads.iter().map(|payload| NewMessage::new(application, event_type, payload.as_bytes())).collect();
    let mut under_way = HashSet::new();
    for answer in client.publish_many(&messages).await {
        under_way.insert(answer?);
    }

    // Outcomes come after their message in the same order of ids, so that the first message is where to begin. A
    // program that follows for ever keeps `outcomes.position()` somewhere, and goes on from there after a restart.
    let first = *under_way.iter().min().ok_or("nothing was published")?;
    let mut outcomes = client.outcomes(application, StreamStart::After(first));
    while !under_way.is_empty() {
        let outcome = outcomes.next().await?;
        println!("msg_{} attempt {} {} {}", outcome.message, outcome.attempt, outcome.outcome, outcome.state);
        if outcome.state != "pending" {
            under_way.remove(&outcome.message);
        }
    }
    Ok(())
}
