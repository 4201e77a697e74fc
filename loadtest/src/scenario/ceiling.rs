//! `ceiling`: how fast it goes, and what a delivery costs. `fan-out`: the same with one message to a hundred endpoints,
//! so that its payload is stored once for all of them.

use super::Context;
use super::context::{each, rate_and_cpu};
use crate::report::Figure;
use crate::run::{Numbers, Plan, describe, plots};

const RUNS: u32 = 5;
const SECONDS: u64 = 10;
const WRITTEN_BYTES_MAX: f64 = 1.5 * 1_024.0;
/// What was the end-to-end target of a minute, in a second.
const PER_SECOND: f64 = 50_000.0;

pub(super) fn play(context: &mut Context<'_>) -> anyhow::Result<()> {
    let plan = context.plan(100);
    measure(context, &plan, Some(WRITTEN_BYTES_MAX))
}

pub(super) fn fan_out(context: &mut Context<'_>) -> anyhow::Result<()> {
    let plan = context.plan(100);
    let numbers = Numbers { fan_out: 100, applications: 1, ..plan.numbers };
    measure(context, &Plan { numbers, ..plan }, None)
}

fn measure(context: &mut Context<'_>, plan: &Plan, written_max: Option<f64>) -> anyhow::Result<()> {
    let mut set = context.set(plan, &[])?;
    let (runs, time) = (context.runs(RUNS), context.seconds(SECONDS));
    let plays = context.plays("full speed,", &mut set, runs, time)?;
    context.strike(set);
    let report = &mut context.report;
    report.facts.extend(describe(plan).into_iter().filter(|(name, _)| name != "extent"));
    report.fact("runs", format!("{runs} of {} s", time.as_secs_f64()));
    let [rate, cpu @ ..] = rate_and_cpu("", &plays);
    report.figure(rate.at_least(PER_SECOND));
    report.figures.extend(cpu);
    let written = each(&plays, |play| play.per_delivery(play.written_bytes as f64));
    let written = Figure::many("written per delivery", "bytes", written);
    report.figure(written_max.map_or(written.clone(), |most| written.at_most(most)));
    let syncs = each(&plays, |play| play.per_delivery(play.commits as f64));
    report.figure(Figure::many("syncs per delivery", "", syncs));
    let records = each(&plays, |play| play.records as f64 / play.commits.max(1) as f64);
    report.figure(Figure::many("records per sync", "", records));
    report.plots = plays.last().map(plots).unwrap_or_default();
    Ok(())
}
