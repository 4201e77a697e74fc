//! `many-endpoints`: one endpoint or a hundred thousand, a delivery costs the same, and one that has nothing to do costs
//! next to nothing.

use super::Context;
use super::context::{Set, each};
use crate::report::Figure;
use crate::run::{Measured, Numbers, Plan, interrupt};

const RUNS: u32 = 5;
const SECONDS: u64 = 5;
const ENDPOINTS: [u32; 4] = [1, 100, 10_000, 100_000];
const ENDPOINTS_QUICK: [u32; 3] = [1, 100, 1_000];
const HOSTS_MAX: u32 = 10_000;
const ENDPOINTS_PER_APPLICATION: u32 = 100;
const RATIO_MAX: f64 = 1.1;
const IDLE_BYTES_MAX: f64 = 1_024.0;

pub(super) fn play(context: &mut Context<'_>) -> anyhow::Result<()> {
    let counts: &[u32] = if context.quick { &ENDPOINTS_QUICK } else { &ENDPOINTS };
    let mut costs = Vec::new();
    let mut idle_bytes = 0.0;
    for &endpoints in counts {
        if interrupt::is_requested() {
            return Ok(());
        }
        let mut set = context.cold_set(&plan(context, endpoints), &[])?;
        // What the smallest set has is what an engine needs without endpoints.
        let resident = set.engine.reading()?.resident_bytes as f64;
        if endpoints == counts[0] {
            idle_bytes = resident;
        }
        let cost = costs_of(context, &mut set, endpoints)?;
        let created = format!("{:.1} s", set.created_in.as_secs_f64());
        context.report.fact(&format!("{endpoints} endpoints made in"), created);
        let per_endpoint = (resident - idle_bytes) / f64::from(endpoints);
        let memory =
            Figure::one(format!("{endpoints} endpoints: memory of one that is idle"), "bytes", per_endpoint);
        if endpoints == counts[counts.len() - 1] {
            context.report.figure(memory.at_most(IDLE_BYTES_MAX));
        } else if endpoints > 100 {
            context.report.figure(memory);
        }
        costs.push(cost);
        context.strike(set);
    }
    let (least, most) = Figure::many("", "", costs).range();
    let ratio = Figure::one("CPU per delivery, dearest / cheapest", "", most / least);
    context.report.figure(ratio.at_most(RATIO_MAX));
    Ok(())
}

fn plan(context: &Context<'_>, endpoints: u32) -> Plan {
    let plan = context.plan(endpoints);
    let applications = endpoints.div_ceil(ENDPOINTS_PER_APPLICATION);
    let numbers = Numbers { hosts: endpoints.min(HOSTS_MAX), applications, ..plan.numbers };
    Plan { numbers, ..plan }
}

fn costs_of(context: &mut Context<'_>, set: &mut Set, endpoints: u32) -> anyhow::Result<f64> {
    set.stage.warm_up(&set.engine)?;
    let (runs, time) = (context.runs(RUNS), context.seconds(SECONDS));
    let plays = context.plays(&format!("{endpoints} endpoints,"), set, runs, time)?;
    let cpu = each(&plays, |play| play.us_per_delivery(play.engine_cpu));
    let cpu = Figure::many(format!("{endpoints} endpoints: CPU per delivery, engine"), "us", cpu);
    let median = cpu.median();
    context.report.figure(cpu);
    let rate = each(&plays, Measured::received_per_second);
    context.report.figure(Figure::many(format!("{endpoints} endpoints: deliveries a second"), "1/s", rate));
    Ok(median)
}
