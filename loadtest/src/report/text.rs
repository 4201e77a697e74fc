//! The report for whoever sits at the terminal.

use super::number::{show, time_us};
use super::table::Table;
use super::{Figure, Report, Target};

pub(super) fn write(report: &Report) -> String {
    let mut out = format!("\n{}\n", report.what);
    for (name, value) in &report.facts {
        out += &format!("  {name}: {value}\n");
    }
    out.push('\n');
    if !report.figures.is_empty() {
        out += &figures(&report.figures);
        out.push('\n');
    }
    if !report.latencies.is_empty() {
        out += &latencies(report);
        out.push('\n');
    }
    for wrong in &report.wrong {
        out += &format!("WRONG: {wrong}\n");
    }
    if let Some(verdict) = &report.verdict {
        out += &format!("{}\n", verdict.sentence());
    }
    out
}

fn figures(figures: &[Figure]) -> String {
    let mut table = Table::new(&["figure", "measured", "unit", "range", "target", ""], &[0, 2, 4, 5]);
    for figure in figures {
        table.row([
            figure.name.clone(),
            show(figure.median()),
            figure.unit.to_owned(),
            range(figure),
            figure.target.map(target).unwrap_or_default(),
            met(figure).to_owned(),
        ]);
    }
    table.write()
}

/// Nothing for a single run.
pub(super) fn range(figure: &Figure) -> String {
    let (least, most) = figure.range();
    if figure.values.len() < 2 { String::new() } else { format!("{} to {}", show(least), show(most)) }
}

pub(super) fn target(target: Target) -> String {
    let side = if matches!(target, Target::AtMost(_)) { "at most" } else { "at least" };
    format!("{side} {}", show(target.value()))
}

pub(super) fn met(figure: &Figure) -> &'static str {
    match figure.is_met() {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "",
    }
}

fn latencies(report: &Report) -> String {
    let mut table = Table::new(&["latency", "p50", "p90", "p99", "p99.9", "max", "count"], &[0]);
    for (name, p) in &report.latencies {
        let [p50, p90, p99, p999, max] = [p.p50_us, p.p90_us, p.p99_us, p.p999_us, p.max_us].map(time_us);
        table.row([name.clone(), p50, p90, p99, p999, max, show(p.count as f64)]);
    }
    table.write()
}
