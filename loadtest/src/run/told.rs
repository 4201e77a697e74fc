//! A play and a plan, told in a report.

use std::time::Duration;

use super::layout::Shares;
use super::measured::Measured;
use super::plan::Plan;
use super::publish::{Extent, Pace};
use super::series;
use crate::report::{Axis, Figure, Line, Plot, Report};

const MIB: f64 = 1_048_576.0;
/// Steps of rates in a plot: as many as there are pixels for, and no finer than a tenth of a second.
const STEPS_MAX: usize = 600;

/// What was asked for.
pub(crate) fn describe(plan: &Plan) -> Vec<(String, String)> {
    let numbers = &plan.numbers;
    let pace = match plan.pace {
        Pace::Full => format!("full speed, {} outstanding at most", plan.limits.backlog),
        Pace::Steady(rate) => format!("{rate} messages a second, open loop"),
    };
    let extent = match plan.extent {
        Extent::For(time) => format!("{} s", time.as_secs_f64()),
        Extent::Messages(count) => format!("{count} messages"),
    };
    let endpoints = format!(
        "{} on {} hosts, {} applications, {} for each message",
        numbers.endpoints, numbers.hosts, numbers.applications, numbers.fan_out
    );
    let transport = if plan.limits.tls { "TLS" } else { "plain HTTP" };
    let receiver = format!("{transport}, {} threads", plan.limits.receiver_threads);
    let mut facts = vec![
        ("message", format!("{} bytes", plan.message_bytes)),
        ("endpoints", endpoints),
        ("pace", pace),
        ("extent", format!("{extent} after {} s of warm-up", plan.warm_up.as_secs_f64())),
        ("connections", plan.limits.connections.to_string()),
        ("receiver", receiver),
    ];
    if numbers.shares != Shares::default() || numbers.dead_host {
        let Shares { slow, failing, hanging } = numbers.shares;
        let dead = if numbers.dead_host { ", the last host dead" } else { "" };
        facts.push(("not healthy", format!("{slow}% slow, {failing}% failing, {hanging}% hanging{dead}")));
    }
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Everything that was measured in a play.
pub(crate) fn tell(report: &mut Report, measured: &Measured) {
    let us = |cpu: Duration| measured.us_per_delivery(cpu);
    report.figure(Figure::one("messages acknowledged a second", "1/s", measured.acknowledged_per_second()));
    report.figure(Figure::one("deliveries received a second", "1/s", measured.received_per_second()));
    report.figure(Figure::one("CPU per delivery, engine", "us", us(measured.engine_cpu)));
    report.figure(Figure::one("CPU per delivery, receiver", "us", us(measured.receiver_cpu)));
    report.figure(Figure::one("CPU per delivery, generator", "us", us(measured.generator_cpu)));
    report.figure(Figure::one(
        "written per delivery",
        "bytes",
        measured.per_delivery(measured.written_bytes as f64),
    ));
    report.figure(Figure::one("syncs per delivery", "", measured.per_delivery(measured.commits as f64)));
    let records = measured.records as f64 / measured.commits.max(1) as f64;
    report.figure(Figure::one("records per sync", "", records));
    report.figure(Figure::one("resident memory of the engine", "MiB", measured.resident_bytes as f64 / MIB));
    report.figure(Figure::one("the most there was", "MiB", measured.resident_bytes_max as f64 / MIB));
    latencies(report, measured);
    troubles(report, measured);
}

fn latencies(report: &mut Report, measured: &Measured) {
    let latencies = [
        ("published to acknowledged", &measured.acknowledgements.since_publish),
        ("acknowledged to received", &measured.receipts.since_acknowledged),
        ("published to received", &measured.receipts.since_publish),
    ];
    report.latencies.extend(latencies.map(|(name, latency)| (name.to_owned(), latency.percentiles())));
}

/// What happened beside what was wanted.
fn troubles(report: &mut Report, measured: &Measured) {
    let published = &measured.published;
    if let Some(refusal) = &published.refusal {
        report.fact("refused", format!("{} messages, the first one with: {refusal}", published.refused));
    }
    if let Some(ended) = &published.ended {
        report.fact("a connection ended", format!("{ended}; {} messages without an answer", published.lost));
    }
    if measured.unhealthy > 0 {
        report.fact("requests at endpoints that are not healthy", measured.unhealthy.to_string());
    }
    if super::interrupt::is_requested() {
        report.fact("interrupted", "yes: what follows is what was measured until then".to_owned());
    }
}

/// Rate over time, latency percentiles, memory over time.
pub(crate) fn plots(measured: &Measured) -> Vec<Plot> {
    let places = measured.receipts.series.counts().len();
    let step = Duration::from_millis(100 * (places.div_ceil(10 * STEPS_MAX).max(1)) as u64);
    let rates = |counts: &[u32]| series::rates(counts, step);
    let rate = Plot {
        title: "Rate over time".to_owned(),
        x: Axis::linear("seconds"),
        y: Axis::linear("a second"),
        lines: vec![
            Line::new("deliveries received a second", rates(measured.receipts.series.counts())),
            Line::new("messages acknowledged a second", rates(measured.acknowledgements.series.counts())),
        ],
    };
    let latency = Plot {
        title: "Latency percentiles".to_owned(),
        x: Axis::nines("percentile"),
        y: Axis::log("microseconds"),
        lines: vec![
            Line::new("acknowledged to received, microseconds", measured.receipts.since_acknowledged.curve()),
            Line::new(
                "published to acknowledged, microseconds",
                measured.acknowledgements.since_publish.curve(),
            ),
        ],
    };
    let resident =
        measured.samples.iter().map(|sample| (sample.after_s, sample.reading.resident_bytes as f64 / MIB));
    let memory = Plot {
        title: "Memory over time".to_owned(),
        x: Axis::linear("seconds"),
        y: Axis::linear("MiB"),
        lines: vec![Line::new("resident memory of the engine, MiB", resident.collect())],
    };
    vec![rate, latency, memory]
}
