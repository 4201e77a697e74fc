//! `idle`: an engine that has worked and has nothing to do now does nothing.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::Context;
use crate::engine::wake_ups;
use crate::report::Figure;
use crate::run::{Extent, Numbers, Pace, Plan, interrupt};

const SECONDS: u64 = 30;
const ENDPOINTS: u32 = 1_000;
const CORE_PERCENT_MAX: f64 = 0.5;
const STEP: Duration = Duration::from_millis(100);

pub(super) fn play(context: &mut Context<'_>) -> anyhow::Result<()> {
    let plan = context.plan(100);
    let numbers = Numbers { endpoints: ENDPOINTS, applications: 10, ..plan.numbers };
    let plan = Plan { numbers, ..plan };
    let mut set = context.cold_set(&plan, &[])?;
    // Connections are open and everything has been used once.
    set.play("something to do", Pace::Full, Extent::Messages(20_000))?;
    // The ledger writes what it has gathered, and connections that are idle are closed.
    rest(context.seconds(30));
    let pid = set.engine.pid().context("an engine of its own")?;
    let (before, wakes_before, began) = (set.engine.reading()?, wake_ups(pid)?, Instant::now());
    rest(context.seconds(SECONDS));
    let (after, wakes, elapsed) = (set.engine.reading()?, wake_ups(pid)?, began.elapsed().as_secs_f64());
    let busy = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    let report = &mut context.report;
    report.fact("endpoints", format!("{ENDPOINTS} on 100 hosts, after 20,000 messages"));
    report.fact("watched for", format!("{elapsed:.0} s"));
    report.figure(Figure::one("share of a core", "%", 100.0 * busy / elapsed).at_most(CORE_PERCENT_MAX));
    report.figure(Figure::one(
        "wake-ups of all threads",
        "1/s",
        wakes.saturating_sub(wakes_before) as f64 / elapsed,
    ));
    context.strike(set);
    Ok(())
}

fn rest(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until && !interrupt::is_requested() {
        std::thread::sleep(STEP.min(until.saturating_duration_since(Instant::now())));
    }
}
