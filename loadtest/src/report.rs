//! What a run has shown, in words and numbers.

use std::io::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use posthaste_protocol::client::Outcomes;

use super::Arguments;
use super::publish::Published;

/// What a run has shown.
#[derive(Default)]
pub(super) struct Report {
    acknowledged: u64,
    pub(super) refused: u64,
    first_refusal: Option<String>,
    chunk_us: Option<Histogram<u64>>,
    pub(super) acknowledged_in: Duration,
    /// How deliveries ended; `None` when it was not waited for, or not all ended in time.
    pub(super) ends: Option<Ends>,
    pub(super) ended_in: Duration,
}

/// Deliveries that ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ends {
    delivered: u64,
    otherwise: u64,
}

/// Follows outcomes until so many deliveries have ended.
pub(super) async fn count_ends(mut outcomes: Outcomes, wanted: u64) -> anyhow::Result<Ends> {
    let mut ends = Ends::default();
    while ends.delivered + ends.otherwise < wanted {
        match outcomes.next().await?.state.as_str() {
            "delivered" => ends.delivered += 1,
            "exhausted" | "cancelled" => ends.otherwise += 1,
            _ => {}
        }
    }
    Ok(ends)
}

impl Report {
    pub(super) fn add(&mut self, published: Published) {
        self.acknowledged += published.acknowledged;
        self.refused += published.refused;
        self.first_refusal = self.first_refusal.take().or(published.first_refusal);
        match &mut self.chunk_us {
            Some(all) => all.add(published.chunk_us).expect("histograms of one kind add up"),
            none => *none = Some(published.chunk_us),
        }
    }

    pub(super) fn print(&self, arguments: &Arguments) {
        let mut out = String::new();
        let rate = |count: u64, took: Duration| count as f64 / took.as_secs_f64();
        out += &format!(
            "acknowledged {} messages of {} bytes in {:.2} s: {:.0}/s over {} connections\n",
            self.acknowledged,
            arguments.payload_bytes,
            self.acknowledged_in.as_secs_f64(),
            rate(self.acknowledged, self.acknowledged_in),
            arguments.connections,
        );
        if let Some(us) = &self.chunk_us {
            let ms = |quantile| us.value_at_quantile(quantile) as f64 / 1_000.0;
            out += &format!(
                "a chunk of up to 512 was acknowledged within p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms\n",
                ms(0.5),
                ms(0.99),
                us.max() as f64 / 1_000.0
            );
        }
        if self.refused > 0 {
            let why = self.first_refusal.as_deref().unwrap_or_default();
            out += &format!("refused {}; the first: {why}\n", self.refused);
        }
        match self.ends {
            Some(ends) => {
                out += &format!(
                    "ended {} deliveries ({} delivered) in {:.2} s: {:.0}/s\n",
                    ends.delivered + ends.otherwise,
                    ends.delivered,
                    self.ended_in.as_secs_f64(),
                    rate(ends.delivered + ends.otherwise, self.ended_in),
                );
            }
            None if arguments.deliveries > 0 => {
                out += &format!("{} deliveries did not end in time\n", arguments.deliveries);
            }
            None => {}
        }
        // A closed pipe is the reader's choice.
        let _ = std::io::stdout().write_all(out.as_bytes());
    }
}

/// Says on standard error what went wrong.
pub(super) fn complain(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr(), "posthaste-loadtest: {error:#}");
}
