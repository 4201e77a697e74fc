//! `posthaste-loadtest faults`: every fault at a port of its own, until it is told to end.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::{Places, named};
use crate::run::interrupt;

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What `posthaste-loadtest faults` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Only those whose names begin so
    #[arg(long, value_name = "NAME", default_value = "")]
    only: String,
    /// What the slow ones wait before each byte, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pause: u64,
    /// Write the certificate of the test authority there, in PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Say where they are in JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let faults = named(&arguments.only);
    ensure!(!faults.is_empty(), "--only {}: no fault has a name that begins so", arguments.only);
    interrupt::listen()?;
    let places = Places::open(&faults, 1, Duration::from_millis(arguments.pause))?;
    if let Some(file) = &arguments.ca_file {
        std::fs::write(file, places.ca_pem())
            .with_context(|| format!("--ca-file {}: cannot be written", file.display()))?;
    }
    announce(&places, arguments.json)?;
    while !interrupt::is_requested() {
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(ExitCode::SUCCESS)
}

fn announce(places: &Places, is_json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if is_json {
        let rows = places.all().iter().map(
            |place| json!({ "fault": place.fault.name, "over": place.transport.name(), "url": place.url() }),
        );
        let rows: Vec<_> = rows.collect();
        writeln!(out, "{}", json!({ "nameServer": places.name_server(), "faults": rows }))?;
    } else {
        writeln!(out, "name server: {}", places.name_server())?;
        for place in places.all() {
            writeln!(out, "{:<48} {}", place.url(), place.fault.what)?;
        }
    }
    out.flush()
}
