//! `memory`: a limit on memory that is too small, drawn anew each time, under load with receivers that hang. The
//! kernel kills the engine, or it bears it; either way nothing is lost.
//!
//! As root in a control group (version 1 or 2); else the limit is on addresses (RLIMIT_AS), and an allocation fails.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use super::Arguments;
use super::books::Manner;
use super::subject::Started;
use super::trial::Trial;

const MIB: u64 = 1 << 20;
/// From hardly enough for a start, to enough.
const LIMIT_MIB: std::ops::Range<u64> = 56..176;
/// Threads and allocator reserve addresses that they do not use.
const ADDRESSES_MIB: u64 = 700;
const RUNNING: Duration = Duration::from_millis(1_200);

/// What holds the engine down.
struct Limit {
    group: Option<PathBuf>,
}

pub(super) fn play(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut trial = Trial::begin("memory", arguments, None, &[])?;
    let limit = Limit::find(arguments.seed);
    let (mut killed, mut bore) = (0, 0);
    trial.fact(
        limit
            .group
            .as_ref()
            .map_or("limit: RLIMIT_AS".to_owned(), |group| format!("limit: {}", group.display())),
    );
    trial.end_life(None)?;
    while trial.goes_on(arguments.cycles) {
        let mib = LIMIT_MIB.start + trial.random.below(LIMIT_MIB.end - LIMIT_MIB.start);
        let mut start = trial.start.clone();
        start.first = Some(limit.first(mib)?);
        let end = match start.start()? {
            Started::Ended { status, said } => {
                // By a signal, or with a sentence; anything else is not the limit's doing.
                if status.signal().is_none() && status.code() != Some(1) {
                    trial.books.breach(format!("{mib} MiB: {status}: {}", said.all()));
                }
                format!("it did not start: {status}")
            }
            Started::Accepts(subject) => {
                trial.follow(subject);
                load(&mut trial)?
            }
        };
        match end.is_empty() {
            true => bore += 1,
            false => killed += 1,
        }
        trial.end_life(None)?;
        trial.start()?;
        let drained = trial.drain()?;
        let end = if end.is_empty() { "it bore it".to_owned() } else { end };
        trial.cycle(&format!("{mib} MiB: {end}; everything arrived: {drained}"))?;
        trial.end_life(None)?;
    }
    trial.fact(format!("killed {killed} times, bore it {bore} times"));
    trial.start()?;
    trial.finish()
}

/// Load with receivers that hang for a time. How the engine ended; empty if it lives.
fn load(trial: &mut Trial) -> anyhow::Result<String> {
    let load = trial.load()?;
    trial.books.set_manner(Manner::Hangs);
    std::thread::sleep(RUNNING);
    trial.books.set_manner(Manner::Takes);
    std::thread::sleep(RUNNING / 2);
    let ended = trial.subject()?.has_ended()?;
    trial.subject()?.signal(rustix::process::Signal::KILL).or_else(|error| ended.map(drop).ok_or(error))?;
    load.stop();
    Ok(ended.map_or(String::new(), |status| format!("it ended: {status}")))
}

impl Limit {
    fn find(seed: u64) -> Self {
        let name = super::subject::folder_name("memory", seed);
        let roots = [Path::new("/sys/fs/cgroup/memory"), Path::new("/sys/fs/cgroup")];
        let group = roots.into_iter().map(|root| root.join(&name)).find(|group| {
            let made = std::fs::create_dir(group).is_ok();
            let is_limit = group.join("memory.max").exists() || group.join("memory.limit_in_bytes").exists();
            if made && !is_limit {
                // A folder that cannot limit memory is of no use.
                let _ = std::fs::remove_dir(group);
            }
            made && is_limit
        });
        Self { group }
    }

    /// What is to be done in the process before it becomes the engine.
    fn first(&self, mib: u64) -> anyhow::Result<String> {
        let Some(group) = &self.group else {
            return Ok(format!("ulimit -v {}", (ADDRESSES_MIB + mib) << 10));
        };
        let files = ["memory.max", "memory.limit_in_bytes"].map(|name| group.join(name));
        let file = files.into_iter().find(|file| file.exists()).context("the control group's limit")?;
        std::fs::write(&file, (mib * MIB).to_string()).with_context(|| format!("{}", file.display()))?;
        Ok(format!("echo $$ > {}", group.join("cgroup.procs").display()))
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        if let Some(group) = &self.group {
            // It is empty, unless the kernel is slow to let go of the last process.
            let _ = std::fs::remove_dir(group);
        }
    }
}
