//! The report as a page: one file, nothing loaded from anywhere, light or dark as the reader likes it.

use super::html::{escaped, table};
use super::number::{show, time_us};
use super::{Report, svg, text};

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #ffffff; --faint: #d9dce1; --bad: #b3261e; --good: #1a7f37;
  --c0: #2563eb; --c1: #d97706; --c2: #059669; --c3: #9333ea; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --paper: #15171a; --faint: #3a3f46; --bad: #ff8a80;
  --good: #6fdd8b; --c0: #6ea8ff; --c1: #ffb454; --c2: #4fd1a5; --c3: #c792ea; } }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--paper); }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid var(--faint); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
svg { width: 100%; height: auto; } svg text { font-size: 12px; fill: var(--ink); }
.grid { stroke: var(--faint); stroke-width: 1; } .line { fill: none; stroke-width: 2; }
.line.c0 { stroke: var(--c0); } .line.c1 { stroke: var(--c1); } .line.c2 { stroke: var(--c2); } .line.c3 { stroke: var(--c3); }
.key { margin-right: 1.5rem; } .key::before { content: ''; display: inline-block; width: 1.2rem; height: .2rem;
  margin-right: .4rem; vertical-align: middle; }
.key.c0::before { background: var(--c0); } .key.c1::before { background: var(--c1); }
.key.c2::before { background: var(--c2); } .key.c3::before { background: var(--c3); }
.verdict { font-weight: 600; } .verdict.good { color: var(--good); } .verdict.bad { color: var(--bad); }
";

pub(super) fn write(report: &Report) -> String {
    let title = format!("posthaste-loadtest {}", report.what);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{0}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{0}</h1>\n",
        escaped(&title)
    );
    out += &verdict(report);
    out += &figures(report);
    out += &latencies(report);
    for plot in &report.plots {
        out += &format!("<h2>{}</h2>\n<p>{}</p>\n", escaped(&plot.title), svg::legend(plot));
        out += &svg::draw(plot);
    }
    out += "<h2>What was run</h2>\n";
    out += &table(&["", ""], report.facts.iter().map(|(name, value)| vec![name.clone(), value.clone()]));
    out + "</body>\n</html>\n"
}

fn verdict(report: &Report) -> String {
    let Some(verdict) = &report.verdict else { return String::new() };
    let class = if verdict.unaccounted() == 0 { "good" } else { "bad" };
    format!("<p class=\"verdict {class}\">{}</p>\n", escaped(&verdict.sentence()))
}

fn figures(report: &Report) -> String {
    if report.figures.is_empty() {
        return String::new();
    }
    let rows = report.figures.iter().map(|figure| {
        vec![
            figure.name.clone(),
            show(figure.median()),
            figure.unit.to_owned(),
            text::range(figure),
            figure.target.map(text::target).unwrap_or_default(),
            text::met(figure).to_owned(),
        ]
    });
    format!("<h2>Figures</h2>\n{}", table(&["figure", "measured", "unit", "range", "target", ""], rows))
}

fn latencies(report: &Report) -> String {
    if report.latencies.is_empty() {
        return String::new();
    }
    let rows = report.latencies.iter().map(|(name, p)| {
        let times = [p.p50_us, p.p90_us, p.p99_us, p.p999_us, p.max_us].map(time_us);
        [vec![name.clone()], times.to_vec(), vec![show(p.count as f64)]].concat()
    });
    format!("<h2>Latencies</h2>\n{}", table(&["", "p50", "p90", "p99", "p99.9", "max", "count"], rows))
}
