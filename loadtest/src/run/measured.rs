//! What a play has cost, and how fast it was.

use std::time::{Duration, Instant};

use super::account::{Account, Acknowledgements, Receipts, Totals};
use super::lane::Published;
use super::series;
use super::watch::Sample;
use crate::engine::{Counters, Engine, Reading, own_cpu};
use crate::receiver::Receiver;

/// How long the engine may take to count what it has delivered.
const COUNTING_PATIENCE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Readings at the beginning of a play.
pub(crate) struct Meter {
    reading: Reading,
    counters: Counters,
    receiver_cpu: Duration,
    own_cpu: Duration,
    totals: Totals,
}

/// A play in figures.
pub(crate) struct Measured {
    pub(crate) published: Published,
    pub(crate) acknowledgements: Acknowledgements,
    pub(crate) receipts: Receipts,
    /// Requests at endpoints that are not healthy.
    pub(crate) unhealthy: u64,
    pub(crate) engine_cpu: Duration,
    pub(crate) receiver_cpu: Duration,
    pub(crate) generator_cpu: Duration,
    pub(crate) written_bytes: u64,
    pub(crate) commits: u64,
    pub(crate) records: u64,
    pub(crate) resident_bytes: u64,
    pub(crate) resident_bytes_max: u64,
    pub(crate) samples: Vec<Sample>,
}

impl Meter {
    pub(crate) fn start(engine: &Engine, receiver: &Receiver, account: &Account) -> anyhow::Result<Self> {
        Ok(Self {
            counters: engine.counters()?,
            totals: account.totals(),
            receiver_cpu: receiver.cpu(),
            own_cpu: own_cpu(),
            reading: engine.reading()?,
        })
    }

    /// Waits until the engine has counted what was received, so that its work for that is measured too.
    pub(super) fn await_counting(&self, engine: &Engine, account: &Account) {
        let until = Instant::now() + COUNTING_PATIENCE;
        let expected = account.totals().expected - self.totals.expected;
        while Instant::now() < until {
            match engine.counters() {
                Ok(now) if now.delivered.saturating_sub(self.counters.delivered) < expected => {}
                _ => return,
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    pub(crate) fn stop(
        self,
        engine: &Engine,
        receiver: &Receiver,
        account: &Account,
        published: Published,
        samples: Vec<Sample>,
    ) -> Measured {
        // An engine that has died meanwhile is the verdict's affair.
        let reading = engine.reading().unwrap_or(self.reading);
        let receiver_cpu = receiver.cpu().saturating_sub(self.receiver_cpu);
        let own_cpu = own_cpu().saturating_sub(self.own_cpu);
        let counters = engine.counters().unwrap_or(self.counters);
        let (acknowledgements, receipts) = account.play();
        Measured {
            published,
            acknowledgements,
            receipts,
            unhealthy: account.totals().unhealthy - self.totals.unhealthy,
            engine_cpu: reading.cpu.saturating_sub(self.reading.cpu),
            receiver_cpu,
            generator_cpu: own_cpu.saturating_sub(receiver_cpu),
            written_bytes: reading.written_bytes.saturating_sub(self.reading.written_bytes),
            commits: counters.commits.saturating_sub(self.counters.commits),
            records: counters.records.saturating_sub(self.counters.records),
            resident_bytes: reading.resident_bytes,
            resident_bytes_max: reading.resident_bytes_max,
            samples,
        }
    }
}

impl Measured {
    /// Deliveries received at healthy endpoints.
    pub(crate) fn received(&self) -> u64 {
        self.receipts.since_acknowledged.count()
    }

    /// Deliveries received a second.
    pub(crate) fn received_per_second(&self) -> f64 {
        series::rate(self.receipts.series.counts())
    }

    /// Messages acknowledged a second.
    pub(crate) fn acknowledged_per_second(&self) -> f64 {
        series::rate(self.acknowledgements.series.counts())
    }

    /// CPU for each delivery, in microseconds.
    pub(crate) fn us_per_delivery(&self, cpu: Duration) -> f64 {
        self.per_delivery(cpu.as_secs_f64() * 1e6)
    }

    /// Of something, so much for each delivery.
    pub(crate) fn per_delivery(&self, amount: f64) -> f64 {
        amount / (self.received().max(1) as f64)
    }
}
