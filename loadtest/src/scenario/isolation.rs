//! `isolation`: what healthy endpoints feel of the others.
//!
//! A hundred endpoints on a host each: 20 hang until the timeout, 20 answer 500, one's host is dead. The healthy ones
//! are offered the same steady load as when they are alone; what they get of it, and how late, is compared.

use super::Context;
use super::context::Set;
use crate::report::Figure;
use crate::run::{Extent, Measured, Numbers, Pace, Plan, Shares, interrupt};

const RUNS: u32 = 5;
const SECONDS: u64 = 20;
/// Offered to the healthy ones together.
const PER_SECOND: f64 = 5_000.0;
const RATE_KEPT_MIN: f64 = 0.95;
const P99_RATIO_MAX: f64 = 1.5;

pub(super) fn play(context: &mut Context<'_>) -> anyhow::Result<()> {
    let mixed = context.plan(100);
    let shares = Shares { slow: 0.0, failing: 20.0, hanging: 20.0 };
    let mixed = Plan { numbers: Numbers { shares, dead_host: true, ..mixed.numbers }, ..mixed };
    let (mut rates, mut kept, mut p99s, mut ratios) = (vec![], vec![], [vec![], vec![]], vec![]);
    let runs = context.runs(RUNS);
    for run in 1..=runs {
        let crowd = measure(context, &mixed, &format!("among others, {run} of {runs}"))?;
        let alone = context.plan(crowd.healthy);
        let alone = measure(context, &alone, &format!("alone, {run} of {runs}"))?;
        let p99 = |one: &One| one.measured.receipts.since_acknowledged.percentiles().p99_us;
        let rate = |one: &One| one.measured.received_per_second();
        rates.push(rate(&crowd));
        kept.push(rate(&crowd) / rate(&alone));
        ratios.push(p99(&crowd) / p99(&alone).max(1.0));
        p99s[0].push(p99(&alone));
        p99s[1].push(p99(&crowd));
        if run == runs || interrupt::is_requested() {
            tell_last(context, &alone, &crowd);
            break;
        }
    }
    let report = &mut context.report;
    let [alone, among] = p99s;
    report.figure(Figure::many("received a second by healthy endpoints", "1/s", rates));
    report.figure(Figure::many("share of the rate that they keep", "", kept).at_least(RATE_KEPT_MIN));
    report.figure(Figure::many("p99 alone", "us", alone));
    report.figure(Figure::many("p99 among others", "us", among));
    report.figure(Figure::many("p99 among others / alone", "", ratios).at_most(P99_RATIO_MAX));
    Ok(())
}

/// One load, and how many endpoints of it are healthy.
struct One {
    measured: Measured,
    healthy: u32,
}

fn measure(context: &mut Context<'_>, plan: &Plan, what: &str) -> anyhow::Result<One> {
    let mut set: Set = context.cold_set(plan, &[])?;
    let (healthy, groups) = (set.stage.layout().healthy(), set.stage.layout().groups());
    // Messages go to all endpoints in turn; so many a second that the healthy ones get theirs.
    let rate = PER_SECOND * f64::from(groups) / f64::from(healthy);
    // Not warmed up: what happens before the others are known for what they are is what hurts most.
    let measured = set.play(what, Pace::Steady(rate), Extent::For(context.seconds(SECONDS)))?;
    context.strike(set);
    Ok(One { measured, healthy })
}

fn tell_last(context: &mut Context<'_>, alone: &One, crowd: &One) {
    let report = &mut context.report;
    report.fact(
        "endpoints",
        format!("100 on a host each: {} healthy, 20% hanging, 20% failing, one host dead", crowd.healthy),
    );
    report.fact("offered to the healthy ones", format!("{PER_SECOND} messages a second, open loop"));
    report.fact("requests at the others, last run", crowd.measured.unhealthy.to_string());
    for (name, one) in [("alone", alone), ("among others", crowd)] {
        let latency = one.measured.receipts.since_acknowledged.percentiles();
        report.latencies.push((format!("{name}: acknowledged to received"), latency));
    }
    report.plots = crate::run::plots(&crowd.measured);
}
