//! Plain HTTP clients that store nothing: what people would otherwise write.
//!
//! Posthaste is held against them. So they send the same requests (headers, size, as many at once, to as many hosts)
//! and nothing beyond: no log, no retry, no lockout. Two of them, since people write two kinds:
//!
//! | kind | what |
//! |---|---|
//! | `pooled` | the ready-made pooled client of hyper-util, on a multi-thread runtime |
//! | `low-level` | hyper's connections with a small pool for each host, on one thread |
//!
//! Both with the default allocator, since that is what people have who have not measured.

mod load;
mod low_level;
mod pooled;
mod tally;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, ensure};

use crate::receiver::Secret;
use load::{Load, hosts};
use tally::Figures;

const REQUESTS_MAX: u64 = 1_000_000_000;
const IN_FLIGHT_MAX: usize = 65_536;
const BODY_BYTES_MAX: usize = 64 << 20;
/// What `--sign` signs with, unless it is told: any secret costs the same.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What `posthaste-loadtest client` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// What to send with.
    #[arg(long, value_enum)]
    kind: Kind,
    /// Where to: http://ADDRESS:PORT/PATH, address and port alone or a range, as in
    /// http://127.0.0.1-127.0.0.100:9000/ok. May be given again; requests go to each in turn.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9000/ok")]
    url: Vec<String>,
    /// Requests that are measured.
    #[arg(long, value_name = "COUNT", default_value_t = 200_000)]
    requests: u64,
    /// Requests before them, which are not.
    #[arg(long, value_name = "COUNT", default_value_t = 20_000)]
    warm_up: u64,
    /// Requests under way at the same time.
    #[arg(long, value_name = "COUNT", default_value_t = 256)]
    in_flight: usize,
    /// Bytes of each body.
    #[arg(long, value_name = "BYTES", default_value_t = 1024)]
    body_bytes: usize,
    /// Sign each request, with this secret or with one of its own.
    #[arg(long, value_name = "WHSEC", num_args = 0..=1, default_missing_value = SECRET)]
    sign: Option<String>,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, clap::ValueEnum)]
enum Kind {
    Pooled,
    LowLevel,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Pooled => "pooled",
            Self::LowLevel => "low-level",
        }
    }
}

pub(crate) fn main(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let load = Arc::new(load(&arguments)?);
    let figures = match arguments.kind {
        Kind::Pooled => pooled::run(&load)?,
        Kind::LowLevel => low_level::run(&load)?,
    };
    print(&figures, arguments.kind, arguments.json)?;
    Ok(ExitCode::SUCCESS)
}

fn load(arguments: &Arguments) -> anyhow::Result<Load> {
    let Arguments { requests, warm_up, in_flight, body_bytes, .. } = *arguments;
    ensure!(
        (1..=REQUESTS_MAX).contains(&requests),
        "--requests {requests}: 1 to {REQUESTS_MAX} are possible"
    );
    ensure!(warm_up <= REQUESTS_MAX, "--warm-up {warm_up}: 0 to {REQUESTS_MAX} are possible");
    ensure!(
        (1..=IN_FLIGHT_MAX).contains(&in_flight),
        "--in-flight {in_flight}: 1 to {IN_FLIGHT_MAX} are possible"
    );
    ensure!(body_bytes <= BODY_BYTES_MAX, "--body-bytes {body_bytes}: 0 to {BODY_BYTES_MAX} are possible");
    let secret = arguments.sign.as_deref().map(Secret::new).transpose().context("--sign")?;
    Ok(Load::new(hosts(&arguments.url)?, body_bytes, secret, in_flight, warm_up, requests))
}

fn print(figures: &Figures, kind: Kind, json: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", figures.to_json(kind.name()))
    } else {
        figures.write_table(kind.name(), &mut out)
    }
}
