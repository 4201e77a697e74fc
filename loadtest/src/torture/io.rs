//! `io`: the n-th thing that is asked of the disk fails, for n from 1 on, in six ways that take turns. A way that counts
//! few calls (a start and its load make about ten syncs) begins again at its first when it has been through.
//!
//! ```text
//!   start with the shim --> refuses to start, cleanly      --+
//!                       --> accepts --> load --> degrades  --+--> kill --> start without it --> everything is there
//! ```
//!
//! A sync that fails takes away what it should have saved. So an engine that asked again, and then acknowledged, would
//! be found out by the loss (I8).

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::Arguments;
use super::load::Load;
use super::shim::Shim;
use super::subject::{Said, Started, Subject};
use super::trial::Trial;
use super::volume::skip;

const KINDS: [&str; 6] = ["eio", "enospc", "sync", "short", "sticky", "emfile"];
/// Windows of messages that are published in each run, one after the other: each is a group commit at least.
const WINDOWS: usize = 6;
/// So long a run lasts at least, that the ledger and the catalog are flushed; with `--fast` not.
const FLUSHED: Duration = Duration::from_millis(1_300);
/// How long a run may take to deliver what it can.
const RUN_PATIENCE: Duration = Duration::from_millis(1_500);
/// How a Rust program ends after a panic in its main thread.
const PANICKED: i32 = 101;

/// How runs ended.
#[derive(Debug, Default)]
struct Tally {
    /// The call was never made: the run did less than that.
    unharmed: u32,
    /// Something failed and nobody noticed anything.
    harmless: u32,
    refused_to_start: u32,
    poisoned: u32,
    full: u32,
    ended: u32,
    /// The ledger failed, and deliveries went on.
    ledger_failed: u32,
    /// Something else was said, and deliveries went on.
    went_on: u32,
}

impl Tally {
    /// Whether a call failed in any run.
    fn has_fired(&self) -> bool {
        let Self { unharmed: _, harmless, refused_to_start, poisoned, full, ended, ledger_failed, went_on } =
            self;
        harmless + refused_to_start + poisoned + full + ended + ledger_failed + went_on > 0
    }
}

pub(super) fn play(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(why) = Shim::missing() {
        return skip("io", &why);
    }
    let mut trial = Trial::begin("io", arguments, None, &[])?;
    let shim = Shim::compile(&trial.folder, "faults", include_str!("faults.c"))?;
    let mut tally = Tally::default();
    trial.end_life(None)?;
    let (mut next, mut furthest) = ([arguments.first_call; KINDS.len()], [0; KINDS.len()]);
    while trial.goes_on(arguments.cycles) {
        let turn = trial.cycles() as usize % KINDS.len();
        let turn = KINDS.iter().position(|kind| arguments.fault.as_deref() == Some(*kind)).unwrap_or(turn);
        let (kind, call) = (KINDS[turn], next[turn]);
        let patience = if arguments.fast { Duration::ZERO } else { FLUSHED };
        let unharmed = tally.unharmed;
        let end = run(&mut trial, &shim, call, kind, patience, &mut tally)?;
        next[turn] = if tally.unharmed > unharmed { arguments.first_call } else { call + 1 };
        furthest[turn] = furthest[turn].max(call);
        trial.start()?;
        if !trial.drain()? {
            let owed = trial.books.owed();
            trial
                .books
                .breach(format!("I1: call {call} failed with {kind} ({end}); {owed} messages never came"));
        }
        trial.cycle(&format!("call {call} failed with {kind}: {end}"))?;
        trial.end_life(None)?;
    }
    trial.start()?;
    let calls: Vec<String> =
        KINDS.iter().zip(furthest).map(|(kind, call)| format!("{kind} {call}")).collect();
    if !tally.has_fired() && trial.cycles() as usize >= KINDS.len() {
        trial.books.breach("no call ever failed: the shim does nothing".into());
    }
    trial.fact(format!("from call {} to call: {}; {tally:?}", arguments.first_call, calls.join(", ")));
    trial.finish()
}

/// One run with the shim. How it ended.
fn run(
    trial: &mut Trial,
    shim: &Shim,
    call: u32,
    kind: &str,
    least: Duration,
    tally: &mut Tally,
) -> anyhow::Result<String> {
    shim.set(0, 0)?;
    shim.set(1, 0)?;
    let mut start = trial.start.clone();
    start.variables = shim.variables();
    start.variables.push(("TORTURE_FOLDER", trial.folder.join("data").into()));
    start.variables.push(("TORTURE_NTH", call.to_string().into()));
    start.variables.push(("TORTURE_KIND", kind.into()));
    match start.start()? {
        Started::Ended { status, said } => {
            tally.refused_to_start += 1;
            if status.code() != Some(1) || said.has("panicked at") {
                trial.books.breach(format!(
                    "call {call} ({kind}): it did not end cleanly: {status}: {}",
                    said.all()
                ));
            }
            trial.end_life(None)?;
            Ok(format!("it did not start: {}", said.last()))
        }
        Started::Accepts(subject) => {
            let end = under_load(trial, subject, (call, kind), least, tally, shim)?;
            trial.end_life(None)?;
            Ok(end)
        }
    }
}

fn under_load(
    trial: &mut Trial,
    subject: Subject,
    (call, kind): (u32, &str),
    least: Duration,
    tally: &mut Tally,
    shim: &Shim,
) -> anyhow::Result<String> {
    let tcp = subject.tcp;
    trial.follow(subject);
    let refusal = Load::burst(tcp, &trial.books, WINDOWS);
    let subject = trial.subject.as_mut().context("the subject")?;
    let (began, until) = (Instant::now(), Instant::now() + RUN_PATIENCE);
    let is_done = || trial.books.owed() == 0 && began.elapsed() >= least;
    while !is_done() && Instant::now() < until && subject.has_ended()?.is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let (said, ended) = (subject.said().clone(), subject.has_ended()?);
    if let Some(status) = ended.filter(|status| status.code() == Some(PANICKED)) {
        trial.books.breach(format!("call {call} ({kind}): {status}: {}", said.all()));
    }
    let what = classify(&said, ended.is_some(), shim.get(1).context("the shim")? > 0, tally);
    Ok(refusal.map_or(what.clone(), |refusal| format!("{what}; publishers were told: {refusal}")))
}

fn classify(said: &Said, ended: bool, fired: bool, tally: &mut Tally) -> String {
    let line = said.line_with(&["\"ERROR\""]);
    let has = |text: &str| line.as_ref().is_some_and(|_| said.has(text));
    let (count, what) = match () {
        () if !fired => (&mut tally.unharmed, "no such call was made"),
        () if ended => (&mut tally.ended, "it ended by itself"),
        () if has("the log stopped") => (&mut tally.poisoned, "the log stopped"),
        () if has("publishers are refused") => (&mut tally.full, "publishers were refused for a time"),
        () if has("the ledger failed") => (&mut tally.ledger_failed, "the ledger failed"),
        () if line.is_some() => (&mut tally.went_on, "it said so and went on"),
        () => (&mut tally.harmless, "nobody noticed"),
    };
    *count += 1;
    line.map_or_else(|| what.to_owned(), |line| format!("{what}: {line}"))
}
