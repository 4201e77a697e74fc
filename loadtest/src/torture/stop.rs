//! `stop`: the process is stopped for 30 seconds under load (SIGSTOP), as a machine that is suspended or starved does
//! it, and goes on.
//!
//! Attempts that were under way have run out of time when it wakes up, and are rightly made again: no more than were in
//! flight.

use std::process::ExitCode;
use std::time::Duration;

use rustix::process::Signal;

use super::Arguments;
use super::trial::Trial;

const STOPPED: Duration = Duration::from_secs(30);
const STOPPED_FAST: Duration = Duration::from_secs(4);
/// Shorter than any stop.
const TIMEOUT: &str = "2s";
const RUNNING: Duration = Duration::from_millis(700);
/// Attempts in flight, over all shards.
const IN_FLIGHT_MAX: u64 = 128;

pub(super) fn play(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let timeouts = ["total", "connect", "first_byte"].map(|phase| format!("delivery.timeout_{phase}"));
    let settings = timeouts.each_ref().map(|key| (key.as_str(), TIMEOUT));
    let mut trial = Trial::begin("stop", arguments, None, &settings)?;
    trial.books.be_lenient();
    let stopped = if arguments.fast { STOPPED_FAST } else { STOPPED };
    while trial.goes_on(arguments.cycles) {
        let before = trial.books.totals().given_up;
        let load = trial.load()?;
        std::thread::sleep(trial.random.between(RUNNING / 4, RUNNING));
        trial.subject()?.signal(Signal::STOP)?;
        std::thread::sleep(stopped);
        trial.subject()?.signal(Signal::CONT)?;
        std::thread::sleep(RUNNING);
        load.stop();
        let drained = trial.drain()?;
        let again = trial.books.totals().given_up - before;
        if again > IN_FLIGHT_MAX {
            trial.books.breach(format!(
                "I3: {again} came again after a stop; {IN_FLIGHT_MAX} were in flight at most"
            ));
        }
        trial.watch_memory();
        trial
            .cycle(&format!("stopped for {stopped:?}; {again} made again; everything arrived: {drained}"))?;
    }
    trial.finish()
}
