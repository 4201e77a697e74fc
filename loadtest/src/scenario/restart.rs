//! `restart`: `kill -9` under full load, and start again: how soon is the next delivery, and is everything there?
//!
//! Messages that were sent and not acknowledged may be there or not. Deliveries whose attempt was under way, or not yet
//! recorded, come again; how many is counted.

use std::time::{Duration, Instant};

use super::Context;
use super::context::Set;
use crate::report::Figure;
use crate::run::{Extent, Pace, interrupt};

const KILLS: u32 = 5;
const MS: &str = "ms";
/// How long a receiver may take to read what was under way.
const QUIET: Duration = Duration::from_millis(20);
const FIRST_DELIVERY_PATIENCE: Duration = Duration::from_secs(60);
/// What a restart with ten million pending deliveries may take.
const FIRST_DELIVERY_MS_MAX: f64 = 10_000.0;

pub(super) fn play(context: &mut Context<'_>) -> anyhow::Result<()> {
    let plan = context.plan(100);
    let mut set = context.set(&plan, &[])?;
    let (mut accepting, mut first, mut all, mut again) = (vec![], vec![], vec![], vec![]);
    let kills = context.runs(KILLS);
    for kill in (0..kills).take_while(|_| !interrupt::is_requested()) {
        // Not always at the same moment of whatever the engine does regularly.
        let after = context.seconds(2) + Duration::from_millis(370) * kill;
        let killed = kill_under_load(&mut set, after)?;
        accepting.push(ms(killed.accepting_after));
        first.push(ms(killed.first_delivery_after));
        all.push(ms(killed.all_received_after));
        again.push(killed.again as f64);
    }
    context.strike(set);
    let report = &mut context.report;
    report.fact("killed", format!("{kills} times under full load"));
    report.figure(Figure::many("start to accepting", MS, accepting));
    report.figure(Figure::many("start to first delivery", MS, first).at_most(FIRST_DELIVERY_MS_MAX));
    report.figure(Figure::many("start to everything received", MS, all));
    report.figure(Figure::many("deliveries that came again, per kill", "", again));
    let unaccounted = report.verdict.as_ref().map_or(0, crate::run::Verdict::unaccounted);
    report.figure(Figure::one("unaccounted", "", unaccounted as f64).at_most(0.0));
    Ok(())
}

/// What came of a kill.
struct Killed {
    accepting_after: Duration,
    first_delivery_after: Duration,
    all_received_after: Duration,
    again: u64,
}

fn kill_under_load(set: &mut Set, after: Duration) -> anyhow::Result<Killed> {
    let again_before = set.stage.account().totals().again;
    let (stage, engine) = (&mut set.stage, &mut set.engine);
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| stage.publish(Pace::Full, Extent::For(10 * after)));
        std::thread::sleep(after);
        engine.kill();
        publishing.join().map(drop).map_err(|_| anyhow::anyhow!("the publisher panicked"))
    })?;
    stage.engine_was_killed();
    let before = quiet(set);
    let began = Instant::now();
    let accepting_after = set.engine.start_again()?;
    let first_delivery_after = first_delivery(set, before, began);
    set.stage.connect(&set.engine)?;
    set.stage.await_receipts(set.stage.plan().limits.patience);
    let all_received_after = began.elapsed();
    let again = set.stage.account().totals().again - again_before;
    Ok(Killed { accepting_after, first_delivery_after, all_received_after, again })
}

/// Receipts so far, when the receiver has read what was still under way.
fn quiet(set: &Set) -> u64 {
    let mut seen = receipts(set);
    loop {
        std::thread::sleep(QUIET);
        let now = receipts(set);
        if now == seen {
            return seen;
        }
        seen = now;
    }
}

fn first_delivery(set: &Set, before: u64, began: Instant) -> Duration {
    while receipts(set) == before && began.elapsed() < FIRST_DELIVERY_PATIENCE {
        std::thread::sleep(Duration::from_micros(200));
    }
    began.elapsed()
}

fn receipts(set: &Set) -> u64 {
    let totals = set.stage.account().totals();
    totals.once + totals.again
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
