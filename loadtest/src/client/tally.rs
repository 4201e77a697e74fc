//! How it went: counts, times, CPU.

use std::io::{self, Write};
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// So many counts stand side by side, so that threads seldom wait for each other.
const SHARDS: usize = 8;
const LATENCY_US_MAX: u64 = 600_000_000;

/// What the senders of one phase have counted.
pub(super) struct Tally {
    shards: Vec<Mutex<Shard>>,
}

struct Shard {
    latency_us: Histogram<u32>,
    failed: u64,
}

/// The figures of a measurement.
pub(super) struct Figures {
    requests: u64,
    failed: u64,
    seconds: f64,
    cpu_us: f64,
    p50_us: u64,
    p99_us: u64,
    max_us: u64,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard { latency_us: histogram(), failed: 0 })).collect(),
        }
    }

    /// Counts one request, by the sender that made it.
    pub(super) fn count(&self, slot: usize, succeeded: bool, latency: Duration) {
        let mut shard = self.shards[slot % SHARDS].lock();
        shard.failed += u64::from(!succeeded);
        shard.latency_us.saturating_record(latency.as_micros() as u64);
    }

    /// The figures, of a phase that took `elapsed` and `cpu`.
    pub(super) fn figures(self, elapsed: Duration, cpu: Duration) -> Figures {
        let (mut latency_us, mut failed) = (histogram(), 0);
        for shard in self.shards {
            let shard = shard.into_inner();
            failed += shard.failed;
            // Both have the same bounds, so that there is nothing that could not be added.
            let _ = latency_us.add(&shard.latency_us);
        }
        Figures {
            requests: latency_us.len(),
            failed,
            seconds: elapsed.as_secs_f64(),
            cpu_us: cpu.as_secs_f64() * 1e6,
            p50_us: latency_us.value_at_quantile(0.5),
            p99_us: latency_us.value_at_quantile(0.99),
            max_us: latency_us.max(),
        }
    }
}

impl Figures {
    pub(super) fn to_json(&self, kind: &str) -> Value {
        json!({
            "kind": kind,
            "requests": self.requests,
            "failed": self.failed,
            "seconds": self.seconds,
            "per_second": self.per_second(),
            "cpu_us_per_request": self.cpu_us_per_request(),
            "p50_us": self.p50_us,
            "p99_us": self.p99_us,
            "max_us": self.max_us,
        })
    }

    pub(super) fn write_table(&self, kind: &str, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{:<32}{kind:>14}", "client")?;
        writeln!(out, "{:<32}{:>14}", "requests", self.requests)?;
        writeln!(out, "{:<32}{:>14}", "  failed", self.failed)?;
        writeln!(out, "{:<32}{:>14.3}", "seconds", self.seconds)?;
        writeln!(out, "{:<32}{:>14.0}", "requests a second", self.per_second())?;
        writeln!(out, "{:<32}{:>14.2}", "CPU per request, \u{b5}s", self.cpu_us_per_request())?;
        writeln!(out, "{:<32}{:>14}", "latency p50, \u{b5}s", self.p50_us)?;
        writeln!(out, "{:<32}{:>14}", "latency p99, \u{b5}s", self.p99_us)?;
        writeln!(out, "{:<32}{:>14}", "latency max, \u{b5}s", self.max_us)
    }

    fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    fn cpu_us_per_request(&self) -> f64 {
        self.cpu_us / self.requests as f64
    }
}

fn histogram() -> Histogram<u32> {
    #[expect(clippy::expect_used, reason = "the bounds are constants")]
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("bounds that are bounds")
}

/// CPU of this process so far, user and system.
pub(super) fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_all_senders_together() {
        let tally = Tally::new();
        for slot in 0..100 {
            tally.count(slot, slot != 7, Duration::from_micros(slot as u64 + 1));
        }
        let figures = tally.figures(Duration::from_secs(2), Duration::from_micros(1_500));
        let json = figures.to_json("pooled");
        assert_eq!((&json["requests"], &json["failed"]), (&100.into(), &1.into()));
        assert_eq!((&json["per_second"], &json["cpu_us_per_request"]), (&50.0.into(), &15.0.into()));
        assert_eq!(
            (&json["p50_us"], &json["p99_us"], &json["max_us"]),
            (&50.into(), &99.into(), &100.into())
        );
    }
}
