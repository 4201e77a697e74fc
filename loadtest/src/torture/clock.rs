//! `clock`: the time of day jumps, by seconds, an hour and a day, forward and back, while the engine runs and from one
//! start to the next.
//!
//! The schedule is on a clock that cannot be set: no retry comes early (I2) and none stays away. Ids grow all the same.
//! What a start under a clock that is ahead has put off is still pending under the right one, and made when that gets there.

use std::process::ExitCode;
use std::time::Duration;

use super::Arguments;
use super::shim::Shim;
use super::trial::Trial;
use super::volume::skip;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const JUMPS: [i64; 6] = [HOUR, -HOUR, DAY, -DAY, -5, 0];
const RUNNING: Duration = Duration::from_millis(600);

pub(super) fn play(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(why) = Shim::missing() {
        return skip("clock", &why);
    }
    let mut trial = Trial::prepare("clock", arguments, None, &[])?;
    let shim = Shim::compile(&trial.folder, "clock", include_str!("clock.c"))?;
    trial.start.variables = shim.variables();
    trial.start()?;
    trial.make_endpoints()?;
    while trial.goes_on(arguments.cycles) {
        let jump = JUMPS[trial.cycles() as usize % JUMPS.len()];
        let load = trial.load()?;
        std::thread::sleep(RUNNING);
        shim.set(0, jump)?;
        std::thread::sleep(RUNNING * 2);
        load.stop();
        let running = trial.drain()?;
        // And from one start to the next, with retries under way.
        let at_start = JUMPS[trial.random.below(JUMPS.len() as u64) as usize];
        let load = trial.load()?;
        std::thread::sleep(RUNNING);
        trial.end_life(Some(load))?;
        shim.set(0, at_start)?;
        trial.start()?;
        let load = trial.load()?;
        std::thread::sleep(RUNNING);
        trial.end_life(Some(load))?;
        shim.set(0, 0)?;
        trial.start()?;
        let put_off = if at_start > 0 { await_then(&mut trial, &shim, at_start)? } else { 0 };
        let right = trial.drain()?;
        trial.cycle(&format!(
            "{jump} s while running, everything arrived: {running}; {at_start} s at a start, {put_off} put off by as much; \
             then everything arrived: {right}"
        ))?;
        if !running || !right {
            trial.books.breach(format!("deliveries stayed away after {jump} s, or {at_start} s at a start"));
        }
    }
    trial.finish()
}

/// Retries were put off under a clock that was ahead. Now it is right, and they are still pending; then the time comes.
/// How many there were.
fn await_then(trial: &mut Trial, shim: &Shim, ahead: i64) -> anyhow::Result<u64> {
    // Longer than any other retry waits.
    std::thread::sleep(RUNNING * 3);
    let (owed, pending) = (trial.books.owed(), trial.subject()?.metric("posthaste_deliveries_pending")?);
    if owed > pending {
        trial.books.breach(format!("I1: {owed} are owed, and {pending} are pending"));
    }
    trial.end_life(None)?;
    shim.set(0, ahead)?;
    trial.start()?;
    trial.drain()?;
    trial.end_life(None)?;
    shim.set(0, 0)?;
    trial.start()?;
    Ok(owed)
}
