//! `flip`: one bit of a data folder is turned, or one of its files cut off, and the engine started on it.
//!
//! It refuses and says why; or everything that is pending arrives; or what does not arrive has been said to be lost.
//! Nothing else is allowed, and never a wrong byte at a receiver (I5).
//!
//! The folder has a closed segment and an open one, pending messages in both, and a ledger and a catalog that are
//! believed. Three in four times the damage is in the log, at places that go through it evenly; else anywhere. Every
//! eighth time a file is cut off.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::Arguments;
use super::books::{Copied, Manner};
use super::full::until;
use super::load::Load;
use super::subject::{Started, Subject};
use super::trial::{Trial, copy_folder};

/// Windows that are delivered, between two that stay pending: more than a segment.
const WINDOWS: usize = 44;
const PENDING: u64 = 64;
/// How long what is pending may take to come.
const PATIENCE: Duration = Duration::from_secs(5);
/// What it says when something of the log is lost.
const LOSSES: [&str; 3] = ["damaged", "was cut off", "cannot be read"];

#[derive(Debug, Default)]
struct Tally {
    refused: u32,
    harmless: u32,
    said: u32,
}

pub(super) fn play(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut trial = Trial::begin("flip", arguments, None, &[])?;
    let (template, copied) = template(&mut trial)?;
    let files = files(&template)?;
    let mut tally = Tally::default();
    let stride = trial.random.draw() | 1;
    while trial.goes_on(arguments.cycles) {
        trial.books.restore(&copied);
        let _ = fs::remove_dir_all(&trial.start.folder);
        copy_folder(&template, &trial.start.folder)?;
        let what = damage(&mut trial, &files, stride)?;
        let end = start(&mut trial, &what, &mut tally)?;
        trial.end_life(None)?;
        trial.cycle(&format!("{what}: {end}"))?;
    }
    trial.fact(format!("{} files; {tally:?}", files.len()));
    trial.books.restore(&copied);
    let _ = fs::remove_dir_all(&trial.start.folder);
    copy_folder(&template, &trial.start.folder)?;
    trial.start()?;
    trial.finish()
}

/// Makes the folder that is damaged again and again, and the books that go with it.
fn template(trial: &mut Trial) -> anyhow::Result<(PathBuf, Copied)> {
    let tcp = trial.subject()?.tcp;
    trial.books.refuse_below(PENDING);
    Load::burst(tcp, &trial.books, 1);
    Load::burst(tcp, &trial.books, WINDOWS);
    until("most to be delivered", || Ok(trial.books.owed() == PENDING))?;
    trial.books.set_manner(Manner::Refuses);
    let before = trial.books.totals().requests;
    Load::burst(tcp, &trial.books, 1);
    until("the last to be refused", || Ok(trial.books.totals().requests >= before + PENDING))?;
    let subject = trial.subject.take().context("no engine")?;
    let status = subject.stop()?;
    anyhow::ensure!(status.success(), "it ended with {status}");
    trial.end_life(None)?;
    trial.books.refuse_below(0);
    trial.books.set_manner(Manner::Takes);
    let template = trial.folder.join("template");
    fs::rename(&trial.start.folder, &template)?;
    Ok((template, trial.books.copy()))
}

/// Files that are worth damaging, below the folder, those of the log first.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.metadata()?.len() > 0 {
                found.push(entry.path().strip_prefix(folder)?.to_owned());
            }
        }
    }
    found.sort_by_key(|path| (!path.starts_with("log"), path.clone()));
    Ok(found)
}

fn damage(trial: &mut Trial, files: &[PathBuf], stride: u64) -> anyhow::Result<String> {
    let cycle = u64::from(trial.cycles());
    let of_log = files.iter().filter(|path| path.starts_with("log")).count() as u64;
    let in_log = !cycle.is_multiple_of(4) && of_log > 0;
    let file = if in_log { cycle % of_log } else { trial.random.below(files.len() as u64) };
    let file = &files[file as usize];
    let path = trial.start.folder.join(file);
    let mut bytes = fs::read(&path)?;
    // Behind its content a file may be zeros, which nobody reads.
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(bytes.len(), |last| last + 1) as u64;
    let at = if in_log { cycle.wrapping_mul(stride) % used } else { trial.random.below(used) };
    if cycle % 8 == 7 {
        bytes.truncate(at as usize);
        fs::write(&path, bytes)?;
        return Ok(format!("{} cut off at {at}", file.display()));
    }
    let bit = trial.random.below(8);
    bytes[at as usize] ^= 1 << bit;
    fs::write(&path, bytes)?;
    Ok(format!("bit {bit} of byte {at} of {} turned", file.display()))
}

fn start(trial: &mut Trial, what: &str, tally: &mut Tally) -> anyhow::Result<String> {
    match trial.start.start()? {
        Started::Ended { status, said } => {
            tally.refused += 1;
            if status.code() != Some(1) || said.has("panicked at") {
                trial.books.breach(format!("{what}: it did not refuse cleanly: {status}: {}", said.all()));
            }
            Ok(format!("refused: {}", said.last()))
        }
        Started::Accepts(subject) => {
            let end = deliver(trial, &subject, what, tally);
            trial.subject = Some(subject);
            end
        }
    }
}

fn deliver(trial: &mut Trial, subject: &Subject, what: &str, tally: &mut Tally) -> anyhow::Result<String> {
    let until = Instant::now() + PATIENCE;
    while trial.books.owed() > 0 && Instant::now() < until {
        if subject.metric("posthaste_deliveries_pending")? == 0 && trial.books.owed() > 0 {
            // What was just answered is perhaps not entered yet.
            std::thread::sleep(Duration::from_millis(20));
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let owed = trial.books.owed();
    if owed == 0 {
        tally.harmless += 1;
        return Ok("everything arrived".to_owned());
    }
    let Some(line) = subject.said().line_with(&LOSSES) else {
        let said = subject.said().all();
        trial.books.breach(format!("I1: {what}: {owed} messages were lost and nothing was said: {said}"));
        return Ok(format!("{owed} lost silently"));
    };
    tally.said += 1;
    trial.books.write_off();
    Ok(format!("{owed} lost, and said: {line}"))
}
