//! `hostile`: every fault that a receiver may have, over every version of HTTP, mixed, and well-behaved receivers beside them.
//!
//! ```text
//!   round: one message to all faults at once ──> each attempt ends as its fault says, within its deadline
//!          a few to the receivers beside them ──> each arrives once
//! ```
//!
//! A round goes to one set of places; there are as many sets as it takes for no URL to fail so often in a row that it
//! would be locked out, which would keep attempts from being made. How an attempt ended and how long each part of it
//! took is what the engine's history says.
//!
//! Not here: the faults and how attempts at them are to end (`fault`), whether they did (`judge`).

mod beside;
mod judge;
mod set;

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};

use super::Context;
use super::context::setting;
use crate::engine::{Api, Engine, Setting};
use crate::fault::{self, FORBIDDEN, Places};
use crate::report::Figure;
use crate::run::{EngineSays, Verdict, interrupt};

use beside::Beside;
use judge::{Deadlines, Judge};
use set::{APPLICATION, Sets};

const ROUNDS: u64 = 1_000;
const ROUNDS_QUICK: u64 = 2;
/// Below what locks a URL out at the most (`lockout.url.consecutive_failures`).
const ROUNDS_PER_SET: u64 = 200;
/// A round begins when so much of one is still pending: what is slow by nature, and nothing that takes much CPU. How long
/// attempts take on a machine that has no time says nothing about deadlines.
const PENDING_SHARE_MAX: f64 = 0.5;
/// Messages to the receivers beside the faults, for each round.
const BESIDE_PER_ROUND: u64 = 10;
/// What slow receivers wait before each byte.
const PAUSE: Duration = Duration::from_millis(60);
/// How long nothing may end before it is taken for stuck.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);
const MIB: f64 = 1_048_576.0;
/// What floods and bombs may cost, all at once.
const GROWTH_MIB_MAX: f64 = 64.0;

pub(super) fn play(context: &mut Context<'_>) -> anyhow::Result<()> {
    let rounds = context.rounds.unwrap_or(if context.quick { ROUNDS_QUICK } else { ROUNDS });
    let only = context.only.unwrap_or_default();
    let faults = fault::named(only);
    ensure!(!faults.is_empty(), "--only {only}: no fault has a name that begins so");
    let places = Places::open(&faults, rounds.div_ceil(ROUNDS_PER_SET) as usize, PAUSE)?;
    let beside = Beside::start(places.ca_pem())?;
    let deadlines = Deadlines::new(context.quick);
    let settings = [deadlines.settings(), settings(&places), beside.settings()].concat();
    let engine = Engine::start(context.own, &settings)?;
    let mut api = engine.connect_api()?;
    let mut sets = Sets::make(&mut api, &places)?;
    beside.enter(&mut api)?;
    let (before, began) = (engine.reading()?, Instant::now());
    let messages = publish(&engine, &mut api, &mut sets, &beside, rounds)?;
    let (after, took) = (engine.reading()?, began.elapsed());
    let mut judge = Judge::new(deadlines);
    for message in &messages {
        look_up(&mut api, message, |attempt| judge.attempt(&sets, attempt))?;
    }
    let late = beside.judge(&mut api, &mut judge)?;
    tell(context, &judge, &faults, messages.len(), took);
    let growth = after.resident_bytes_max.saturating_sub(before.resident_bytes) as f64 / MIB;
    let report = &mut context.report;
    report.figure(Figure::one("resident memory before", "MiB", before.resident_bytes as f64 / MIB));
    report.figure(Figure::one("growth of resident memory, at most", "MiB", growth).at_most(GROWTH_MIB_MAX));
    if growth > GROWTH_MIB_MAX {
        report.wrong(format!("resident memory grew by {growth:.1} MiB; the limit is {GROWTH_MIB_MAX} MiB"));
    }
    report.figure(Figure::one("slowest delivery beside the faults", "ms", late));
    if places.strays() > 0 {
        report.wrong(format!("{} connections to an address that is forbidden", places.strays()));
    }
    report.judge(verdict(&beside, messages.len() as u64));
    report.trouble("ending the engine", engine.stop());
    Ok(())
}

/// What an engine needs for this: whom to ask for names, what is forbidden, and no lockout within a set.
fn settings(places: &Places) -> Vec<Setting> {
    vec![
        setting("delivery.name_servers", &places.name_server().to_string()),
        setting("egress.deny_cidrs", &format!("{FORBIDDEN}/32")),
        setting("retry.policy", "none"),
        // Waits that a receiver asks for use up no attempt; at full length, rounds would take weeks.
        setting("retry.retry_after_min", "100ms"),
        setting("retry.retry_after_max", "100ms"),
        setting("lockout.url.consecutive_failures", "255"),
        setting("lockout.url.window_failures_min", "1023"),
        setting("lockout.url.failure_percent", "100"),
        setting("lockout.host.consecutive_failures", "255"),
        setting("lockout.host.window_failures_min", "1023"),
        setting("lockout.host.failure_percent", "100"),
    ]
}

/// Publishes the rounds, a few at a time, and waits until everything has ended. The ids of their messages.
fn publish(
    engine: &Engine,
    api: &mut Api,
    sets: &mut Sets,
    beside: &Beside,
    rounds: u64,
) -> anyhow::Result<Vec<String>> {
    let room = (PENDING_SHARE_MAX * sets.endpoints_in_one() as f64) as u64;
    let mut messages = Vec::new();
    for round in 0..rounds {
        if interrupt::is_requested() {
            break;
        }
        await_pending(engine, room)?;
        sets.let_back_in(api, round)?;
        messages.push(post(api, APPLICATION, &sets.event_type(round), round)?);
        for number in 0..BESIDE_PER_ROUND {
            beside.publish(api, round * BESIDE_PER_ROUND + number)?;
        }
    }
    await_pending(engine, 0)?;
    Ok(messages)
}

/// Publishes a message, and says its id.
fn post(api: &mut Api, application: &str, event_type: &str, number: u64) -> anyhow::Result<String> {
    let message = json!({ "eventType": event_type, "payload": { "n": number, "filler": ".".repeat(1_000) } });
    let answer = api.post(&format!("/api/v1/app/{application}/msg"), &message)?;
    Ok(answer["id"].as_str().unwrap_or_default().to_owned())
}

/// Waits until no more deliveries than this are pending.
fn await_pending(engine: &Engine, most: u64) -> anyhow::Result<()> {
    let mut before = engine.counters()?;
    let mut since = Instant::now();
    loop {
        let now = engine.counters()?;
        if now.pending <= most {
            return Ok(());
        }
        if now != before {
            (before, since) = (now, Instant::now());
        }
        ensure!(since.elapsed() < PATIENCE, "{} deliveries are pending and nothing ends", now.pending);
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Every attempt of a message, as the history shows it.
fn look_up(api: &mut Api, message: &str, mut each: impl FnMut(&Value)) -> anyhow::Result<()> {
    let path = format!("/api/v1/app/{APPLICATION}/attempt/msg/{message}?limit=250&with_content=false");
    let mut iterator = String::new();
    loop {
        let page: Value = serde_json::from_str(&api.text(&format!("{path}{iterator}"))?)?;
        page["data"].as_array().into_iter().flatten().for_each(&mut each);
        if page["done"] == true {
            return Ok(());
        }
        iterator = format!("&iterator={}", page["iterator"].as_str().unwrap_or_default());
    }
}

fn tell(context: &mut Context<'_>, judge: &Judge, faults: &[&fault::Fault], rounds: usize, took: Duration) {
    let report = &mut context.report;
    report
        .fact("faults", format!("{}, in {} ways over HTTP/1.1, TLS and HTTP/2", faults.len(), judge.kinds()));
    report.fact(
        "rounds",
        format!("{rounds} in {:.0} s, {BESIDE_PER_ROUND} messages beside each", took.as_secs_f64()),
    );
    report.fact("deadlines", judge.deadlines().to_string());
    for (kind, told) in judge.rows() {
        report.fact(&kind, told);
    }
    report.figure(Figure::one("attempts", "", judge.attempts() as f64));
    report.figure(
        Figure::one("attempts that ended otherwise", "", judge.ended_otherwise() as f64).at_most(0.0),
    );
    report.figure(Figure::one("attempts late by more than 10%", "", judge.late() as f64).at_most(0.0));
    report.figure(Figure::one("latest, in percent of its deadline", "%", judge.latest_percent()));
    for wrong in judge.wrong() {
        report.wrong(wrong.clone());
    }
}

fn verdict(beside: &Beside, rounds: u64) -> Verdict {
    let (expected, received, again) = beside.account();
    Verdict {
        acknowledged: rounds * (1 + BESIDE_PER_ROUND),
        expected,
        received,
        again,
        unhealthy: 0,
        missing: expected.saturating_sub(received),
        missing_first: Vec::new(),
        astray: 0,
        engine: EngineSays::NotAsked,
    }
}
