//! What was received so far: JSON for `GET /stats`, a table at the end.

use std::io::{self, Write};
use std::sync::atomic::Ordering::Relaxed;

use serde_json::{Map, Value, json};

use super::account::Account;
use super::counters::{Counters, Sums};
use super::worker::{Gauge, Shared};

/// A look at all counters of a receiver.
pub(crate) struct Stats {
    sums: Sums,
    connections_accepted: u64,
    connections: (u64, u64),
    in_flight: (u64, u64),
    account: Option<Account>,
    cpu_us: u64,
}

impl Stats {
    pub(super) fn of(shared: &Shared) -> Self {
        let both = |gauge: &Gauge| (gauge.now.load(Relaxed), gauge.peak.load(Relaxed));
        Self {
            sums: Counters::sums(shared.counters.iter()),
            connections_accepted: shared.connections.accepted.load(Relaxed),
            connections: both(&shared.connections.open),
            in_flight: both(&shared.in_flight),
            account: shared.rules.ledger.as_ref().map(|ledger| ledger.account()),
            cpu_us: shared.cpu.used().as_micros() as u64,
        }
    }

    pub(super) fn to_json(&self) -> String {
        let statuses =
            self.sums.statuses.iter().map(|(status, count)| (status_name(*status), Value::from(*count)));
        let behaviours =
            self.sums.behaviours.iter().map(|(name, count)| ((*name).to_owned(), Value::from(*count)));
        json!({
            "requests": self.sums.requests,
            "body_bytes": self.sums.body_bytes,
            "behaviours": behaviours.collect::<Map<_, _>>(),
            "statuses": statuses.collect::<Map<_, _>>(),
            "signature_failures": self.sums.signature_failures,
            "refused": self.sums.refused,
            "in_flight": { "now": self.in_flight.0, "peak": self.in_flight.1 },
            "connections": {
                "accepted": self.connections_accepted,
                "open": self.connections.0,
                "peak": self.connections.1,
            },
            "account": self.account,
            "cpu_us": self.cpu_us,
        })
        .to_string()
    }

    pub(super) fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        for (name, value) in self.rows() {
            writeln!(out, "{name:<32}{value:>14}")?;
        }
        Ok(())
    }

    fn rows(&self) -> Vec<(String, u64)> {
        let mut rows =
            vec![row("requests", self.sums.requests), row("bytes of bodies", self.sums.body_bytes)];
        rows.extend(
            self.sums.behaviours.iter().map(|(name, count)| row(&format!("  asked for {name}"), *count)),
        );
        rows.extend(self.sums.statuses.iter().map(|(status, count)| {
            let name = status_name(*status);
            row(&if *status == 0 { format!("  {name}") } else { format!("  answered {name}") }, *count)
        }));
        rows.push(row("signatures wrong or missing", self.sums.signature_failures));
        rows.push(row("no request, or over a limit", self.sums.refused));
        rows.push(row("requests in flight at most", self.in_flight.1));
        rows.push(row("connections accepted", self.connections_accepted));
        rows.push(row("connections open at most", self.connections.1));
        rows.extend(self.account.iter().flat_map(Account::rows).map(|(name, count)| row(name, count)));
        rows.push(row("CPU, \u{b5}s", self.cpu_us));
        rows
    }
}

fn row(name: &str, value: u64) -> (String, u64) {
    (name.to_owned(), value)
}

fn status_name(status: u16) -> String {
    if status == 0 { "unanswered".to_owned() } else { status.to_string() }
}
