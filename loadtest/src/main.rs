//! `posthaste-loadtest`: how fast is it, and does it lose anything?
//!
//! ```text
//!   generator --TCP--> engine --HTTP--> receiver
//!       |                                  |
//!       +------------ account <------------+     every acknowledged message is looked for at the receiver
//! ```
//!
//! It can do nothing that a customer cannot: it publishes over TCP, manages over HTTP, and knows of the engine's
//! process only what the operating system tells about any. Hence no use of the crates `engine` and `storage`.
//!
//! | command | what it does |
//! |---|---|
//! | `receiver` | receives webhooks, well or badly, as the path of the URL says |
//! | `run` | one load of one's own choice against an engine |
//! | `scenario` | the named loads behind the figures of docs/performance.md |
//! | `torture` | kills, power cuts, failing disks, wrong clocks; docs/reliability.md |
//! | `compare` | the engine against plain clients that store nothing |
//! | `client` | one such plain client |
//! | `bad-frames` | bytes that no client sends, with a good client beside them |

mod bad_frames;
mod client;
mod compare;
mod engine;
mod fault;
mod receiver;
mod report;
mod run;
mod scenario;
mod torture;

use std::process::ExitCode;

use clap::Parser;

/// Load tests for Posthaste.
#[derive(Debug, Parser)]
#[command(name = "posthaste-loadtest", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Receive webhooks, well or badly, as the path of the URL says.
    Receiver(receiver::Arguments),
    /// Publish a load of your own choice, look for every message at the receiver, and say how fast it was.
    Run(Box<run::Arguments>),
    /// Repeat one of the loads behind the figures that are published.
    Scenario(scenario::Arguments),
    /// Do bad things to the engine, again and again, and look for every acknowledged message afterwards.
    Torture(torture::Arguments),
    /// Let the engine and plain clients that store nothing have turns at the same receiver.
    Compare(compare::Arguments),
    /// Send requests with a plain HTTP client that stores nothing.
    Client(client::Arguments),
    /// Send bytes that no client sends to the TCP port, and see whether a good client beside them notices.
    BadFrames(Box<bad_frames::Arguments>),
}

fn main() -> ExitCode {
    let result = match arguments().command {
        Command::Receiver(arguments) => receiver::main(arguments),
        Command::Run(arguments) => run::main(*arguments),
        Command::Scenario(arguments) => scenario::main(arguments),
        Command::Torture(arguments) => torture::main(&arguments),
        Command::Compare(arguments) => compare::main(arguments),
        Command::Client(arguments) => client::main(arguments),
        Command::BadFrames(arguments) => bad_frames::main(*arguments),
    };
    // What is wrong with what was asked for is said in one sentence.
    result.unwrap_or_else(|error| {
        report::complain(&error);
        ExitCode::from(2)
    })
}

/// What was asked for. What cannot be understood is said in one sentence, as everything else is.
fn arguments() -> Arguments {
    Arguments::try_parse().unwrap_or_else(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        report::complain(&anyhow::anyhow!(sentence(&error.to_string())));
        std::process::exit(2);
    })
}

/// The first paragraph of an error of the command line, on one line.
fn sentence(error: &str) -> String {
    let paragraph = error.split("\n\n").next().unwrap_or_default();
    let words: Vec<_> = paragraph.split_whitespace().collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}
