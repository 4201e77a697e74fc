//! The report for programs.

use serde_json::{Value, json};

use super::{Figure, Line, Report};

pub(super) fn write(report: &Report) -> Value {
    let facts: serde_json::Map<_, _> =
        report.facts.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let latencies: serde_json::Map<_, _> =
        report.latencies.iter().map(|(name, percentiles)| (name.clone(), json!(percentiles))).collect();
    json!({
        "what": report.what,
        "facts": facts,
        "figures": report.figures.iter().map(figure).collect::<Vec<_>>(),
        "latencies": latencies,
        "plots": report.plots.iter().map(|plot| json!({
            "title": plot.title,
            "x": plot.x.label,
            "y": plot.y.label,
            "lines": plot.lines.iter().map(line).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "verdict": report.verdict,
        "wrong": report.wrong,
        "unaccounted": report.verdict.as_ref().map(crate::run::Verdict::unaccounted),
    })
}

fn figure(figure: &Figure) -> Value {
    let (least, most) = figure.range();
    json!({
        "name": figure.name,
        "unit": figure.unit,
        "median": figure.median(),
        "least": least,
        "most": most,
        "values": figure.values,
        "target": figure.target,
        "met": figure.is_met(),
    })
}

fn line(line: &Line) -> Value {
    json!({ "name": line.name, "points": line.points })
}
