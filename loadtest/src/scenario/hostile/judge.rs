//! The judge: did every attempt end as its fault says, within its deadline?

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::super::context::setting;
use super::set::Sets;
use crate::engine::Setting;
use crate::fault::{Fault, Place, Transport};

/// How late an attempt may be, as a share of its deadline.
const LATE_SHARE_MAX: f64 = 0.1;
/// Ends that are told of, of those that are wrong.
const TOLD_MAX: usize = 40;

/// The deadlines that the engine is given, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    phase_ms: u32,
    total_ms: u32,
}

impl Deadlines {
    /// Short ones, so that many rounds take minutes. A quick look is more patient: it runs beside other tests.
    pub(super) fn new(quick: bool) -> Self {
        let phase_ms = if quick { 1_000 } else { 750 };
        Self { phase_ms, total_ms: 2 * phase_ms }
    }

    pub(super) fn settings(&self) -> Vec<Setting> {
        let phase = format!("{}ms", self.phase_ms);
        let phases = ["dns", "connect", "tls", "first_byte"];
        let phases = phases.map(|name| setting(&format!("delivery.timeout_{name}"), &phase));
        let total = setting("delivery.timeout_total", &format!("{}ms", self.total_ms));
        phases.into_iter().chain([total]).collect()
    }

    /// By how much the latest part of an attempt was within its deadline, as a share: 1 is on time.
    fn share_used(&self, timing: &Value) -> f64 {
        let parts = ["dnsMs", "connectMs", "tlsMs", "firstByteMs"].map(|name| (name, self.phase_ms));
        let parts = parts.into_iter().chain([("totalMs", self.total_ms)]);
        let shares = parts.map(|(name, limit)| timing[name].as_f64().unwrap_or(f64::MAX) / f64::from(limit));
        shares.fold(0.0, f64::max)
    }
}

impl fmt::Display for Deadlines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms for each part of an attempt, {} ms for the whole", self.phase_ms, self.total_ms)
    }
}

/// See the head of this file.
pub(super) struct Judge {
    deadlines: Deadlines,
    tallies: BTreeMap<(&'static str, &'static str), Tally>,
    /// What is wrong, in words.
    wrong: Vec<String>,
    ended_otherwise: u64,
    late: u64,
    latest_share: f64,
}

/// What became of the attempts at one fault over one version of HTTP.
#[derive(Default)]
struct Tally {
    outcomes: BTreeMap<String, u64>,
    longest_ms: f64,
}

impl Judge {
    pub(super) fn new(deadlines: Deadlines) -> Self {
        let (tallies, wrong) = Default::default();
        Self { deadlines, tallies, wrong, ended_otherwise: 0, late: 0, latest_share: 0.0 }
    }

    /// Takes an attempt as the history shows it.
    pub(super) fn attempt(&mut self, sets: &Sets<'_>, attempt: &Value) {
        let endpoint = attempt["endpointId"].as_str().unwrap_or_default();
        match sets.place(endpoint) {
            Some(Place { fault, transport, .. }) => self.judge(fault, *transport, attempt),
            None => self.say(format!("an attempt at {endpoint}, which is no endpoint of the faults")),
        }
    }

    fn judge(&mut self, fault: &Fault, transport: Transport, attempt: &Value) {
        let text = |name: &str| attempt[name].as_str().unwrap_or_default();
        let (outcome, detail) = (text("outcome"), text("detail"));
        let status = attempt["responseStatusCode"].as_u64().unwrap_or(0) as u16;
        let tally = self.tallies.entry((fault.name, transport.name())).or_default();
        *tally.outcomes.entry(outcome.to_owned()).or_default() += 1;
        tally.longest_ms = tally.longest_ms.max(attempt["timing"]["totalMs"].as_f64().unwrap_or(f64::MAX));
        let (name, by) = (fault.name, transport.name());
        if !fault.ends.iter().any(|end| end.is(outcome, status, detail)) {
            self.ended_otherwise += 1;
            self.say(format!("{name} {by} ended as {outcome} {status} '{detail}', not as {:?}", fault.ends));
        }
        let share = self.deadlines.share_used(&attempt["timing"]);
        self.latest_share = self.latest_share.max(share);
        if share > 1.0 + LATE_SHARE_MAX {
            self.late += 1;
            self.say(format!("{name} {by} took longer than it may: {}", attempt["timing"]));
        }
    }

    /// Takes an attempt at a receiver that behaves.
    pub(super) fn beside(&mut self, attempt: &Value) {
        if attempt["outcome"] != "success" || attempt["attemptNumber"] != 1 {
            self.say(format!("beside the faults a delivery failed: {attempt}"));
        }
    }

    fn say(&mut self, wrong: String) {
        if self.wrong.len() < TOLD_MAX {
            self.wrong.push(wrong);
        }
    }

    pub(super) fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    pub(super) fn kinds(&self) -> usize {
        self.tallies.len()
    }

    pub(super) fn attempts(&self) -> u64 {
        self.tallies.values().flat_map(|tally| tally.outcomes.values()).sum()
    }

    pub(super) fn wrong(&self) -> &[String] {
        &self.wrong
    }

    pub(super) fn ended_otherwise(&self) -> u64 {
        self.ended_otherwise
    }

    pub(super) fn late(&self) -> u64 {
        self.late
    }

    pub(super) fn latest_percent(&self) -> f64 {
        100.0 * self.latest_share
    }

    /// For each fault and version of HTTP: how attempts ended, and how long the longest took.
    pub(super) fn rows(&self) -> impl Iterator<Item = (String, String)> {
        self.tallies.iter().map(|((name, by), tally)| {
            let outcomes = tally.outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}"));
            let outcomes = outcomes.collect::<Vec<_>>().join(", ");
            (format!("{name} {by}"), format!("{outcomes}; {:.0} ms at most", tally.longest_ms))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fault;

    /// What is wrong with an attempt at a receiver that answers 410, over HTTP/2.
    fn wrong(outcome: &str, status: u16, total_ms: f64) -> Vec<String> {
        let mut judge = Judge::new(Deadlines::new(true));
        let parts =
            json!({ "dnsMs": 0.0, "connectMs": 1.0, "tlsMs": 2.0, "firstByteMs": 3.0, "totalMs": total_ms });
        let attempt = json!({
            "outcome": outcome, "responseStatusCode": status, "detail": "the receiver wants nothing more at this URL",
            "timing": parts,
        });
        judge.judge(fault::named("gone")[0], Transport::Http2, &attempt);
        judge.wrong().to_vec()
    }

    #[test]
    fn an_attempt_that_ends_as_its_fault_says_within_its_deadline_is_right() {
        assert_eq!(wrong("gone", 410, 6.0), Vec::<String>::new());
        assert_eq!(wrong("gone", 410, 2_200.0), Vec::<String>::new());
    }

    #[test]
    fn an_attempt_that_ends_otherwise_or_too_late_is_named() {
        assert!(wrong("bad_status", 410, 6.0)[0].starts_with("gone h2 ended as bad_status 410"));
        assert!(wrong("gone", 200, 6.0)[0].starts_with("gone h2 ended as gone 200"));
        assert!(wrong("gone", 410, 2_201.0)[0].starts_with("gone h2 took longer than it may"));
        let mut judge = Judge::new(Deadlines::new(true));
        judge.beside(&json!({ "outcome": "success", "attemptNumber": 2 }));
        assert_eq!(judge.wrong().len(), 1);
    }
}
