//! A plot, drawn as SVG. Colours come from the page, so that light and dark are the page's affair.

use super::html::escaped;
use super::plot::{Plot, Span};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 280.0;
/// Room for what is written at the axes.
const LEFT: f64 = 80.0;
const RIGHT: f64 = 36.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 44.0;
/// Classes of lines that the page has colours for.
const COLOURS: usize = 4;

pub(super) fn draw(plot: &Plot) -> String {
    let points = || plot.lines.iter().flat_map(|line| &line.points);
    let x = Span::of(plot.x.scale, points().map(|point| point.0));
    let y = Span::of(plot.y.scale, points().map(|point| point.1));
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
        escaped(&plot.title)
    );
    for tick in x.ticks() {
        let at = across(tick.place);
        out += &format!(
            "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{:.1}\"/>\n",
            down(0.0)
        );
        out += &text(at, HEIGHT - 26.0, "middle", &tick.text);
    }
    for tick in y.ticks() {
        let at = down(tick.place);
        out += &format!(
            "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\"/>\n",
            across(1.0)
        );
        out += &text(LEFT - 8.0, at + 4.0, "end", &tick.text);
    }
    out += &text(across(0.5), HEIGHT - 6.0, "middle", &plot.x.label);
    for (number, line) in plot.lines.iter().enumerate() {
        let places = line.points.iter().filter_map(|point| Some((x.place(point.0)?, y.place(point.1)?)));
        let places: Vec<_> = places.map(|(x, y)| format!("{:.1},{:.1}", across(x), down(y))).collect();
        out += &format!("<polyline class=\"line c{}\" points=\"{}\"/>\n", number % COLOURS, places.join(" "));
    }
    out + "</svg>\n"
}

/// What the colours of the lines mean.
pub(super) fn legend(plot: &Plot) -> String {
    let items = plot.lines.iter().enumerate().map(|(number, line)| {
        format!("<span class=\"key c{}\">{}</span>\n", number % COLOURS, escaped(&line.name))
    });
    items.collect()
}

fn text(x: f64, y: f64, anchor: &str, text: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>\n", escaped(text))
}

fn across(place: f64) -> f64 {
    LEFT + place * (WIDTH - LEFT - RIGHT)
}

fn down(place: f64) -> f64 {
    HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)
}
