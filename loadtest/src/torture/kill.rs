//! `kill`: SIGKILL at a random moment under full load; every fourth time once more while it recovers.

use std::process::ExitCode;
use std::time::Duration;

use super::Arguments;
use super::trial::Trial;

const SOONEST: Duration = Duration::from_millis(50);
const LATEST: Duration = Duration::from_millis(3_000);
/// With `--fast`: more kills in the same time.
const LATEST_FAST: Duration = Duration::from_millis(400);
/// A recovery is killed too, every so many cycles, before this.
const RECOVERY_EVERY: u32 = 4;
const RECOVERY_LATEST: Duration = Duration::from_millis(80);

pub(super) fn play(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut trial = Trial::begin("kill", arguments, None, &[])?;
    let latest = if arguments.fast { LATEST_FAST } else { LATEST };
    while trial.goes_on(arguments.cycles) {
        let after = trial.random.between(SOONEST, latest);
        let load = trial.load()?;
        std::thread::sleep(after);
        let open = trial.end_life(Some(load))?;
        if (trial.cycles() + 1).is_multiple_of(RECOVERY_EVERY) {
            let soon = trial.random.between(Duration::ZERO, RECOVERY_LATEST);
            trial.start.start_and_kill(soon, || ())?;
            // It may have delivered something before it accepted: that was a life too.
            trial.end_life(None)?;
        }
        let took = trial.start()?;
        trial.cycle(&format!("killed after {after:.0?}, {open} open; accepting after {took:.0?}"))?;
    }
    trial.finish()
}
