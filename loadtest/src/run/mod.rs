//! `run`: one load against one engine, and what came of it.
//!
//! ```text
//!   plan ──> stage ──> warm-up ──> play ──> verdict, report
//! ```
//!
//! | file | what |
//! |---|---|
//! | `plan`, `units` | options, checked against each other |
//! | `layout`, `hosts`, `catalog` | which endpoint is where, how it behaves, and how the engine gets to know of it |
//! | `xadd`, `payload` | messages as they go over the wire |
//! | `publish`, `lane`, `link`, `schedule`, `gate` | publishing, at full speed or by a schedule |
//! | `account`, `bitmap`, `times` | what was acknowledged and what was received |
//! | `latency`, `series`, `watch`, `measured` | figures |
//! | `verdict` | is everything accounted for? |
//! | `stage` | all of it together |

mod account;
mod bitmap;
mod catalog;
mod gate;
mod hosts;
pub(crate) mod interrupt;
mod lane;
mod latency;
mod layout;
pub(crate) mod link;
mod measured;
mod payload;
mod plan;
mod publish;
mod schedule;
mod series;
mod stage;
mod times;
mod told;
pub(crate) mod units;
mod verdict;
mod watch;
mod xadd;

use std::process::ExitCode;

pub(crate) use latency::{Latency, Percentiles};
pub(crate) use layout::{Numbers, Shares};
pub(crate) use measured::Measured;
pub(crate) use plan::{Limits, Plan};
pub(crate) use publish::{Extent, Pace};
pub(crate) use stage::Stage;
pub(crate) use told::{describe, plots, tell};
pub(crate) use verdict::{EngineSays, Verdict};

use crate::engine::{Engine, OwnEngine, RunningEngine};
use crate::report::{Files, Report};

/// What `posthaste-loadtest run` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    load: plan::Options,
    #[command(flatten)]
    own: OwnEngine,
    #[command(flatten)]
    running: RunningEngine,
    #[command(flatten)]
    files: Files,
}

pub(crate) fn main(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let plan = arguments.load.plan()?;
    arguments.files.check()?;
    interrupt::listen()?;
    let mut stage = Stage::new(&plan)?;
    let engine = match Engine::running(&arguments.running)? {
        Some(engine) => engine,
        None => Engine::start(&arguments.own, &stage.settings())?,
    };
    let created = stage.enter(&engine)?;
    stage.warm_up(&engine)?;
    let measured = stage.play("measuring", &engine, plan.pace, plan.extent)?;
    let mut report = Report::new("run");
    report.facts.extend(describe(&plan));
    report.fact("endpoints made in", format!("{:.1} s", created.as_secs_f64()));
    tell(&mut report, &measured);
    report.plots.extend(plots(&measured));
    report.judge(stage.verdict(&engine));
    // An engine that has died is reported with what is lost.
    report.trouble("leaving", stage.leave(&engine));
    report.trouble("ending the engine", engine.stop());
    report.deliver(&arguments.files)
}
