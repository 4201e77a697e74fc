//! How long something took, as a histogram of nanoseconds.

use hdrhistogram::Histogram;

/// An hour; what takes longer counts as that.
const NS_MAX: u64 = 3_600_000_000_000;
/// Three digits: a value is told from its neighbours at 0.1%.
const DIGITS: u8 = 3;

/// See the head of this file.
#[derive(Debug, Clone)]
pub(crate) struct Latency(Histogram<u64>);

/// What is shown of it, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub(crate) struct Percentiles {
    pub(crate) count: u64,
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
}

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, NS_MAX, DIGITS).expect("bounds that a histogram can have"))
    }
}

impl Latency {
    pub(crate) fn record(&mut self, ns: u64) {
        self.0.saturating_record(ns);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        Percentiles {
            count: self.0.len(),
            p50_us: self.us(50.0),
            p90_us: self.us(90.0),
            p99_us: self.us(99.0),
            p999_us: self.us(99.9),
            max_us: self.0.max() as f64 / 1e3,
        }
    }

    /// For a plot: percentiles towards 100, each closer to it than the one before, and their microseconds.
    pub(crate) fn curve(&self) -> Vec<(f64, f64)> {
        // As many nines as there are values to tell them apart.
        let steps = (self.0.len() as f64).log10().max(0.0) * 10.0;
        let percentile = |step: u32| 100.0 * (1.0 - 10_f64.powf(-f64::from(step) / 10.0));
        (0..=steps as u32).map(|step| (percentile(step), self.us(percentile(step)))).collect()
    }

    fn us(&self, percentile: f64) -> f64 {
        self.0.value_at_percentile(percentile) as f64 / 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut latency = Latency::default();
        (1..=1_000).for_each(|us| latency.record(us * 1_000));
        let percentiles = latency.percentiles();
        let near = |value: f64, wanted: f64| (value / wanted - 1.0).abs() < 0.002;
        assert!(near(percentiles.p50_us, 500.0) && near(percentiles.p99_us, 990.0), "{percentiles:?}");
        assert!(near(percentiles.max_us, 1_000.0), "{percentiles:?}");
    }

    #[test]
    fn nothing_recorded_is_zero_everywhere() {
        assert_eq!(Latency::default().percentiles(), Percentiles::default());
        assert!(!Latency::default().curve().is_empty());
    }

    #[test]
    fn what_takes_longer_than_can_be_recorded_counts_as_the_longest() {
        let mut latency = Latency::default();
        latency.record(u64::MAX);
        assert_eq!(latency.count(), 1);
    }
}
