//! Charts, drawn on the server as SVG: the plot is a picture that stretches, its words stand around it as text.
//!
//! Colours come from the style sheet by class, so that they follow light and dark. Who does not see a chart is told what it
//! shows, and finds the numbers in a table below it.

use std::fmt::Write as _;

use super::html::{Html, clock, count, escaped, ms, ms_or_dash, rate, span};
use super::shapes::{Beat, Stretch};

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 120.0;
/// Rows of a table of numbers.
const ROWS_MAX: usize = 60;

/// One line of a chart: its class in the style sheet, its name, and its values.
struct Line<'a> {
    class: &'a str,
    name: &'a str,
    values: Vec<Option<f64>>,
}

/// What happened each second, or each minute: accepted, delivered, failed.
pub(super) fn rates(title: &str, beats: &[Beat]) -> Html {
    let values = |of: fn(&Beat) -> f64| beats.iter().map(|beat| Some(of(beat))).collect();
    let lines = [
        Line { class: "accepted", name: "accepted/s", values: values(|beat| beat.accepted) },
        Line { class: "delivered", name: "delivered/s", values: values(|beat| beat.delivered) },
        Line { class: "failed", name: "failed/s", values: values(|beat| beat.failed) },
    ];
    let header = ["ended", "accepted/s", "delivered/s", "failed/s"];
    let rows = beats.iter().rev().map(|beat| {
        vec![clock_of(&beat.timestamp), rate(beat.accepted), rate(beat.delivered), rate(beat.failed)]
    });
    let axis = (beats.first().map(|beat| clock_of(&beat.timestamp)), "now".to_owned());
    lines_chart(title, &lines, |top| format!("{}/s", rate(top)), axis, &table(&header, rows))
}

/// How long answers took, stretch by stretch.
pub(super) fn times(title: &str, stretches: &[Stretch]) -> Html {
    let lines = [
        Line { class: "slowest", name: "slowest", values: stretches.iter().map(|one| one.max_ms).collect() },
        Line { class: "mean", name: "mean", values: stretches.iter().map(|one| one.mean_ms).collect() },
    ];
    let rows = stretches
        .iter()
        .rev()
        .filter(|one| one.mean_ms.is_some())
        .map(|one| vec![clock(&one.since), ms_or_dash(one.mean_ms), ms_or_dash(one.max_ms)]);
    let axis = (stretches.first().map(|one| clock(&one.since)), "now".to_owned());
    lines_chart(title, &lines, ms, axis, &table(&["from", "mean", "slowest"], rows))
}

/// What came of attempts, stretch by stretch: bars of what succeeded, failed, and was refused by a lockout.
pub(super) fn attempts(title: &str, stretches: &[Stretch]) -> Html {
    let total = |one: &Stretch| f64::from(one.succeeded) + f64::from(one.failed) + f64::from(one.refused);
    let top = stretches.iter().map(total).fold(0.0, f64::max);
    let mut svg = String::new();
    let step = WIDTH / stretches.len().max(1) as f64;
    for (place, one) in stretches.iter().enumerate() {
        let mut below = HEIGHT;
        for (class, value) in [("ok", one.succeeded), ("bad", one.failed), ("wait", one.refused)] {
            if value == 0 {
                continue;
            }
            // What is there at all can be seen.
            let height = (f64::from(value) / top * HEIGHT).max(1.5);
            below -= height;
            let (x, width) = (place as f64 * step + step * 0.1, step * 0.8);
            let _ = write!(
                svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>",
                below.max(0.0)
            );
        }
    }
    let legend = [("ok", "succeeded"), ("bad", "failed"), ("wait", "refused by a lockout")];
    let rows = stretches
        .iter()
        .rev()
        .filter(|one| total(one) > 0.0)
        .map(|one| vec![clock(&one.since), count(one.succeeded), count(one.failed), count(one.refused)]);
    let sum = |of: fn(&Stretch) -> u32| stretches.iter().map(|one| u64::from(of(one))).sum::<u64>();
    let said = format!(
        "{} succeeded, {} failed, {} refused",
        count(sum(|one| one.succeeded)),
        count(sum(|one| one.failed)),
        count(sum(|one| one.refused))
    );
    let axis = (stretches.first().map(|one| clock(&one.since)), "now".to_owned());
    let table = table(&["from", "succeeded", "failed", "refused"], rows);
    figure(title, &said, &legend, &count(top as u64), &svg, &axis, &table)
}

fn lines_chart(
    title: &str,
    lines: &[Line<'_>],
    unit: impl Fn(f64) -> String,
    axis: (Option<String>, String),
    table: &str,
) -> Html {
    let top = lines.iter().flat_map(|line| line.values.iter().flatten()).copied().fold(0.0, f64::max);
    let mut svg = String::new();
    for line in lines {
        let step = WIDTH / line.values.len().saturating_sub(1).max(1) as f64;
        let mut path = String::new();
        let mut is_down = false;
        for (place, value) in line.values.iter().enumerate() {
            let Some(value) = value else {
                is_down = false;
                continue;
            };
            let y = if top > 0.0 { HEIGHT - value / top * (HEIGHT - 2.0) - 1.0 } else { HEIGHT - 1.0 };
            let _ = write!(path, "{}{:.1} {y:.1}", if is_down { "L" } else { "M" }, place as f64 * step);
            if !is_down {
                // One value alone is a dot.
                path.push_str("h0.1");
            }
            is_down = true;
        }
        let _ = write!(svg, "<path class=\"line {}\" d=\"{path}\"/>", line.class);
    }
    let legend: Vec<(&str, &str)> = lines.iter().map(|line| (line.class, line.name)).collect();
    let last = lines.iter().map(|line| {
        let last = line.values.iter().rev().flatten().next();
        format!("{} {}", line.name, last.map_or_else(|| "unknown".into(), |last| unit(*last)))
    });
    let said = format!("at most {}; last: {}", unit(top), last.collect::<Vec<_>>().join(", "));
    figure(title, &said, &legend, &unit(top), &svg, &axis, table)
}

fn figure(
    title: &str,
    said: &str,
    legend: &[(&str, &str)],
    top: &str,
    svg: &str,
    (from, to): &(Option<String>, String),
    table: &str,
) -> Html {
    let keys =
        legend.iter().map(|(class, name)| format!("<span class=\"key {class}\">{}</span>", escaped(name)));
    let (title, said) = (escaped(title), escaped(said));
    Html(format!(
        "<figure class=\"chart\"><figcaption><b>{title}</b>{}</figcaption>\
         <div class=\"plot\"><span class=\"peak num\">{}</span>\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{title}: {said}\">\
         {svg}</svg></div>\
         <div class=\"axis num\"><span>{}</span><span>{}</span></div>\
         <details class=\"fold\"><summary>Numbers</summary>{table}</details></figure>",
        keys.collect::<String>(),
        escaped(top),
        escaped(from.as_deref().unwrap_or_default()),
        escaped(to),
    ))
}

/// The numbers of a chart, newest first.
fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let cells = |cells: &[String], tag: &str| {
        cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect::<String>()
    };
    let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    let rows: Vec<String> =
        rows.take(ROWS_MAX).map(|row| format!("<tr>{}</tr>", cells(&row, "td"))).collect();
    if rows.is_empty() {
        return "<p class=\"dim\">Nothing yet.</p>".into();
    }
    format!(
        "<table class=\"numbers num\"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>",
        cells(&header, "th"),
        rows.concat()
    )
}

/// The clock with seconds, for what happens each second.
fn clock_of(rfc3339: &str) -> String {
    rfc3339
        .parse::<jiff::Timestamp>()
        .map_or_else(|_| String::new(), |at| at.strftime("%H:%M:%S").to_string())
}

/// When the attempts of a delivery fall that nobody answers: one dot each, on a scale that grows with the waits.
pub(super) fn schedule(waits_ms: &[u64], jitter_percent: u8) -> Html {
    let mut at_ms = 0_u64;
    let mut moments = vec![0];
    moments.extend(waits_ms.iter().map(|wait| {
        at_ms += wait;
        at_ms
    }));
    // Seconds and days find room beside each other on a logarithmic scale.
    let scale = |ms: u64| (1.0 + ms as f64 / 1_000.0).ln();
    let widest = scale(at_ms).max(1e-9);
    let mut svg = format!("<path class=\"line axis-line\" d=\"M6 20H{}\"/>", WIDTH - 6.0);
    for ms in &moments {
        let x = 6.0 + scale(*ms) / widest * (WIDTH - 12.0);
        let _ = write!(svg, "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"20\" r=\"5\"/>");
    }
    let said = match waits_ms {
        [] => "one attempt, and none after it".to_owned(),
        _ => format!("{} attempts within {}", moments.len(), span(at_ms)),
    };
    let rows = moments.iter().enumerate().map(|(place, ms)| {
        let wait = place.checked_sub(1).and_then(|before| waits_ms.get(before));
        let wait = wait.map_or_else(|| "at once".into(), |wait| format!("after {}", span(*wait)));
        vec![(place + 1).to_string(), wait, span(*ms)]
    });
    let table = table(&["attempt", "wait", "since the message"], rows.collect::<Vec<_>>().into_iter());
    let jitter = match (waits_ms, jitter_percent) {
        ([], _) | (_, 0) => String::new(),
        (_, percent) => format!("each wait is spread by {percent} % to either side"),
    };
    Html(format!(
        "<figure class=\"chart schedule\"><figcaption><b>{}</b>{}</figcaption>\
         <svg viewBox=\"0 0 {WIDTH} 40\" role=\"img\" aria-label=\"When attempts fall: {}\">{svg}</svg>\
         <div class=\"axis num\"><span>at once</span><span>{}</span></div>\
         <details class=\"fold\"><summary>Numbers</summary>{table}</details></figure>",
        escaped(&said),
        escaped(&jitter),
        escaped(&said),
        escaped(&span(at_ms)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(succeeded: u32, failed: u32) -> Stretch {
        Stretch { since: "2026-01-01T10:00:00Z".into(), succeeded, failed, ..Stretch::default() }
    }

    #[test]
    fn bars_are_in_proportion_and_what_is_little_is_seen() {
        let html = attempts("Attempts", &[stretch(1_000, 0), stretch(0, 1), stretch(0, 0)]).0;
        assert!(
            html.contains("class=\"ok\" x=\"20.0\" y=\"0.0\" width=\"160.0\" height=\"120.0\""),
            "{html}"
        );
        assert!(
            html.contains("class=\"bad\" x=\"220.0\" y=\"118.5\" width=\"160.0\" height=\"1.5\""),
            "{html}"
        );
        assert!(html.contains("aria-label=\"Attempts: 1,000 succeeded, 1 failed, 0 refused\""), "{html}");
    }

    #[test]
    fn a_chart_of_nothing_is_a_chart() {
        for html in [attempts("A", &[]).0, times("T", &[]).0, rates("R", &[]).0] {
            assert!(html.contains("<svg") && !html.contains("NaN") && !html.contains("inf"), "{html}");
            assert!(html.contains("Nothing yet"), "{html}");
        }
    }

    #[test]
    fn a_schedule_has_a_dot_for_each_attempt() {
        let html = schedule(&[5_000, 30_000, 3_600_000], 10).0;
        assert_eq!(html.matches("<circle").count(), 4);
        assert!(html.contains("4 attempts within 1 h") && html.contains("10 %"), "{html}");
        assert!(schedule(&[], 0).0.contains("one attempt, and none after it"));
    }
}
