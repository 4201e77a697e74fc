//! `pending-10m`: ten million deliveries that wait for their retry, and everything else goes on as if they were not there.
//!
//! ```text
//!   cost when empty ──> publish to a dead host ──> memory, cost ──> kill -9, start ──> first delivery, all pending
//! ```
//!
//! Two stages on one engine: one whose only host is dead, with the messages that stay pending, and a healthy one that a
//! delivery's cost is measured on.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::Context;
use super::context::{Set, each, setting};
use crate::engine::{Counters, Engine};
use crate::report::{Figure, Report};
use crate::run::{EngineSays, Extent, Measured, Numbers, Pace, Plan, Stage, Verdict, interrupt};

const RUNS: u32 = 5;
const SECONDS: u64 = 5;
const PENDING: u64 = 10_000_000;
const PENDING_QUICK: u64 = 20_000;
/// As small as a message can be.
const MESSAGE_BYTES: u32 = 24;
const RETRY_POLICY: &str = "1h, 2h";
const MIB: f64 = 1_048_576.0;
const RESIDENT_MIB_MAX: f64 = 1_024.0;
const FIRST_DELIVERY_S_MAX: f64 = 10.0;
const COST_RATIO_MAX: f64 = 1.1;
/// How long the first attempts of all of them may take.
const ATTEMPTS_PATIENCE: Duration = Duration::from_secs(900);
const RESTART_PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) fn play(context: &mut Context<'_>) -> anyhow::Result<()> {
    let mut healthy = context.set(&context.plan(100), &[setting("retry.policy", RETRY_POLICY)])?;
    let (runs, time) = (context.runs(RUNS), context.seconds(SECONDS));
    let empty = context.plays("with nothing pending,", &mut healthy, runs, time)?;
    let before = healthy.engine.counters()?;
    let mut dead = Stage::new(&dead_plan(context))?;
    dead.enter(&healthy.engine)?;
    let filled = fill(context, &mut dead, &healthy.engine, before)?;
    let full = context.plays("with all of them pending,", &mut healthy, runs, time)?;
    let restarted = restart(&mut healthy, &mut dead, filled)?;
    tell(&mut context.report, &empty, &full, &restarted);
    let verdict = judge(&dead, &healthy.engine, restarted.pending);
    context.report.judge(verdict);
    context.strike(healthy);
    Ok(())
}

/// One endpoint, and nobody listens there.
fn dead_plan(context: &Context<'_>) -> Plan {
    let plan = context.plan(1);
    Plan { numbers: Numbers { dead_host: true, ..plan.numbers }, message_bytes: MESSAGE_BYTES, ..plan }
}

/// Publishes them, and waits until each has had its first attempt. How many there are.
fn fill(
    context: &mut Context<'_>,
    dead: &mut Stage,
    engine: &Engine,
    before: Counters,
) -> anyhow::Result<u64> {
    let wanted = context.pending.unwrap_or(if context.quick { PENDING_QUICK } else { PENDING });
    let began = Instant::now();
    let published = dead.publish(Pace::Full, Extent::Messages(wanted));
    let published_in = began.elapsed();
    let acknowledged = published.acknowledged;
    ensure!(
        acknowledged == wanted || interrupt::is_requested(),
        "{acknowledged} of --pending {wanted} messages were acknowledged: {}",
        published.refusal.or(published.ended).unwrap_or_default()
    );
    let until = Instant::now() + ATTEMPTS_PATIENCE;
    while engine.counters()?.attempts - before.attempts < acknowledged {
        ensure!(Instant::now() < until, "the first attempts took more than {ATTEMPTS_PATIENCE:?}");
        std::thread::sleep(LOOK_EVERY);
    }
    let (attempted_in, reading) = (began.elapsed().as_secs_f64(), engine.reading()?);
    let report = &mut context.report;
    report.fact("pending", format!("{acknowledged} messages of {MESSAGE_BYTES} bytes to a dead host"));
    report.fact("retry policy", RETRY_POLICY.to_owned());
    let per_second = acknowledged as f64 / published_in.as_secs_f64();
    report.figure(Figure::one("published", "1/s", per_second));
    report.figure(Figure::one("published and attempted once", "s", attempted_in));
    let resident =
        Figure::one("resident memory with all pending", "MiB", reading.resident_bytes as f64 / MIB);
    report.figure(resident.at_most(RESIDENT_MIB_MAX));
    let most = Figure::one("the most there was", "MiB", reading.resident_bytes_max as f64 / MIB);
    report.figure(most.at_most(RESIDENT_MIB_MAX));
    Ok(acknowledged)
}

/// What a restart has shown.
struct Restarted {
    accepting: Duration,
    first_delivery: Duration,
    resident_bytes: u64,
    /// Deliveries that the engine says are pending.
    pending: u64,
}

fn restart(healthy: &mut Set, dead: &mut Stage, filled: u64) -> anyhow::Result<Restarted> {
    let Set { stage, engine, .. } = healthy;
    engine.kill();
    stage.engine_was_killed();
    dead.engine_was_killed();
    let began = Instant::now();
    let accepting = engine.start_again()?;
    stage.connect(engine)?;
    // The first message, and all that was not recorded as delivered.
    stage.publish(Pace::Full, Extent::Messages(1));
    ensure!(stage.await_receipts(RESTART_PATIENCE), "no delivery within {RESTART_PATIENCE:?} of the restart");
    let first_delivery = began.elapsed();
    let until = Instant::now() + RESTART_PATIENCE;
    let mut pending = engine.counters()?.pending;
    // Deliveries whose end was not recorded before the kill are made again, and end.
    while pending != filled && Instant::now() < until && !interrupt::is_requested() {
        std::thread::sleep(LOOK_EVERY);
        pending = engine.counters()?.pending;
    }
    Ok(Restarted { accepting, first_delivery, resident_bytes: engine.reading()?.resident_bytes, pending })
}

/// After the restart, what was acknowledged for the dead host has to be pending, all of it.
fn judge(dead: &Stage, engine: &Engine, pending: u64) -> Verdict {
    let (accepted, verdict) = (dead.account().totals().acknowledged, dead.verdict(engine));
    let engine = EngineSays::Counts { accepted, delivered: 0, exhausted: 0, cancelled: 0, pending };
    Verdict { engine, ..verdict }
}

fn tell(report: &mut Report, empty: &[Measured], full: &[Measured], restarted: &Restarted) {
    report.figure(Figure::one("kill -9, start to accepting", "s", restarted.accepting.as_secs_f64()));
    let first = Figure::one("kill -9, start to first delivery", "s", restarted.first_delivery.as_secs_f64());
    report.figure(first.at_most(FIRST_DELIVERY_S_MAX));
    let resident =
        Figure::one("resident memory after the restart", "MiB", restarted.resident_bytes as f64 / MIB);
    report.figure(resident.at_most(RESIDENT_MIB_MAX));
    let cost = |plays: &[Measured]| each(plays, |play| play.us_per_delivery(play.engine_cpu));
    let empty = Figure::many("CPU per delivery with nothing pending", "us", cost(empty));
    let full = Figure::many("CPU per delivery with all pending", "us", cost(full));
    let ratio = Figure::one("with all pending / with nothing", "", full.median() / empty.median());
    report.figures.extend([empty, full, ratio.at_most(COST_RATIO_MAX)]);
}
