//! `descriptors`: 256 open files, and more connections than that. Those that find no room are turned away; whoever is
//! in goes on, segments are begun and removed, and nothing is lost.

use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

use super::Arguments;
use super::books::Manner;
use super::trial::Trial;

const FILES: &str = "ulimit -n 256";
const CONNECTIONS: usize = 400;
const CONNECT_PATIENCE: Duration = Duration::from_millis(500);
const RUNNING: Duration = Duration::from_millis(1_500);

pub(super) fn play(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut trial = Trial::prepare("descriptors", arguments, None, &[])?;
    trial.start.first = Some(FILES.to_owned());
    trial.start()?;
    trial.make_endpoints()?;
    while trial.goes_on(arguments.cycles) {
        let load = trial.load()?;
        std::thread::sleep(RUNNING / 3);
        let (tcp, api) = (trial.subject()?.tcp, trial.subject()?.api);
        let before = trial.books.totals().acknowledged;
        let crowd: Vec<TcpStream> = (0..CONNECTIONS)
            .map_while(|number| {
                let door = if number % 2 == 0 { &tcp } else { &api };
                // Behind a door that nobody opens a queue forms, and then one waits outside.
                TcpStream::connect_timeout(door, CONNECT_PATIENCE).ok()
            })
            .collect();
        trial.books.set_manner(Manner::Refuses);
        std::thread::sleep(RUNNING);
        trial.books.set_manner(Manner::Takes);
        std::thread::sleep(RUNNING);
        let meanwhile = trial.books.totals().acknowledged - before;
        if meanwhile == 0 {
            let refusal = load.take_refusal();
            trial.books.breach(format!("nothing was accepted in a crowd; the last refusal: {refusal:?}"));
        }
        let connected = crowd.len();
        drop(crowd);
        load.stop();
        if trial.subject()?.has_ended()?.is_some() {
            let said = trial.subject()?.said().all();
            trial.books.breach(format!("it ended by itself: {said}"));
            break;
        }
        let drained = trial.drain()?;
        let poisoned = trial.subject()?.metric("posthaste_log_poisoned")?;
        if poisoned != 0 {
            let said = trial.subject()?.said().all();
            trial.books.breach(format!("the log stopped for want of descriptors: {said}"));
        }
        trial.watch_memory();
        trial.cycle(&format!(
            "{connected} connections; {meanwhile} accepted meanwhile; everything arrived: {drained}"
        ))?;
    }
    trial.finish()
}
