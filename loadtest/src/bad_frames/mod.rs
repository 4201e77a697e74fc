//! `bad-frames`: bytes that no client sends, by the million, with a good client beside them.
//!
//! ```text
//!   seed --> session (valid) --> mutation --> attackers --TCP--> engine <--TCP-- the good client
//!                                                                  |                 |
//!                                     memory, alive? <-------------+                 +--> errors, latency
//! ```
//!
//! Each attacker plays one connection after the other; which, follows from the seed and its number alone. They come
//! from addresses of their own (127.0.1.0/24), so that what is held against them is not held against the good
//! client, and those who guess passwords from others again (127.0.2.0/24).
//!
//! It passes if the good client saw no error, everything that it was acknowledged is there, the engine's memory grew by
//! less than 64 MiB, and its process is the same as before.
//!
//! Not here: what the decoder makes of single frames (`posthaste_protocol`).

mod attacker;
mod flood;
mod good;
mod kind;
mod random;
mod session;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::engine::{Engine, OwnEngine, RunningEngine};
use crate::report::{Figure, Files, Report};
use crate::run::interrupt;
use attacker::{Attack, Tally};
use good::{Good, Seen};

/// What the engine's memory may grow by.
const GROWTH_MAX_BYTES: u64 = 64 << 20;
/// Frames that come before memory is looked at for the first time: caches fill, threads get their stacks.
const WARM_UP_FRAMES: u64 = 20_000;
/// How long the good client is alone, to compare with.
const ALONE: Duration = Duration::from_secs(2);
/// The password of an engine that is started for this.
const PASSWORD: &str = "a password of the load test";

/// What `posthaste-loadtest bad-frames` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Bad frames to send
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000_000))]
    count: u64,
    /// What they follow from; the same again sends the same
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Attackers at a time
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    attackers: u16,
    /// Connections opened at once at the end, from which nothing comes
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(0..=50_000))]
    connections: u32,
    #[command(flatten)]
    own: OwnEngine,
    #[command(flatten)]
    running: RunningEngine,
    #[command(flatten)]
    files: Files,
}

/// Memory before and after, in bytes.
#[derive(Debug, Clone, Copy)]
struct Memory {
    before: u64,
    after: u64,
    most: u64,
}

pub(crate) fn main(arguments: Arguments) -> anyhow::Result<ExitCode> {
    arguments.files.check()?;
    interrupt::listen()?;
    let engine = match Engine::running(&arguments.running)? {
        Some(engine) => engine,
        None => Engine::start(&arguments.own, &settings())?,
    };
    let password = if engine.is_own() { Some(PASSWORD) } else { engine.password() };
    make_applications(&engine)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (report, passed) = runtime.block_on(play(&arguments, &engine, password))?;
    drop(runtime);
    report_end(report, engine, passed, &arguments.files)
}

fn report_end(mut report: Report, engine: Engine, passed: bool, files: &Files) -> anyhow::Result<ExitCode> {
    let stopped = engine.stop();
    let ended_well = stopped.is_ok();
    report.trouble("ending the engine", stopped);
    report.deliver(files)?;
    Ok(if passed && ended_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Deadlines that a run can wait for.
fn settings() -> [(String, String); 2] {
    [("ingest.password", PASSWORD), ("ingest.request_timeout", "2s")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
}

/// One for the good client, one for what of the bad frames turns out to be a message.
fn make_applications(engine: &Engine) -> anyhow::Result<()> {
    let mut api = engine.connect_api()?;
    let event_type = json!({ "name": session::EVENT_TYPE, "description": "Messages of a load test" });
    api.post_unless_there("/api/v1/event-type", &event_type)?;
    for name in [good::APPLICATION, session::APPLICATION] {
        api.post_unless_there("/api/v1/app", &json!({ "name": name, "uid": name }))?;
    }
    Ok(())
}

async fn play(
    arguments: &Arguments,
    engine: &Engine,
    password: Option<&str>,
) -> anyhow::Result<(Report, bool)> {
    let good = Good::start(engine.tcp(), password);
    tokio::time::sleep(ALONE).await;
    let alone = good.turn();
    let attack = |first, count| {
        Arc::new(Attack::new(engine.tcp(), password.map(str::to_owned), arguments.seed, first, count))
    };
    let warm_up = WARM_UP_FRAMES.min(arguments.count / 10);
    let mut tally = attacker::run(attack(0, warm_up), arguments.attackers).await;
    let before = engine.reading()?.resident_bytes;
    let began = Instant::now();
    tally.add(attacker::run(attack(tally.scripts, arguments.count - warm_up), arguments.attackers).await);
    let took = began.elapsed();
    let flood = flood::run(engine.tcp(), arguments.connections).await.context("opening connections")?;
    let beside = good.end().await;
    let reading = engine.reading().context("the engine's process is gone")?;
    let memory = Memory { before, after: reading.resident_bytes, most: reading.resident_bytes_max };
    let stored = good::stored(engine.tcp(), password).await;
    let passed = judge(&[&alone, &beside], memory, stored)?;
    let mut report = Report::new("bad-frames");
    report.fact("seed", arguments.seed.to_string());
    report
        .fact("connections opened and left silent", format!("{} of {}", flood.opened, arguments.connections));
    tell(&mut report, &tally, took, memory, &[("alone", &alone), ("beside bad frames", &beside)]);
    Ok((report, passed))
}

fn judge(seen: &[&Seen], memory: Memory, stored: anyhow::Result<u64>) -> anyhow::Result<bool> {
    for error in seen.iter().flat_map(|seen| &seen.errors) {
        crate::report::complain(&anyhow::anyhow!("the good client: {error}"));
    }
    let acknowledged: u64 = seen.iter().map(|seen| seen.acknowledged).sum();
    let stored = stored.context("counting the good client's messages")?;
    ensure!(stored >= acknowledged, "{acknowledged} messages were acknowledged, {stored} are there");
    let grown = memory.after.saturating_sub(memory.before);
    if grown >= GROWTH_MAX_BYTES {
        crate::report::complain(&anyhow::anyhow!(
            "memory grew by {grown} bytes; the limit is {GROWTH_MAX_BYTES}"
        ));
    }
    Ok(grown < GROWTH_MAX_BYTES && seen.iter().all(|seen| seen.errors_count == 0))
}

fn tell(report: &mut Report, tally: &Tally, took: Duration, memory: Memory, seen: &[(&str, &Seen)]) {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    report.figure(Figure::one("bad frames", "", tally.frames as f64));
    report.figure(Figure::one("bad frames a second", "", tally.frames as f64 / took.as_secs_f64()));
    report.figure(Figure::one("connections with them", "", tally.scripts as f64));
    report.figure(Figure::one("of these turned away", "", tally.turned_away as f64));
    for (kind, frames) in tally.by_kind() {
        report.figure(Figure::one(format!("frames: {kind}"), "", frames as f64));
    }
    let errors: u64 = seen.iter().map(|(_, seen)| seen.errors_count).sum();
    report.figure(Figure::one("errors of the good client", "", errors as f64).at_most(0.0));
    let acknowledged: u64 = seen.iter().map(|(_, seen)| seen.acknowledged).sum();
    report.figure(Figure::one("messages of the good client", "", acknowledged as f64));
    let limit = mib(GROWTH_MAX_BYTES);
    let grown = mib(memory.after) - mib(memory.before);
    report.figure(Figure::one("memory before", "MiB", mib(memory.before)));
    report.figure(Figure::one("memory grew by", "MiB", grown).at_most(limit));
    report.figure(Figure::one("most memory ever", "MiB", mib(memory.most)));
    for (name, seen) in seen {
        report.latencies.push(((*name).to_owned(), seen.latency));
    }
}
