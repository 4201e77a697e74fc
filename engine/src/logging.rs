//! Logs: structured events on standard error. Nothing is logged per delivery at the default level.
//!
//! What others choose (names of applications, answers of receivers, bytes on a port) may come into a log line, and must
//! not be more than text there: an escape sequence would steer the terminal of whoever reads it, a line break would
//! forge a line. So whatever writes an event, its control characters are written as `\u001b` and the like.
//!
//! Invariants
//! - One event is one line.
//! - No control character reaches standard error, but for the line's end and, on a terminal, colours.

use std::io::{self, Write};

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts logging. To be called once.
///
/// # Errors
/// When the filter cannot be read, or logging was started before.
pub fn start(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::builder().parse(filter).with_context(|| format!("log.filter = {filter}"))?;
    let colours = format == LogFormat::Text && io::IsTerminal::is_terminal(&io::stderr());
    let plain = move || Plain { to: io::stderr(), colours };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(plain);
    let started = match format {
        LogFormat::Text => builder.with_ansi(colours).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging: {error}"))
}

/// Writes events, each in one piece, without control characters.
struct Plain<W> {
    to: W,
    /// Whether sequences that set a colour (ECMA-48 SGR) may pass.
    colours: bool,
}

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.to.write_all(plain(&String::from_utf8_lossy(event), self.colours).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The event with its control characters escaped, except for the line break at its end.
fn plain(event: &str, colours: bool) -> String {
    let line = event.strip_suffix('\n').unwrap_or(event);
    let mut out = String::with_capacity(event.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        let colour = colours.then(|| colour(c, rest.as_str())).flatten();
        if let Some(colour) = colour {
            out.push(c);
            out.push_str(colour);
            rest = rest.as_str()[colour.len()..].chars();
        } else if is_steering(c) {
            // As JSON escapes it, so that a line of JSON stays one.
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    if line.len() < event.len() {
        out.push('\n');
    }
    out
}

/// Control characters, what ends a line or paragraph, and what turns the direction of the text around.
fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// What follows `c` if the two set a colour: `[`, digits and semicolons, `m`.
fn colour(c: char, rest: &str) -> Option<&str> {
    let parameters = rest.strip_prefix('[').filter(|_| c == '\u{1b}')?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters[end..].starts_with('m').then(|| &rest[..end + "[m".len()])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    /// Everything that steers a terminal or forges a line, as an attacker would send it.
    const FOREIGN: &str =
        "a\u{1b}[2J\u{1b}]0;title\u{7}b\r\nERROR forged\u{9b}31m\u{202e}\u{0}\u{7f}\t\u{8}c";

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a subscriber such as [`start`] makes writes of a foreign text in each place that an event has for it.
    fn written(format: LogFormat, colours: bool) -> String {
        let kept = Kept::default();
        let to = kept.clone();
        let builder = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .with_writer(move || Plain { to: to.clone(), colours });
        let log = || tracing::info!(shown = %FOREIGN, quoted = ?FOREIGN, text = FOREIGN, "{FOREIGN}");
        match format {
            LogFormat::Text => tracing::subscriber::with_default(builder.with_ansi(colours).finish(), log),
            LogFormat::Json => tracing::subscriber::with_default(builder.json().finish(), log),
        }
        let bytes = kept.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn rustsec_2025_0055_no_control_character_of_others_reaches_the_log() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let log = written(format, false);
            let line = log.strip_suffix('\n').unwrap();
            assert!(line.contains("forged"), "{line}");
            assert!(!line.chars().any(is_steering), "{line:?}");
        }
        serde_json::from_str::<serde_json::Value>(&written(LogFormat::Json, false)).unwrap();
    }

    #[test]
    fn on_a_terminal_nothing_but_colours_passes() {
        let log = written(LogFormat::Text, true);
        let colours = log.matches('\u{1b}').count();
        assert!(colours > 0, "{log:?}");
        let sequences = log.split('\u{1b}').skip(1);
        for sequence in sequences {
            assert!(colour('\u{1b}', sequence).is_some(), "{sequence:?}");
        }
        assert_eq!(log.chars().filter(|&c| c != '\u{1b}' && is_steering(c)).collect::<String>(), "\n");
    }

    #[test]
    fn what_cannot_harm_is_left_as_it_is() {
        assert_eq!(plain("Zoë → 42 \"x\"\n", false), "Zoë → 42 \"x\"\n");
        assert_eq!(plain("one\ntwo", false), "one\\u000atwo");
        assert_eq!(
            plain("\u{1b}[1;31mred\u{1b}[0m \u{1b}[2J\n", true),
            "\u{1b}[1;31mred\u{1b}[0m \\u001b[2J\n"
        );
        assert_eq!(plain("\u{1b}[", true), "\\u001b[");
    }
}
