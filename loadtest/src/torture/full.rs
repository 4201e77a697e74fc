//! `full`: a disk of 48 MiB fills up and is freed. Publishers are refused, deliveries go on, and nobody has to restart
//! anything; every fourth time it is killed while the disk is full.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::Arguments;
use super::books::Manner;
use super::load::Load;
use super::trial::Trial;
use super::volume::{Small, skip};

/// A log of 16 MiB, two sleds of a segment (8 MiB) or two each.
const DISK_BYTES: u64 = 48 << 20;
/// Less than `storage.reserve_bytes`.
const LEFT: u64 = 512 << 10;
const PATIENCE: Duration = Duration::from_secs(30);
const KILLED_EVERY: u32 = 4;
/// What publishes and attempts come to before the disk fills.
const WINDOWS: usize = 16;

pub(super) fn play(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(why) = Small::missing() {
        return skip("full", &why);
    }
    let mut trial = Trial::prepare("full", arguments, None, &[])?;
    let disk = Small::mount(&trial.folder, DISK_BYTES)?;
    trial.start.folder = disk.path().join("data");
    trial.start()?;
    trial.make_endpoints()?;
    while trial.goes_on(arguments.cycles) {
        let told = fill_and_free(&mut trial, &disk)?;
        trial.cycle(&told)?;
    }
    trial.finish_on(disk)
}

fn fill_and_free(trial: &mut Trial, disk: &Small) -> anyhow::Result<String> {
    trial.books.set_manner(Manner::Refuses);
    let tcp = trial.subject()?.tcp;
    Load::burst(tcp, &trial.books, WINDOWS);
    let owed = trial.books.owed();
    disk.fill(LEFT)?;
    let refusal = refusal(trial)?;
    what_the_operator_sees(trial)?;
    // Deliveries go on, and are recorded in what is left.
    trial.books.set_manner(Manner::Takes);
    let delivered = until("deliveries to go on", || Ok(trial.books.owed() == 0));
    delivered.with_context(|| what_it_says(trial, disk))?;
    disk.fill(0)?;
    let ledger = trial.subject()?.said().has("the ledger failed");
    let killed = (trial.cycles() + 1).is_multiple_of(KILLED_EVERY);
    if killed {
        trial.end_life(None)?;
    }
    disk.free()?;
    let freed = Instant::now();
    if killed {
        trial.start()?;
    }
    let tcp = trial.subject()?.tcp;
    let before = trial.books.totals().acknowledged;
    until("publishers to be accepted again", || {
        Load::burst(tcp, &trial.books, 1);
        Ok(trial.books.totals().acknowledged > before)
    })?;
    let again = freed.elapsed();
    let subject = trial.subject()?;
    until("the engine to be ready", || Ok(subject.unready()?.is_none()))?;
    if ledger && !killed {
        // It had no room either. It comes back like the rest, by itself.
        until("the ledger to be rebuilt", || Ok(subject.metric("posthaste_ledger_failed")? == 0))?;
        ensure!(
            subject.said().has("the ledger was rebuilt"),
            "the log does not say it: {}",
            subject.said().all()
        );
    }
    let how = match (killed, ledger) {
        (true, _) => "killed while full, ",
        (false, true) => "the ledger failed and was rebuilt, ",
        (false, false) => "",
    };
    Ok(format!(
        "{owed} owed when it was full ({refusal}), {how}all delivered; accepted {again:.0?} after it was freed"
    ))
}

/// For whoever has to find out why.
fn what_it_says(trial: &Trial, disk: &Small) -> String {
    let Some(subject) = &trial.subject else { return "no engine".to_owned() };
    let pending = subject.metric("posthaste_deliveries_pending").unwrap_or(0);
    let (owed, left) = (trial.books.owed(), disk.available().unwrap_or(0));
    format!(
        "{owed} owed, {pending} pending, {left} bytes left on the disk; it said:\n{}",
        subject.said().all()
    )
}

fn refusal(trial: &mut Trial) -> anyhow::Result<String> {
    let tcp = trial.subject()?.tcp;
    let mut last = None;
    until("publishers to be refused", || {
        last = Load::burst(tcp, &trial.books, 1);
        Ok(last.is_some())
    })?;
    let refusal = last.unwrap_or_default();
    ensure!(refusal.starts_with("OOM "), "a full disk was answered: {refusal}");
    Ok(refusal)
}

fn what_the_operator_sees(trial: &mut Trial) -> anyhow::Result<()> {
    let subject = trial.subject()?;
    let (unready, metric) = (subject.unready()?, subject.metric("posthaste_disk_full")?);
    ensure!(unready.as_deref() == Some("disk_full"), "health/ready says {unready:?}");
    ensure!(metric == 1, "posthaste_disk_full is {metric}");
    ensure!(
        subject.said().has("publishers are refused"),
        "the log does not say it: {}",
        subject.said().all()
    );
    Ok(())
}

/// Asks until it is so.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let began = Instant::now();
    while !is_so()? {
        ensure!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
