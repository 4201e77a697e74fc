//! Small things that pages are made of: times, numbers, and where something stands.
//!
//! What is written as HTML here escapes what it is given.

use std::borrow::Borrow;
use std::fmt;

use askama::filters::HtmlSafe;
use jiff::Timestamp;

use crate::clock::unix_ms;

/// Text, made fit for HTML: also within quotes. What does not print is made visible.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// HTML that was made by one of these, or by a template.
#[derive(Debug, Clone, Default)]
pub(super) struct Html(pub(super) String);

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Html {}

/// A time: how long ago it was, and exactly when on hovering. RFC 3339 in, an em dash for what is none.
pub(super) fn when(rfc3339: &str) -> Html {
    let Ok(at) = rfc3339.parse::<Timestamp>() else { return Html("—".into()) };
    let ago_ms = unix_ms() as i64 - at.as_millisecond();
    let exact = exact(at);
    Html(format!("<time datetime=\"{at}\" title=\"{exact}\">{}</time>", relative(ago_ms)))
}

/// As [`when`], of what there may be.
pub(super) fn when_or(rfc3339: Option<&String>, otherwise: &str) -> Html {
    rfc3339.map_or_else(|| Html(escaped(otherwise)), |text| when(text))
}

fn exact(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// When a door that is shut is tried again: at its time, or with what comes after it.
pub(super) fn tried_again(until: Option<&String>) -> Html {
    match until.and_then(|text| text.parse::<Timestamp>().ok()) {
        Some(at) if at.as_millisecond() > unix_ms() as i64 => {
            Html(format!("tried again {}", when(&at.to_string())))
        }
        _ => Html("tried with the next attempt".into()),
    }
}

/// A time in full, for headings and details.
pub(super) fn exactly(rfc3339: &str) -> String {
    rfc3339.parse::<Timestamp>().map_or_else(|_| "—".into(), exact)
}

/// Hours and minutes, for the axis of a chart.
pub(super) fn clock(rfc3339: &str) -> String {
    rfc3339.parse::<Timestamp>().map_or_else(|_| String::new(), |at| at.strftime("%H:%M").to_string())
}

/// "3 min ago", "in 2 h". The script of the pages says the same.
fn relative(ago_ms: i64) -> String {
    let ms = ago_ms.unsigned_abs();
    let span = match ms {
        0..1_500 => return if ago_ms >= 0 { "just now".into() } else { "in a moment".into() },
        1_500..60_000 => format!("{} s", ms / 1_000),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        3_600_000..86_400_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    };
    if ago_ms >= 0 { format!("{span} ago") } else { format!("in {span}") }
}

/// A span of time: 90 s is "1 min 30 s".
pub(super) fn span(ms: impl Count) -> String {
    let ms = u64::try_from(ms.number()).unwrap_or(0);
    let (days, hours, minutes) = (ms / 86_400_000, ms / 3_600_000 % 24, ms / 60_000 % 60);
    let seconds = ms / 1_000 % 60;
    let two = |large: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {small_unit}"),
    };
    match () {
        () if days > 0 => two(days, "d", hours, "h"),
        () if hours > 0 => two(hours, "h", minutes, "min"),
        () if minutes > 0 => two(minutes, "min", seconds, "s"),
        () if ms >= 1_000 => format!("{seconds} s"),
        () => format!("{ms} ms"),
    }
}

/// Milliseconds as a person reads them: 0.8 ms, 12 ms, 1.4 s.
pub(super) fn ms(ms: impl Borrow<f64>) -> String {
    match *ms.borrow() {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms if ms < 10_000.0 => format!("{:.1} s", ms / 1_000.0),
        ms => format!("{:.0} s", ms / 1_000.0),
    }
}

/// As [`ms`], of what there may be.
pub(super) fn ms_or_dash(given: impl Borrow<Option<f64>>) -> String {
    given.borrow().map_or_else(|| "—".into(), ms)
}

/// A share of one as percent: 99.95 %, 100 %.
pub(super) fn percent(share: impl Borrow<Option<f64>>) -> String {
    match *share.borrow() {
        None => "—".into(),
        // What is not all shall not read as all.
        Some(share) if share < 1.0 && share > 0.999 => format!("{:.2} %", (share * 10_000.0).floor() / 100.0),
        Some(share) if (share * 100.0).fract() == 0.0 => format!("{:.0} %", share * 100.0),
        Some(share) => format!("{:.1} %", share * 100.0),
    }
}

/// A whole number. (Templates hand over references.)
pub(super) trait Count {
    fn number(&self) -> i128;
}

macro_rules! counts {
    ($($kind:ty),*) => {
        $(impl Count for $kind {
            fn number(&self) -> i128 {
                *self as i128
            }
        })*
    };
}

counts!(u8, u16, u32, u64, usize, i32, i64);

impl<T: Count> Count for &T {
    fn number(&self) -> i128 {
        (**self).number()
    }
}

/// 1234567 as 1,234,567.
pub(super) fn count(number: impl Count) -> String {
    let number = number.number();
    let digits = number.unsigned_abs().to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if number < 0 { format!("−{out}") } else { out }
}

/// A rate: 0, 0.4, 12, 8,731.
pub(super) fn rate(per_second: impl Borrow<f64>) -> String {
    match *per_second.borrow() {
        rate if rate <= 0.0 => "0".into(),
        rate if rate < 10.0 => format!("{rate:.1}"),
        rate => count(rate.round() as i64),
    }
}

/// Bytes: 512 B, 1.4 GiB.
pub(super) fn bytes(bytes: impl Borrow<u64>) -> String {
    let bytes = *bytes.borrow();
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let (mut value, mut unit) = (bytes as f64 / 1_024.0, 0);
    while value >= 1_024.0 && unit + 1 < units.len() {
        (value, unit) = (value / 1_024.0, unit + 1);
    }
    if value < 10.0 { format!("{value:.1} {}", units[unit]) } else { format!("{value:.0} {}", units[unit]) }
}

/// A state in a word, with a colour that says the same.
fn pill(kind: &str, text: &str) -> Html {
    Html(format!("<span class=\"pill {kind}\">{}</span>", escaped(text)))
}

/// Where a delivery stands.
pub(super) fn state(name: &str) -> Html {
    match name {
        "delivered" => pill("ok", "delivered"),
        "exhausted" => pill("bad", "exhausted"),
        "pending" => pill("wait", "pending"),
        "cancelled" => pill("off", "cancelled"),
        other => pill("off", other),
    }
}

/// How an attempt ended: the status where there was one, or what was in the way.
pub(super) fn outcome(name: &str, status: impl Count) -> Html {
    let kind = match name {
        "success" => "ok",
        "url_locked_out" | "host_locked_out" => "wait",
        "withdrawn" => "off",
        _ => "bad",
    };
    match status.number() {
        0 => pill(kind, &name.trim_start_matches("url_").replace('_', " ")),
        status => pill(kind, &status.to_string()),
    }
}

/// Whether an endpoint gets anything, and how its door stands.
pub(super) fn endpoint_state(
    disabled: impl Borrow<bool>,
    reason: Option<&String>,
    health: Option<&str>,
) -> Html {
    match (*disabled.borrow(), health) {
        (true, _) => match reason.map(String::as_str) {
            Some("by_hand") | None => pill("off", "paused"),
            Some(reason) => pill("bad", &format!("disabled: {}", reason.replace('_', " "))),
        },
        (false, Some("locked_out")) => pill("bad", "locked out"),
        (false, Some("probing")) => pill("wait", "probing"),
        (false, _) => pill("ok", "active"),
    }
}

/// How a background task stands.
pub(super) fn task_state(name: &str) -> Html {
    match name {
        "running" => pill("wait", "running"),
        "finished" => pill("ok", "finished"),
        other => pill("bad", other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_text_whatever_is_in_it() {
        assert_eq!(
            escaped("<a href=\"x\" b='&'>\u{7}\u{1b}[1m\n"),
            "&lt;a href=&quot;x&quot; b=&#39;&amp;&#39;&gt;\u{fffd}\u{fffd}[1m\n"
        );
        assert_eq!(pill("ok", "<b>").0, "<span class=\"pill ok\">&lt;b&gt;</span>");
        assert_eq!(when("<script>").0, "—");
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(
            [count(0), count(999), count(1_000), count(1_234_567), count(-1_000)].join(" "),
            "0 999 1,000 1,234,567 −1,000"
        );
        assert_eq!([ms(0.84), ms(12.3), ms(1_400.0), ms(32_000.0)].join(", "), "0.8 ms, 12 ms, 1.4 s, 32 s");
        assert_eq!(
            [
                percent(None),
                percent(Some(1.0)),
                percent(Some(0.99996)),
                percent(Some(0.985)),
                percent(Some(0.0))
            ]
            .join(", "),
            "—, 100 %, 99.99 %, 98.5 %, 0 %"
        );
        assert_eq!([bytes(512), bytes(1_500), bytes(1_500 << 20)].join(", "), "512 B, 1.5 KiB, 1.5 GiB");
        assert_eq!([rate(0.0), rate(0.44), rate(8_731.2)].join(", "), "0, 0.4, 8,731");
        assert_eq!(
            [span(250), span(90_000), span(3_600_000), span(100_800_000)].join(", "),
            "250 ms, 1 min 30 s, 1 h, 1 d 4 h"
        );
        assert_eq!(
            [relative(200), relative(61_000), relative(-7_200_000)].join(", "),
            "just now, 1 min ago, in 2 h"
        );
    }
}
