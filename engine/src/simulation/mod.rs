//! The simulator: the whole engine in one thread, with virtual time, on a machine that breaks, between people who
//! misbehave. Everything follows from one seed.
//!
//! ```text
//!   producers ==memory==> ingest, routing, writer, keeper, shards, delivery ==memory==> receivers
//!       |                      |                                                           |
//!       |                 simulated disk and shelves                                       |
//!       +---------------------------------> account <--------------------------------------+
//! ```
//!
//! What runs is production code: the same ingest connections, the same writer and keeper and shards, the same HTTP
//! client, recovery and log. Only their surroundings are not there: threads are tasks, sockets are buffers in memory,
//! the disk is `posthaste_storage::disk::sim`, sled is a map with the same bad habits, and the clock jumps to the next
//! moment at which something happens. So three days pass in milliseconds.
//!
//! Whatever goes wrong is in `plan`, counted in `fault`. What was promised and what came of it is in `account`, which
//! asks nobody inside. A violation comes with its seed, and the seed does it again.
//!
//! Not simulated: TLS, HTTP/2, the HTTP API, threads that race each other (loom and the real binary are for those).

mod account;
mod dice;
mod fault;
mod model;
mod operator;
mod plan;
mod process;
mod producer;
mod receiver;
mod shelves;
#[cfg(test)]
mod tests;
mod world;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Once, OnceLock};
use std::time::Duration;

use posthaste_storage::disk::Disk;
use posthaste_storage::disk::sim::{Crash, Operation};
use tokio::task::LocalSet;
use tokio::time::sleep;

pub use self::fault::{Fault, Faults};
use self::plan::{DiskTrouble, Ending, Event};
use self::process::Process;
use self::world::World;
use crate::config::Config;
use crate::delivery::DeliveryConfig;
use crate::engine;
use crate::recovery::Derived;
use crate::seam;
pub use crate::seam::Bug;

/// How long after everything is well again the last delivery must have ended: longer than any retry policy lasts, any
/// receiver asks to be left alone, and any message is to be delayed.
const ENDS_WITHIN_MS: u64 = 100 * 3_600_000;
/// How often it is looked whether everything has ended.
const LOOK_EVERY: Duration = Duration::from_secs(1_800);
/// A disk that is to stop after some operations gets so long to come to them.
const STOPS_WITHIN: Duration = Duration::from_secs(300);

/// What a run was like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages that producers got an id for.
    pub acknowledged: u64,
    /// Requests that came to receivers.
    pub requests: u64,
    /// Lives of the process.
    pub lives: u64,
    /// Simulated time, milliseconds.
    pub simulated_ms: u64,
    /// What went wrong on purpose.
    pub faults: Faults,
    /// The same for every run of the same seed.
    pub trace: u64,
}

impl Report {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.requests += other.requests;
        self.lives += other.lives;
        self.simulated_ms += other.simulated_ms;
        self.faults.add(&other.faults);
        self.trace ^= other.trace;
    }
}

/// Runs one seed, perhaps with something broken on purpose.
///
/// # Errors
/// What was promised and not kept, one line each.
pub fn run(seed: u64, planted: Option<Bug>) -> Result<Report, Vec<String>> {
    hear_panics();
    PANICS.with_borrow_mut(Vec::clear);
    let ran = catch_unwind(AssertUnwindSafe(|| {
        seam::plant(planted);
        simulate(seed)
    }));
    seam::end_simulation();
    // A task that panics ends alone, and its threads' counterparts would have ended the process.
    let panics = PANICS.with_borrow_mut(std::mem::take);
    match ran {
        Ok(ran) if panics.is_empty() => ran,
        _ => Err(panics),
    }
}

thread_local! {
    /// What panicked on this thread since its simulation began.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn hear_panics() {
    static HEARD: Once = Once::new();
    HEARD.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if seam::blocks_inline() {
                PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
            } else {
                before(panic);
            }
        }));
    });
}

/// Made once: it reads the certificates of the system, which no simulated receiver has.
fn delivery() -> DeliveryConfig {
    static DELIVERY: OnceLock<DeliveryConfig> = OnceLock::new();
    let make = || engine::delivery_of(&Config::shipped()).expect("the shipped settings are allowed");
    DELIVERY.get_or_init(make).clone()
}

fn simulate(seed: u64) -> Result<Report, Vec<String>> {
    let world = Rc::new(World::new(seed, delivery()));
    let mut lives = 0;
    while live(&world) {
        lives += 1;
        if world.is_violated() {
            break;
        }
    }
    let now = world.now_ms();
    let mut account = world.account();
    if account.violations.is_empty() {
        account.close(now);
    }
    if !account.violations.is_empty() {
        return Err(std::mem::take(&mut account.violations));
    }
    Ok(Report {
        acknowledged: account.messages.iter().filter(|message| message.acknowledged_ms.is_some()).count()
            as u64,
        requests: account.requests,
        lives: lives + 1,
        simulated_ms: now,
        faults: world.faults(),
        trace: world.trace_hash(),
    })
}

/// One life of the process, to its end. `false`: it was the last.
fn live(world: &Rc<World>) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without sockets needs nothing");
    let local = LocalSet::new();
    let ending = local.block_on(&runtime, async {
        world.begin_life();
        let ending = run_life(world).await;
        if ending.is_some_and(|ending| ending != Ending::Stop) {
            let now = world.now_ms();
            world.account().dies(now);
        }
        world.end_life();
        ending
    });
    drop(local);
    drop(runtime);
    if let Some(ending) = ending {
        end(world, ending);
    }
    ending.is_some()
}

/// What is left of disk and shelves.
fn end(world: &World, ending: Ending) {
    let now = world.now_ms();
    tracing::info!(now, ?ending, "simulation: the life ends");
    let (crash, fault) = match ending {
        Ending::Stop => (Crash::KeepUnsynced, Fault::Restarted),
        Ending::Kill => (Crash::KeepUnsynced, Fault::Killed),
        Ending::KillAfter(_) => (Crash::KeepUnsynced, Fault::KilledBetweenOperations),
        Ending::PowerCut => (Crash::LoseUnsynced, Fault::PowerCut),
        Ending::TornPowerCut => (Crash::KeepSome(world.dice.next()), Fault::PowerCutTornSectors),
        Ending::PowerCutAfter(_) => (Crash::KeepSome(world.dice.next()), Fault::PowerCutBetweenOperations),
    };
    world.count(fault);
    world.disk.crash(crash);
    match ending {
        Ending::Stop => world.shelves.heal(),
        Ending::Kill | Ending::KillAfter(_) => world.shelves.kill(&world.dice),
        Ending::PowerCut | Ending::TornPowerCut | Ending::PowerCutAfter(_) => world.shelves.cut_power(),
    }
    tidy(world);
    // The reserve that an operator makes while it is down.
    world.disk_well();
}

/// Somebody tidies up who does not know what is needed.
fn tidy(world: &World) {
    for (what, fault) in [(Derived::Ledger, Fault::LedgerDeleted), (Derived::Catalog, Fault::CatalogDeleted)]
    {
        if world.dice.one_in(16) {
            world.shelves.delete(what);
            world.count(fault);
        }
    }
    if world.dice.one_in(8) {
        let folder = Path::new(process::LOG_FOLDER);
        let files = world.disk.list(folder).expect("a disk that works");
        for file in files.iter().filter(|file| file.ends_with(".idx") && world.dice.one_in(2)) {
            world.disk.remove(&folder.join(file)).expect("a disk that works");
            world.count(Fault::IndexMissing);
        }
    }
}

/// `None` when everything has ended well.
async fn run_life(world: &Rc<World>) -> Option<Ending> {
    let is_first = world.model().is_empty();
    if !is_first && world.dice.one_in(8) {
        world.disk.cut_power_after(world.dice.between(0..=40));
    }
    let process = match Process::start(world) {
        Ok(process) => process,
        Err(_) if world.disk.is_off() => {
            world.count(Fault::CutDuringRecovery);
            return Some(world.dice.pick(&[Ending::PowerCutAfter(0), Ending::KillAfter(0)]));
        }
        Err(error) => {
            world.violation(format!("I6: does not start: {error}"));
            return None;
        }
    };
    // It may have been meant to break later than recovery lasts.
    world.disk.heal();
    match is_first {
        true => operator::set_up(world, &process).await,
        false => operator::look_around(world, &process),
    }
    for application in 0..world.plan.applications {
        tokio::task::spawn_local(producer::follow(world.clone(), process.port.clone(), application));
    }
    while let Some((at, event)) = world.next_event() {
        let wait = Duration::from_millis(at.saturating_sub(world.now_ms()));
        let happens = async {
            sleep(wait).await;
            world.event_has_happened();
            happen(world, &process, event).await
        };
        let ending = tokio::select! {
            biased;
            () = world.is_over.notified() => None,
            ending = happens => ending,
        };
        match ending {
            Some(Ending::Stop) => {
                process.stop().await;
                return ending;
            }
            Some(Ending::KillAfter(operations) | Ending::PowerCutAfter(operations)) => {
                world.disk.cut_power_after(operations);
                tokio::select! {
                    biased;
                    () = world.is_over.notified() => {}
                    () = sleep(STOPS_WITHIN) => {}
                }
                return ending;
            }
            Some(_) => return ending,
            None if world.is_violated() => return None,
            None => {}
        }
    }
    if process.parts.metrics.poisoned.get() != 0 {
        // Whoever watches it has seen that, and starts it again.
        return Some(Ending::Kill);
    }
    finish(world, process).await;
    None
}

async fn happen(world: &Rc<World>, process: &Process, event: Event) -> Option<Ending> {
    let now = world.now_ms();
    tracing::info!(now, ?event, "simulation");
    match event {
        Event::Publish { messages, manner } => {
            tokio::task::spawn_local(producer::publish(
                world.clone(),
                process.port.clone(),
                messages,
                manner,
            ));
        }
        Event::Host(host, mood) => world.set_host_mood(host, mood),
        Event::Endpoint(endpoint, mood) => world.set_mood(endpoint, mood),
        Event::Operate(deed, endpoint) => operator::operate(world, process, deed, endpoint).await,
        Event::Disk(trouble) => trouble_disk(world, trouble, now),
        // A log that has stopped records nothing, however well its disk is.
        Event::DiskWell if process.parts.metrics.poisoned.get() != 0 => {}
        Event::DiskWell => world.disk_well(),
        Event::LedgerFails { after, times } => {
            world.shelves.fail(after, times);
            world.count(Fault::LedgerFails);
        }
        Event::WallClock(by_ms) => world.jump(by_ms),
        Event::End(ending) => return Some(ending),
    }
    None
}

fn trouble_disk(world: &World, trouble: DiskTrouble, now: u64) {
    use std::io::ErrorKind;
    world.account().trouble_begins(now);
    let nth = world.dice.between(1..=4);
    let fault = match trouble {
        DiskTrouble::WriteFails => {
            world.disk.fail(Operation::Write, nth, ErrorKind::Other);
            Fault::WriteFails
        }
        DiskTrouble::ReadFails => {
            world.disk.fail(Operation::Read, nth, ErrorKind::Other);
            Fault::ReadFails
        }
        DiskTrouble::SyncFails => {
            world.disk.fail(Operation::Sync, nth, ErrorKind::Other);
            Fault::SyncFails
        }
        DiskTrouble::Full => {
            world.disk.set_capacity(Some(world.disk.used() + world.dice.between(0..=2_000)));
            Fault::DiskFull
        }
        DiskTrouble::Slow(ms) => {
            world.disk_ms.set(ms);
            Fault::DiskSlow
        }
    };
    world.count(fault);
}

/// Everything is well, and stays so: what is still pending must come to its end.
async fn finish(world: &Rc<World>, process: Process) {
    world.heal();
    world.shelves.heal();
    let deadline = world.plan.well_from_ms + ENDS_WITHIN_MS;
    tokio::task::spawn_local(producer::publish(world.clone(), process.port.clone(), 1, plan::Manner::Well));
    sleep(LOOK_EVERY).await;
    while !world.is_violated() && world.now_ms() < deadline {
        if world.account().open().is_empty() && process.parts.metrics.pending.get() == 0 {
            break;
        }
        sleep(LOOK_EVERY).await;
    }
    let pending = process.parts.metrics.pending.get();
    if pending != 0 && world.account().open().is_empty() && !world.is_violated() {
        world.violation(format!("{pending} deliveries are said to be pending, and none is"));
    }
    operator::ask_about_open(world, &process).await;
    process.stop().await;
}
