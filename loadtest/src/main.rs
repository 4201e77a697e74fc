//! `posthaste-loadtest`: publishes at full speed over a few connections, follows what becomes of it, and says how
//! fast both went.
//!
//! It can do nothing that a customer cannot: it uses the protocol crate alone. The application, its event type
//! and endpoints must be there.

mod publish;
mod report;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use posthaste_protocol::client::{Client, Options};
use posthaste_protocol::command::StreamStart;

use report::Report;

/// Publishes messages at full speed and says how fast they were acknowledged and delivered.
#[derive(Debug, Clone, Parser)]
#[command(name = "posthaste-loadtest", version)]
struct Arguments {
    /// Where to publish.
    #[arg(long, default_value = "127.0.0.1:7480")]
    address: String,
    /// Password, if the server asks for one.
    #[arg(long)]
    password: Option<String>,
    /// Id or uid of the application.
    #[arg(long)]
    application: String,
    /// Event type of the messages.
    #[arg(long = "type")]
    event_type: String,
    /// Messages to publish.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    messages: u64,
    /// Connections to publish over.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    connections: u16,
    /// Bytes of a payload.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(16..=1_000_000))]
    payload_bytes: u32,
    /// Deliveries to wait for, counted as outcomes whose state is final; 0 does not wait.
    #[arg(long, default_value_t = 0)]
    deliveries: u64,
    /// How long to wait for them, in seconds.
    #[arg(long, default_value_t = 120)]
    patience_s: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report::complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// `Ok(false)` when not everything that was waited for came.
async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let options = Options { password: arguments.password.clone(), ..Options::default() };
    let client = Client::connect(arguments.address.clone(), options.clone()).await.context("connecting")?;
    let outcomes = client.outcomes(&arguments.application, StreamStart::Latest);
    let follower = tokio::spawn(report::count_ends(outcomes, arguments.deliveries));
    let began = Instant::now();
    let share = arguments.messages.div_ceil(arguments.connections.into());
    let mut publishers = Vec::new();
    let mut left = arguments.messages;
    while left > 0 {
        let count = share.min(left);
        left -= count;
        publishers.push(tokio::spawn(publish::publish(arguments.clone(), options.clone(), count)));
    }
    let mut report = Report::default();
    for publisher in publishers {
        report.add(publisher.await??);
    }
    report.acknowledged_in = began.elapsed();
    if arguments.deliveries > 0 {
        let patience = Duration::from_secs(arguments.patience_s);
        report.ends = tokio::time::timeout(patience, follower).await.ok().transpose()?.transpose()?;
        report.ended_in = began.elapsed();
    }
    report.print(&arguments);
    Ok(report.refused == 0 && (arguments.deliveries == 0 || report.ends.is_some()))
}
