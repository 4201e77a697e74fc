//! `posthaste-loadtest receiver`: a receiver of its own, until it is told to end.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::account::{Ledger, REMEMBER_MAX};
use super::behaviour::{Behaviour, Chance};
use super::threads::THREADS_MAX;
use super::{BODY_BYTES_MAX, Options, Receiver, Rules, Secret, ranges};

/// What `--body-bytes-max` may be at most.
const BODY_BYTES_LIMIT: usize = 1 << 30;

/// What `posthaste-loadtest receiver` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Where to listen: ADDRESS:PORT, either of them a range, as in 127.0.0.1-127.0.0.100:9000-9099; port 0 takes
    /// any. May be given again.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    listen: Vec<String>,
    /// Threads that serve.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    threads: usize,
    /// What paths get that name no behaviour, as in /ok; without it they get 404 and a list of the behaviours.
    #[arg(long, value_name = "PATH")]
    otherwise: Option<String>,
    /// Serve TLS, with a certificate of a test authority that is made at the start.
    #[arg(long)]
    tls: bool,
    /// Write the certificate of the test authority there, in PEM.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Answer 401 to what is not signed with this secret.
    #[arg(long, value_name = "WHSEC")]
    secret: Option<String>,
    /// Answer 413 to a body of more bytes.
    #[arg(long, value_name = "BYTES", default_value_t = BODY_BYTES_MAX)]
    body_bytes_max: usize,
    /// Deliveries to remember, at 8 to 16 bytes each; further ones are counted as forgotten.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000_000)]
    remember: usize,
    /// Deliveries that are going to arrive, so that it can be said how many never did.
    #[arg(long, value_name = "COUNT")]
    expect: Option<u64>,
    /// Say where it listens, and what was received, in JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let listen = ranges::addresses("--listen", &arguments.listen)?;
    let (rules, ledger) = rules(&arguments)?;
    let options = Options { listen, threads: arguments.threads, tls: arguments.tls, loopback_only: false };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // From here on a signal ends it in an orderly manner, however early it comes.
    let end = runtime.block_on(async { end() })?;
    let receiver = Receiver::with_rules(options, rules, ledger).context("--listen")?;
    if let (Some(file), Some(pem)) = (&arguments.ca_file, receiver.ca_pem()) {
        write_ca(file, pem)?;
    }
    announce(&receiver, &arguments)?;
    runtime.block_on(end);
    report(&receiver, arguments.json)?;
    Ok(ExitCode::SUCCESS)
}

fn rules(arguments: &Arguments) -> anyhow::Result<(Rules, Arc<Ledger>)> {
    let Arguments { threads, body_bytes_max, remember, .. } = *arguments;
    ensure!((1..=THREADS_MAX).contains(&threads), "--threads {threads}: 1 to {THREADS_MAX} are possible");
    let limit = BODY_BYTES_LIMIT;
    ensure!(body_bytes_max <= limit, "--body-bytes-max {body_bytes_max}: 0 to {limit} are possible");
    ensure!(
        (1..=REMEMBER_MAX).contains(&remember),
        "--remember {remember}: 1 to {REMEMBER_MAX} are possible"
    );
    if let (Some(file), false) = (&arguments.ca_file, arguments.tls) {
        bail!("--ca-file {}: there is a certificate authority only with --tls", file.display());
    }
    if let Some(path) = &arguments.otherwise {
        let known = Behaviour::of(path, Chance { webhook_id: "", number: 0 }).is_some();
        ensure!(known, "--otherwise {path}: names no behaviour; /ok, /status/503, /mix/ok=0.9,hang=0.1 do");
    }
    let secret = arguments.secret.as_deref().map(Secret::new).transpose().context("--secret")?;
    let ledger = Arc::new(Ledger::new(remember, arguments.expect));
    let rules = Rules {
        body_bytes_max,
        otherwise: arguments.otherwise.clone(),
        secret,
        ledger: Some(Arc::clone(&ledger)),
    };
    Ok((rules, ledger))
}

fn write_ca(file: &Path, pem: &str) -> anyhow::Result<()> {
    std::fs::write(file, pem).with_context(|| format!("--ca-file {}: cannot be written", file.display()))
}

/// One line, for whoever waits until it listens.
fn announce(receiver: &Receiver, arguments: &Arguments) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let addresses = receiver.addresses();
    if arguments.json {
        let listening = addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
        writeln!(out, "{}", json!({ "listening": listening, "tls": arguments.tls }))?;
    } else {
        let scheme = if arguments.tls { "https" } else { "http" };
        write!(out, "listening on {scheme}://{}", addresses[0])?;
        match addresses {
            [_] => writeln!(out)?,
            [.., last] => writeln!(out, " to {last}, {} addresses", addresses.len())?,
            [] => {}
        }
    }
    out.flush()
}

fn report(receiver: &Receiver, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let stats = receiver.stats();
    if json {
        writeln!(out, "{}", stats.to_json())?
    } else {
        stats.write_table(&mut out)?
    }
    out.flush()
}

/// Completes at the first SIGINT or SIGTERM after the call.
fn end() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
