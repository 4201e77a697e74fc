//! `tls`: the same deliveries over TLS, with HTTP/1.1 and with HTTP/2, beside those in the clear.

use super::Context;
use super::context::{rate_and_cpu, setting};
use crate::run::{Limits, Plan, interrupt};

const RUNS: u32 = 5;
const SECONDS: u64 = 5;

pub(super) fn play(context: &mut Context<'_>) -> anyhow::Result<()> {
    let (runs, time) = (context.runs(RUNS), context.seconds(SECONDS));
    for (name, tls, http2) in
        [("HTTP/1.1", false, false), ("HTTP/1.1 over TLS", true, false), ("HTTP/2 over TLS", true, true)]
    {
        if interrupt::is_requested() {
            break;
        }
        let plan = context.plan(100);
        let plan = Plan { limits: Limits { tls, ..plan.limits }, ..plan };
        let mut set =
            context.set(&plan, &[setting("delivery.http2", if http2 { "true" } else { "false" })])?;
        let plays = context.plays(&format!("{name},"), &mut set, runs, time)?;
        context.strike(set);
        context.report.figures.extend(rate_and_cpu(&format!("{name}: "), &plays));
    }
    context.report.fact("endpoints", "100 on a host each, messages of 1 KiB".to_owned());
    context.report.fact("runs", format!("{runs} of {} s each", time.as_secs_f64()));
    Ok(())
}
