//! What every scenario has: options, a report, and a way to set up an engine with its endpoints.

use std::time::Duration;

use crate::engine::{Engine, OwnEngine, Setting};
use crate::report::{Figure, Report};
use crate::run::{Extent, Measured, Pace, Plan, Stage, interrupt};

/// See the head of this file.
pub(crate) struct Context<'a> {
    pub(super) own: &'a OwnEngine,
    pub(super) quick: bool,
    pub(super) runs: Option<u32>,
    pub(super) pending: Option<u64>,
    pub(super) rounds: Option<u64>,
    pub(super) report: Report,
}

/// An engine, and a stage that it delivers to.
pub(super) struct Set {
    pub(super) stage: Stage,
    pub(super) engine: Engine,
    /// How long it took to make the endpoints.
    pub(super) created_in: Duration,
}

impl Context<'_> {
    /// How often to measure.
    pub(super) fn runs(&self, by_default: u32) -> u32 {
        self.runs.unwrap_or(if self.quick { 1 } else { by_default })
    }

    /// How long something takes, or a small part of that.
    pub(super) fn seconds(&self, seconds: u64) -> Duration {
        if self.quick {
            Duration::from_millis(100 * seconds.clamp(10, 30))
        } else {
            Duration::from_secs(seconds)
        }
    }

    /// A plan with the warm-up of this context: messages of 1 KiB to so many endpoints, one on each host.
    pub(super) fn plan(&self, endpoints: u32) -> Plan {
        Plan {
            warm_up: self.seconds(2).min(Duration::from_secs(2)),
            ..Plan::simple(endpoints, Extent::Messages(1))
        }
    }

    /// Starts an engine that delivers to a receiver of this plan, and warms both up.
    pub(super) fn set(&self, plan: &Plan, settings: &[Setting]) -> anyhow::Result<Set> {
        let mut set = self.cold_set(plan, settings)?;
        set.stage.warm_up(&set.engine)?;
        Ok(set)
    }

    /// The same before anything is published.
    pub(super) fn cold_set(&self, plan: &Plan, settings: &[Setting]) -> anyhow::Result<Set> {
        let mut stage = Stage::new(plan)?;
        let settings = [settings, &stage.settings()].concat();
        let engine = Engine::start(self.own, &settings)?;
        let created_in = stage.enter(&engine)?;
        Ok(Set { stage, engine, created_in })
    }

    /// Judges what was published, and ends the engine.
    pub(super) fn strike(&mut self, set: Set) {
        self.report.judge(set.stage.verdict(&set.engine));
        self.report.trouble("ending the engine", set.engine.stop());
    }

    /// Plays several times at full speed on a set.
    pub(super) fn plays(
        &self,
        what: &str,
        set: &mut Set,
        runs: u32,
        time: Duration,
    ) -> anyhow::Result<Vec<Measured>> {
        let mut plays = Vec::new();
        for run in 1..=runs {
            if interrupt::is_requested() && !plays.is_empty() {
                break;
            }
            let what = format!("{what} {run} of {runs}");
            plays.push(set.play(&what, Pace::Full, Extent::For(time))?);
        }
        Ok(plays)
    }
}

impl Set {
    pub(super) fn play(&mut self, what: &str, pace: Pace, extent: Extent) -> anyhow::Result<Measured> {
        self.stage.play(what, &self.engine, pace, extent)
    }
}

/// A setting of the engine.
pub(super) fn setting(key: &str, value: &str) -> Setting {
    (key.to_owned(), value.to_owned())
}

/// One number of each play.
pub(super) fn each(plays: &[Measured], number: impl Fn(&Measured) -> f64) -> Vec<f64> {
    plays.iter().map(number).collect()
}

/// What is always told of plays at full speed: rate and CPU. `prefix` tells several sets apart.
pub(super) fn rate_and_cpu(prefix: &str, plays: &[Measured]) -> [Figure; 4] {
    let cpu = |of: fn(&Measured) -> Duration| each(plays, |play| play.us_per_delivery(of(play)));
    [
        Figure::many(
            format!("{prefix}deliveries a second"),
            "1/s",
            each(plays, Measured::received_per_second),
        ),
        Figure::many(format!("{prefix}CPU per delivery, engine"), "us", cpu(|play| play.engine_cpu)),
        Figure::many(format!("{prefix}CPU per delivery, receiver"), "us", cpu(|play| play.receiver_cpu)),
        Figure::many(format!("{prefix}CPU per delivery, generator"), "us", cpu(|play| play.generator_cpu)),
    ]
}
