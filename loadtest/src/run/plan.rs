//! What a load is to be: options of the command line, checked against each other.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;

use super::layout::{Numbers, Shares};
use super::payload;
use super::publish::{Extent, Pace};
use super::units::{percent, rate, time};

/// Options of a load.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Load")]
pub(crate) struct Options {
    /// Bytes of a message
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(i64::from(payload::BYTES_MIN)..=1_048_576))]
    message_bytes: u32,
    /// Endpoints that each message goes to
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    fan_out: u32,
    /// Applications; by default as many as there is something for each
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    applications: Option<u32>,
    /// Endpoints; by default one for each host
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    endpoints: Option<u32>,
    /// Hosts that the endpoints are spread over; by default 100
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    hosts: Option<u32>,
    /// Share of endpoints that answer late, in percent
    #[arg(long, default_value = "0", value_parser = percent)]
    slow: f64,
    /// How late
    #[arg(long, default_value = "1s", value_parser = time)]
    slow_for: Duration,
    /// Share of endpoints that answer 500, in percent
    #[arg(long, default_value = "0", value_parser = percent)]
    failing: f64,
    /// Share of endpoints that never answer, in percent
    #[arg(long, default_value = "0", value_parser = percent)]
    hanging: f64,
    /// Let nobody listen at the last host
    #[arg(long)]
    dead_host: bool,
    /// Messages a second, whatever the engine does
    #[arg(long, value_parser = rate, conflicts_with = "full_speed")]
    rate: Option<f64>,
    /// As fast as it goes; this is the default
    #[arg(long)]
    full_speed: bool,
    /// How long to publish [default: 10s]
    #[arg(long, value_parser = time, conflicts_with = "messages")]
    duration: Option<Duration>,
    /// How many messages to publish
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    messages: Option<u64>,
    /// How long to publish before anything is measured
    #[arg(long, default_value = "2s", value_parser = time)]
    warm_up: Duration,
    #[command(flatten)]
    limits: Limits,
}

/// Options that seldom matter.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub(crate) struct Limits {
    /// Connections to publish over
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) connections: u32,
    /// Messages that may await their acknowledgement on each connection
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) window: u64,
    /// Deliveries that may await their receipt at full speed
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) backlog: u64,
    /// How long to wait for deliveries that have not come
    #[arg(long, default_value = "60s", value_parser = time)]
    pub(crate) patience: Duration,
    /// Where the receiver listens: the first host; others take the next addresses
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    pub(crate) receiver: SocketAddr,
    /// Threads of the receiver
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) receiver_threads: u16,
    /// Receive over TLS
    #[arg(long)]
    pub(crate) tls: bool,
}

/// A load that is possible.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) message_bytes: u32,
    pub(crate) numbers: Numbers,
    pub(crate) slow_for: Duration,
    pub(crate) pace: Pace,
    pub(crate) extent: Extent,
    pub(crate) warm_up: Duration,
    pub(crate) limits: Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2,
            window: 1_024,
            backlog: 20_000,
            patience: Duration::from_secs(60),
            receiver: SocketAddr::from(([127, 0, 0, 1], 0)),
            receiver_threads: 1,
            tls: false,
        }
    }
}

impl Options {
    /// The plan, if what was asked for is possible.
    pub(crate) fn plan(&self) -> anyhow::Result<Plan> {
        let extent = match (self.duration, self.messages) {
            (_, Some(messages)) => Extent::Messages(messages),
            (duration, None) => Extent::For(duration.unwrap_or(Duration::from_secs(10))),
        };
        ensure!(extent != Extent::For(Duration::ZERO), "--duration 0s: it must be longer than that");
        Ok(Plan {
            message_bytes: self.message_bytes,
            numbers: self.numbers()?,
            slow_for: self.slow_for,
            pace: self.rate.map_or(Pace::Full, Pace::Steady),
            extent,
            warm_up: self.warm_up,
            limits: self.limits.clone(),
        })
    }

    fn numbers(&self) -> anyhow::Result<Numbers> {
        let (fan_out, hosts) = (self.fan_out, self.hosts.unwrap_or(100));
        let step = fan_out.saturating_mul(self.applications.unwrap_or(1));
        let endpoints = self.endpoints.unwrap_or_else(|| hosts.div_ceil(step).saturating_mul(step));
        let hosts = self.hosts.unwrap_or(hosts.min(endpoints));
        let applications = self.applications.unwrap_or((endpoints / fan_out).max(1));
        ensure!(hosts <= endpoints, "--hosts {hosts}: there are only {endpoints} endpoints (--endpoints)");
        let each = endpoints / applications;
        ensure!(
            fan_out <= each,
            "--fan-out {fan_out}: an application has only {each} endpoints ({endpoints} --endpoints, {applications} --applications)"
        );
        ensure!(
            endpoints.is_multiple_of(fan_out.saturating_mul(applications)),
            "--endpoints {endpoints}: it must be a multiple of {} (--fan-out {fan_out} times --applications {applications})",
            fan_out.saturating_mul(applications)
        );
        let shares = Shares { slow: self.slow, failing: self.failing, hanging: self.hanging };
        let bad = self.slow + self.failing + self.hanging;
        ensure!(
            bad <= 100.0,
            "--slow, --failing and --hanging are {bad}% together; they must be at most 100%"
        );
        ensure!(!self.dead_host || hosts > 1, "--dead-host: with --hosts {hosts} nobody would be left");
        Ok(Numbers { endpoints, fan_out, applications, hosts, shares, dead_host: self.dead_host })
    }
}

impl Plan {
    /// Messages of 1 KiB to so many endpoints, each on a host of its own, with an application of its own.
    pub(crate) fn simple(endpoints: u32, extent: Extent) -> Self {
        let numbers = Numbers {
            endpoints,
            fan_out: 1,
            applications: endpoints,
            hosts: endpoints,
            shares: Shares::default(),
            dead_host: false,
        };
        let (pace, warm_up) = (Pace::Full, Duration::from_secs(2));
        let slow_for = Duration::from_secs(1);
        Self { message_bytes: 1_024, numbers, slow_for, pace, extent, warm_up, limits: Limits::default() }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn plan(line: &str) -> Result<Plan, String> {
        let words = ["run"].into_iter().chain(line.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        line.options.plan().map_err(|error| error.to_string())
    }

    fn numbers(line: &str) -> (u32, u32, u32, u32) {
        let numbers = plan(line).unwrap().numbers;
        (numbers.endpoints, numbers.fan_out, numbers.applications, numbers.hosts)
    }

    #[test]
    fn what_is_not_said_follows_from_what_is() {
        assert_eq!(numbers(""), (100, 1, 100, 100));
        assert_eq!(numbers("--hosts 8"), (8, 1, 8, 8));
        assert_eq!(numbers("--endpoints 1"), (1, 1, 1, 1));
        assert_eq!(numbers("--fan-out 100"), (100, 100, 1, 100));
        assert_eq!(numbers("--fan-out 30"), (120, 30, 4, 100));
        assert_eq!(numbers("--endpoints 1000 --applications 10"), (1_000, 1, 10, 100));
        let plan = plan("--rate 300 --messages 5").unwrap();
        assert_eq!((plan.pace, plan.extent), (Pace::Steady(300.0), Extent::Messages(5)));
    }

    #[test]
    fn defaults_of_the_command_line_are_those_of_scenarios() {
        assert_eq!(plan("").unwrap(), Plan::simple(100, Extent::For(Duration::from_secs(10))));
    }

    #[test]
    fn what_is_impossible_together_is_refused_by_name_and_value() {
        let cases = [
            ("--hosts 200 --endpoints 100", "--hosts 200: there are only 100 endpoints"),
            (
                "--fan-out 11 --endpoints 100 --applications 10",
                "--fan-out 11: an application has only 10 endpoints",
            ),
            ("--fan-out 3 --endpoints 100", "--endpoints 100: it must be a multiple of 99"),
            ("--slow 50 --failing 30 --hanging 21", "are 101% together"),
            ("--dead-host --hosts 1", "--dead-host: with --hosts 1 nobody would be left"),
            ("--duration 0s", "--duration 0s"),
            ("--rate 300 --full-speed", "--rate"),
            ("--duration 3s --messages 4", "--duration"),
            ("--slow 101", "--slow"),
            ("--message-bytes 23", "--message-bytes"),
        ];
        for (line, wanted) in cases {
            let error = plan(line).unwrap_err();
            assert!(error.contains(wanted), "{line}: {error}");
        }
    }
}
