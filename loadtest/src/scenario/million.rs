//! `million`: a million deliveries a minute, end to end, and none unaccounted for.

use super::Context;
use crate::report::Figure;
use crate::run::{Extent, Pace, describe, plots, tell};

const FLOOR: f64 = 1_000_000.0;
const TARGET: f64 = 3_000_000.0;

pub(super) fn play(context: &mut Context<'_>) -> anyhow::Result<()> {
    let extent = Extent::For(context.seconds(60));
    let plan = crate::run::Plan { extent, ..context.plan(100) };
    let mut set = context.set(&plan, &[])?;
    let measured = set.play("a million", Pace::Full, extent)?;
    let per_minute = 60.0 * measured.received_per_second();
    context.report.facts.extend(describe(&plan));
    context.report.figure(Figure::one("deliveries a minute, floor", "1/min", per_minute).at_least(FLOOR));
    context.report.figure(Figure::one("deliveries a minute", "1/min", per_minute).at_least(TARGET));
    tell(&mut context.report, &measured);
    context.report.plots = plots(&measured);
    context.strike(set);
    let unaccounted = context.report.verdict.as_ref().map_or(0, crate::run::Verdict::unaccounted);
    context.report.figure(Figure::one("unaccounted", "", unaccounted as f64).at_most(0.0));
    Ok(())
}
