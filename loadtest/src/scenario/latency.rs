//! `latency`: from acknowledged to received, at rates that leave the engine room.
//!
//! Three rates: 300 a second, 5,000 a second, and half of what it can do at most, measured first. The message is due
//! when the schedule says so, however long the one before took. Beside it stands what cannot be beaten: one sync of
//! the disk, and what the receiver takes for itself when a plain client asks it one request at a time.

use std::path::Path;

use anyhow::Context as _;

use super::context::{Set, each};
use super::{Context, sync_probe};
use crate::compare::client::{self, Kind};
use crate::report::{Figure, Report};
use crate::run::{Extent, Measured, Pace, describe, interrupt, plots};

const RUNS: u32 = 5;
const SECONDS: u64 = 10;
/// The rate that has limits of its own.
const CALM: f64 = 300.0;
const BUSY: f64 = 5_000.0;
const P50_US_MAX: f64 = 300.0;
const P99_US_MAX: f64 = 1_000.0;
const SYNCS: usize = 500;
const REQUESTS: u64 = 20_000;

pub(super) fn play(context: &mut Context<'_>) -> anyhow::Result<()> {
    let plan = context.plan(100);
    let mut set = context.set(&plan, &[])?;
    let best = set.play("the best rate", Pace::Full, Extent::For(context.seconds(10)))?.received_per_second();
    let p99_max = floor(&mut context.report, &set)?;
    let facts = describe(&plan).into_iter().filter(|(name, _)| name == "message" || name == "endpoints");
    context.report.facts.extend(facts);
    context.report.figure(Figure::one("best rate", "1/s", best));
    let half = (best / 2.0).max(1.0).round();
    for (name, rate) in [("300/s", CALM), ("5,000/s", BUSY), ("half of the best rate", half)] {
        let plays = at_rate(context, &mut set, name, rate)?;
        tell(&mut context.report, name, rate, &plays, p99_max);
    }
    context.strike(set);
    Ok(())
}

/// What no engine could beat here, told; and the p99 that is allowed in view of it.
fn floor(report: &mut Report, set: &Set) -> anyhow::Result<f64> {
    let folder = set.engine.folder().map(Path::to_owned).context("an engine with a folder of its own")?;
    let sync_us = sync_probe::median_us(&folder, SYNCS)?;
    let own_us = client::run(Kind::LowLevel, set.stage.receiver(), REQUESTS, 1)?.p99_us;
    report.figure(Figure::one("append 4 KiB and sync, median", "us", sync_us));
    report.figure(Figure::one("receiver's own p99", "us", own_us));
    Ok(3.0 * sync_us + own_us)
}

fn at_rate(context: &mut Context<'_>, set: &mut Set, name: &str, rate: f64) -> anyhow::Result<Vec<Measured>> {
    let (runs, time) = (context.runs(RUNS), context.seconds(SECONDS));
    context.report.fact(name, format!("{runs} runs of {} s, open loop", time.as_secs_f64()));
    let mut plays = Vec::new();
    for run in 1..=runs {
        plays.push(set.play(&format!("{name}, {run} of {runs}"), Pace::Steady(rate), Extent::For(time))?);
        if interrupt::is_requested() {
            break;
        }
    }
    Ok(plays)
}

fn tell(report: &mut Report, name: &str, rate: f64, plays: &[Measured], p99_max: f64) {
    let latency = |play: &Measured| play.receipts.since_acknowledged.percentiles();
    let p50 = Figure::many(format!("p50 at {name}"), "us", each(plays, |play| latency(play).p50_us));
    let p99s = each(plays, |play| latency(play).p99_us);
    let p99 = |what: &str| Figure::many(format!("p99 at {name}{what}"), "us", p99s.clone());
    if rate <= CALM {
        report.figure(p50.at_most(P50_US_MAX));
        report.figure(p99("").at_most(P99_US_MAX));
    } else {
        report.figure(p50);
    }
    report.figure(p99(", 3 syncs and the receiver's own").at_most(p99_max));
    let received = each(plays, Measured::received_per_second);
    report.figure(Figure::many(format!("received at {name}"), "1/s", received));
    let Some(last) = plays.last() else { return };
    report.latencies.push((format!("{name}: acknowledged to received, last run"), latency(last)));
    let since_due = last.receipts.since_publish.percentiles();
    report.latencies.push((format!("{name}: due to received, last run"), since_due));
    report.plots.extend(plots(last).into_iter().filter(|plot| plot.title.starts_with("Latency")).map(
        |mut plot| {
            plot.title = format!("{}, {name}", plot.title);
            plot
        },
    ));
}
