//! `scenario NAME`: the loads behind the figures that are published, each with the targets it is held against.
//!
//! A scenario is a program, not a configuration: it says in a few lines what is set up, what is published, and
//! which figure is compared with what. A target that is missed is reported and is no failure; a message that is
//! unaccounted for is.

mod ceiling;
mod console;
mod context;
mod hostile;
mod idle;
mod isolation;
mod latency;
mod many_endpoints;
mod million;
mod pending;
mod restart;
mod sync_probe;
mod tls;

use std::process::ExitCode;

use anyhow::Context as _;

use crate::engine::OwnEngine;
use crate::report::{Files, Report};
use crate::run::interrupt;

pub(crate) use context::Context;

/// What `posthaste-loadtest scenario` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Which one; without it, they are listed
    name: Option<String>,
    /// How often to measure, for medians; by default as often as the targets ask for
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: Option<u32>,
    /// A small version that shows that it works; its figures are worth nothing
    #[arg(long)]
    quick: bool,
    /// Pending deliveries of the scenario pending-10m
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pending: Option<u64>,
    /// Rounds of the scenario hostile, each with every fault
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rounds: Option<u64>,
    /// Faults of the scenario hostile: only those whose names begin so
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    #[command(flatten)]
    own: OwnEngine,
    #[command(flatten)]
    files: Files,
}

/// A named load.
struct Scenario {
    name: &'static str,
    play: fn(&mut Context<'_>) -> anyhow::Result<()>,
}

const SCENARIOS: &[Scenario] = &[
    Scenario { name: "million", play: million::play },
    Scenario { name: "ceiling", play: ceiling::play },
    Scenario { name: "fan-out", play: ceiling::fan_out },
    Scenario { name: "latency", play: latency::play },
    Scenario { name: "isolation", play: isolation::play },
    Scenario { name: "pending-10m", play: pending::play },
    Scenario { name: "many-endpoints", play: many_endpoints::play },
    Scenario { name: "restart", play: restart::play },
    Scenario { name: "tls", play: tls::play },
    Scenario { name: "idle", play: idle::play },
    Scenario { name: "console", play: console::play },
    Scenario { name: "hostile", play: hostile::play },
];

pub(crate) fn main(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let scenario = find(arguments.name.as_deref())?;
    arguments.files.check()?;
    interrupt::listen()?;
    let mut context = Context {
        own: &arguments.own,
        quick: arguments.quick,
        runs: arguments.runs,
        pending: arguments.pending,
        rounds: arguments.rounds,
        only: arguments.only.as_deref(),
        report: Report::new(&format!("scenario {}", scenario.name)),
    };
    if arguments.quick {
        context.report.fact("quick", "yes: the figures are worth nothing".to_owned());
    }
    (scenario.play)(&mut context)?;
    context.report.deliver(&arguments.files)
}

fn find(name: Option<&str>) -> anyhow::Result<&'static Scenario> {
    let names = || SCENARIOS.iter().map(|scenario| scenario.name).collect::<Vec<_>>().join(", ");
    let name = name.with_context(|| format!("scenario: name one of {}", names()))?;
    let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
    found.with_context(|| format!("scenario '{name}': there is none of that name; there are {}", names()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_missing_or_unknown_gets_all_that_there_are() {
        for name in [None, Some("warp")] {
            let error = find(name).err().unwrap().to_string();
            assert!(SCENARIOS.iter().all(|scenario| error.contains(scenario.name)), "{error}");
            assert!(name.is_none_or(|name| error.contains(name)), "{error}");
        }
        assert_eq!(find(Some("tls")).unwrap().name, "tls");
    }
}
