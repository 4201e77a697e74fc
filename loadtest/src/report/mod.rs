//! What a run has shown: a table for people, JSON for programs, a page with plots for later.
//!
//! ```text
//!   facts      what was run, where
//!   figures    one number each, or the median of several, against a target if there is one
//!   latencies  percentiles
//!   plots      in the page only
//!   verdict    is everything accounted for? decides the exit status
//! ```

mod figure;
mod files;
mod html;
mod json;
mod number;
mod page;
mod plot;
mod svg;
mod table;
mod text;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;

pub(crate) use figure::{Figure, Target};
pub(crate) use files::Files;
pub(crate) use plot::{Axis, Line, Plot};

use crate::run::{Percentiles, Verdict};

/// See the head of this file.
pub(crate) struct Report {
    /// The command that made it: `run`, `scenario million`.
    pub(crate) what: String,
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) latencies: Vec<(String, Percentiles)>,
    pub(crate) plots: Vec<Plot>,
    pub(crate) verdict: Option<Verdict>,
    /// What should not have happened, whatever the figures are.
    pub(crate) wrong: Vec<String>,
}

impl Report {
    /// An empty one that knows the machine.
    pub(crate) fn new(what: &str) -> Self {
        let (facts, figures, latencies, plots, verdict, wrong) = Default::default();
        let mut report = Self { what: what.to_owned(), facts, figures, latencies, plots, verdict, wrong };
        report.fact("posthaste-loadtest", env!("CARGO_PKG_VERSION").to_owned());
        report.fact("processors", std::thread::available_parallelism().map_or(0, usize::from).to_string());
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        report.fact("kernel", kernel.trim().to_owned());
        report
    }

    pub(crate) fn fact(&mut self, name: &str, value: String) {
        self.facts.push((name.to_owned(), value));
    }

    /// What went wrong after everything was measured.
    pub(crate) fn trouble(&mut self, what: &str, result: anyhow::Result<()>) {
        if let Err(error) = result {
            self.fact(what, format!("{error:#}"));
        }
    }

    pub(crate) fn figure(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// Says what should not have happened. The program ends with a failure then.
    pub(crate) fn wrong(&mut self, what: String) {
        self.wrong.push(what);
    }

    /// One more verdict, for several runs.
    pub(crate) fn judge(&mut self, verdict: Verdict) {
        self.verdict = Some(match self.verdict.take() {
            Some(before) => before.and(verdict),
            None => verdict,
        });
    }

    /// Shows it, writes the files, and says with what status to end.
    pub(crate) fn deliver(&self, files: &Files) -> anyhow::Result<ExitCode> {
        std::io::stdout().lock().write_all(text::write(self).as_bytes()).context("standard output")?;
        if let Some(path) = &files.json {
            let json = format!("{:#}\n", json::write(self));
            std::fs::write(path, json).with_context(|| format!("--json {}", path.display()))?;
        }
        if let Some(path) = &files.html {
            std::fs::write(path, page::write(self)).with_context(|| format!("--html {}", path.display()))?;
        }
        let lost = self.verdict.as_ref().is_some_and(|verdict| verdict.unaccounted() > 0);
        Ok(if lost || !self.wrong.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Says on standard error what went wrong.
pub(crate) fn complain(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr(), "posthaste-loadtest: {error:#}");
}

#[cfg(test)]
mod tests;
