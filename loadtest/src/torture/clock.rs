//! `clock`: the time of day jumps, by seconds, an hour and a day, forward and back, while the engine runs and from one
//! start to the next.
//!
//! The schedule is on a clock that cannot be set: no retry comes early (I2) and none stays away. Ids grow all the same.
//! What a start under a wrong clock has put off is made at a start under the right one.

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
        let right = trial.drain()?;
        trial.cycle(&format!(
            "{jump} s while running, everything arrived: {running}; {at_start} s at a start, and under the right clock: {right}"
        ))?;
        if !running || !right {
            trial.books.breach(format!("deliveries stayed away after {jump} s, or {at_start} s at a start"));
        }
    }
    trial.finish()
}
