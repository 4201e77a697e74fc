//! `compare`: the engine against plain clients that store nothing, in turns, at the same receiver.
//!
//! ```text
//!   round 1: engine, pooled, low-level, engine with fan-out    round 2: the same    ...    ratios of each round
//! ```
//!
//! A machine that is shared with others is faster at one time than at another; so a ratio is taken within a round,
//! and the median over the rounds. CPU is compared, not time: receiver and generator take their share of the latter.

pub(crate) mod client;

use std::process::ExitCode;
use std::time::Duration;

use crate::engine::{Engine, OwnEngine, RunningEngine};
use crate::report::{Figure, Files, Report};
use crate::run::{Extent, Numbers, Pace, Plan, Stage, describe, interrupt, units};
use client::{Kind, Sent};

const HOSTS: u32 = 100;
/// Durable for free: what the engine is to cost at most, as a part of the pooled client.
const RATIO_MAX: f64 = 1.0;
const RATIO_FIRST_STOP: f64 = 1.5;
const FAN_OUT_RATIO_MAX: f64 = 0.8;

/// What `posthaste-loadtest compare` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// How often everybody has a turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(5..=100))]
    rounds: u32,
    /// How long a turn of the engine takes
    #[arg(long, default_value = "5s", value_parser = units::time)]
    duration: Duration,
    /// Requests of a client's turn
    #[arg(long, default_value_t = 300_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    requests: u64,
    /// Requests at a time: of a client, and of each shard of an engine that is started for this
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    in_flight: u32,
    #[command(flatten)]
    own: OwnEngine,
    #[command(flatten)]
    running: RunningEngine,
    #[command(flatten)]
    files: Files,
}

/// What one turn cost, and how fast it was.
#[derive(Debug, Clone, Copy)]
struct Turn {
    cpu_us: f64,
    per_second: f64,
}

/// Turns of everybody, one in each round.
#[derive(Debug, Default)]
struct Turns {
    engine: Vec<Turn>,
    fan_out: Vec<Turn>,
    pooled: Vec<Turn>,
    low_level: Vec<Turn>,
}

pub(crate) fn main(arguments: Arguments) -> anyhow::Result<ExitCode> {
    arguments.files.check()?;
    anyhow::ensure!(
        arguments.running.address.is_none() || arguments.running.pid.is_some(),
        "--address without --pid: the CPU of a process that is not known cannot be compared"
    );
    anyhow::ensure!(arguments.duration > Duration::ZERO, "--duration 0s: it must be longer than that");
    interrupt::listen()?;
    let plan = Plan::simple(HOSTS, Extent::For(arguments.duration));
    let fan_out = Numbers { fan_out: HOSTS, applications: 1, ..plan.numbers.clone() };
    let mut single = Stage::new(&plan)?;
    let mut fanned = Stage::new(&Plan { numbers: fan_out, ..plan.clone() })?;
    let engine = match Engine::running(&arguments.running)? {
        Some(engine) => engine,
        None => {
            // The more connections are in use, the dearer each request: everybody gets as many.
            let in_flight = ("shards.in_flight_max".to_owned(), arguments.in_flight.to_string());
            Engine::start(&arguments.own, &[in_flight])?
        }
    };
    for stage in [&mut single, &mut fanned] {
        stage.enter(&engine)?;
        stage.engine_is_shared();
        stage.warm_up(&engine)?;
    }
    let turns = rounds(&arguments, &engine, &mut single, &mut fanned)?;
    let mut report = Report::new("compare");
    report.facts.extend(describe(&plan).into_iter().filter(|(name, _)| name != "extent"));
    report.fact(
        "turns",
        format!(
            "{} s of the engine, {} requests of a client",
            arguments.duration.as_secs_f64(),
            arguments.requests
        ),
    );
    report.fact("requests at a time", arguments.in_flight.to_string());
    report.fact("rounds", turns.low_level.len().to_string());
    tell(&mut report, &turns);
    report.judge(single.verdict(&engine));
    report.judge(fanned.verdict(&engine));
    for stage in [&single, &fanned] {
        report.trouble("leaving", stage.leave(&engine));
    }
    report.trouble("ending the engine", engine.stop());
    report.deliver(&arguments.files)
}

fn rounds(
    arguments: &Arguments,
    engine: &Engine,
    single: &mut Stage,
    fanned: &mut Stage,
) -> anyhow::Result<Turns> {
    let mut turns = Turns::default();
    let extent = Extent::For(arguments.duration);
    for round in 1..=arguments.rounds {
        let of = format!("round {round} of {}", arguments.rounds);
        turns.engine.push(turn(single, engine, &format!("{of}: engine"), extent)?);
        let client = |kind| {
            client::run(kind, single.receiver(), arguments.requests, arguments.in_flight).map(Turn::from)
        };
        turns.pooled.push(client(Kind::Pooled)?);
        turns.low_level.push(client(Kind::LowLevel)?);
        turns.fan_out.push(turn(fanned, engine, &format!("{of}: fan-out"), extent)?);
        if interrupt::is_requested() {
            break;
        }
    }
    Ok(turns)
}

fn turn(stage: &mut Stage, engine: &Engine, what: &str, extent: Extent) -> anyhow::Result<Turn> {
    let measured = stage.play(what, engine, Pace::Full, extent)?;
    Ok(Turn {
        cpu_us: measured.us_per_delivery(measured.engine_cpu),
        per_second: measured.received_per_second(),
    })
}

impl From<Sent> for Turn {
    fn from(sent: Sent) -> Self {
        Self { cpu_us: sent.cpu_us_per_request, per_second: sent.per_second }
    }
}

fn tell(report: &mut Report, turns: &Turns) {
    let everybody = [
        ("engine", &turns.engine),
        ("engine, one message to 100 endpoints", &turns.fan_out),
        ("pooled client", &turns.pooled),
        ("low-level client", &turns.low_level),
    ];
    for (name, turns) in everybody {
        let cpu = turns.iter().map(|turn| turn.cpu_us).collect();
        let rate = turns.iter().map(|turn| turn.per_second).collect();
        report.figure(Figure::many(format!("{name}: CPU per delivery"), "us", cpu));
        report.figure(Figure::many(format!("{name}: a second"), "1/s", rate));
    }
    let to_pooled = ratios(&turns.engine, &turns.pooled);
    report
        .figure(Figure::many("engine / pooled, first stop", "", to_pooled.clone()).at_most(RATIO_FIRST_STOP));
    report.figure(Figure::many("engine / pooled", "", to_pooled).at_most(RATIO_MAX));
    let fan_out = ratios(&turns.fan_out, &turns.pooled);
    report.figure(Figure::many("engine with fan-out 100 / pooled", "", fan_out).at_most(FAN_OUT_RATIO_MAX));
    report.figure(Figure::many("engine / low-level", "", ratios(&turns.engine, &turns.low_level)));
}

/// Of the CPU, round by round.
fn ratios(turns: &[Turn], others: &[Turn]) -> Vec<f64> {
    turns.iter().zip(others).map(|(turn, other)| turn.cpu_us / other.cpu_us).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_those_of_turns_in_the_same_round() {
        let turns =
            |cpus: &[f64]| cpus.iter().map(|&cpu_us| Turn { cpu_us, per_second: 1.0 }).collect::<Vec<_>>();
        assert_eq!(ratios(&turns(&[20.0, 40.0]), &turns(&[10.0, 20.0])), [2.0, 2.0]);
        // A round that was interrupted has no ratio.
        assert_eq!(ratios(&turns(&[20.0, 40.0]), &turns(&[10.0])), [2.0]);
    }

    #[test]
    fn targets_stand_beside_what_they_are_for() {
        let turn = |cpu_us| vec![Turn { cpu_us, per_second: 1.0 }];
        let turns =
            Turns { engine: turn(23.0), fan_out: turn(12.0), pooled: turn(17.0), low_level: turn(11.0) };
        let mut report = Report::new("compare");
        tell(&mut report, &turns);
        let met =
            |name: &str| report.figures.iter().find(|figure| figure.name == name).and_then(Figure::is_met);
        assert_eq!(met("engine / pooled, first stop"), Some(true));
        assert_eq!(met("engine / pooled"), Some(false));
        assert_eq!(met("engine with fan-out 100 / pooled"), Some(true));
    }
}
