//! `power`: the power is cut under full load, and every fourth time once more while the engine recovers.
//!
//! The process is stopped at the instant before, and never goes on: where there is no power, nobody acknowledges anything. One
//! that lives on would, for the kernel is not to be believed then: a sync that is under way while a file system is shut
//! down can succeed and have saved nothing (in 1 of 60 cuts of ext4 on Linux 6.18, by a program of ten lines that
//! appends and syncs). What the engine does on a disk that fails is tried by `io`.

use std::process::ExitCode;
use std::time::Duration;

use super::Arguments;
use super::trial::Trial;
use super::volume::{Volume, skip};

const SOONEST: Duration = Duration::from_millis(30);
const LATEST: Duration = Duration::from_millis(1_500);
const LATEST_FAST: Duration = Duration::from_millis(400);
const RECOVERY_EVERY: u32 = 4;
const RECOVERY_LATEST: Duration = Duration::from_millis(80);

pub(super) fn play(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let file_system = arguments.file_system.as_str();
    if let Some(why) = Volume::missing(file_system) {
        return skip("power", &why);
    }
    let mut trial = Trial::prepare("power", arguments, None, &[])?;
    let mut volume = Volume::make(&trial.folder, file_system)?;
    trial.start.folder = volume.path().join("data");
    trial.fact(format!("file system: {file_system}"));
    trial.start()?;
    trial.make_endpoints()?;
    while trial.goes_on(arguments.cycles) {
        let latest = if arguments.fast { LATEST_FAST } else { LATEST };
        let after = trial.random.between(SOONEST, latest);
        let load = trial.load()?;
        std::thread::sleep(after);
        trial.subject()?.freeze()?;
        volume.cut()?;
        trial.books.power_off();
        let open = trial.end_life(Some(load))?;
        volume.restore()?;
        if (trial.cycles() + 1).is_multiple_of(RECOVERY_EVERY) {
            let soon = trial.random.between(Duration::ZERO, RECOVERY_LATEST);
            let mut cut = Ok(());
            trial.start.start_and_kill(soon, || cut = volume.cut())?;
            cut?;
            // It may have delivered something before it accepted: that was a life too.
            trial.end_life(None)?;
            volume.restore()?;
        }
        let took = trial.start()?;
        trial.cycle(&format!("power cut after {after:.0?}, {open} open; accepting after {took:.0?}"))?;
    }
    trial.finish_on(volume)
}
