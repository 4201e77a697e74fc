//! How many things happened in each hundredth of a second.

use std::time::Duration;

/// An hour; what comes later counts into the last place.
const PLACES_MAX: usize = 360_000;
const PLACE: Duration = Duration::from_millis(10);

/// See the head of this file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series(Vec<u32>);

impl Series {
    /// `count` more, so long after the beginning.
    pub(crate) fn add(&mut self, after: Duration, count: u32) {
        let place = ((after.as_millis() / PLACE.as_millis()) as usize).min(PLACES_MAX - 1);
        if place >= self.0.len() {
            self.0.resize(place + 1, 0);
        }
        self.0[place] += count;
    }

    /// Everything, from the first hundredth to the last in which something happened.
    pub(crate) fn counts(&self) -> &[u32] {
        &self.0
    }
}

/// The rate per second of the first 999 of 1,000: one retry at the end does not stand for the run.
pub(crate) fn rate(counts: &[u32]) -> f64 {
    let total: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    let wanted = total - total / 1_000;
    let mut seen = 0;
    for (place, count) in counts.iter().enumerate() {
        seen += u64::from(*count);
        if seen >= wanted && seen > 0 {
            return seen as f64 / (PLACE * (place as u32 + 1)).as_secs_f64();
        }
    }
    0.0
}

/// Rates per second over steps of so long, for a plot: seconds and rate.
pub(crate) fn rates(counts: &[u32], step: Duration) -> Vec<(f64, f64)> {
    let places = (step.as_millis() / PLACE.as_millis()).max(1) as usize;
    let seconds = PLACE.as_secs_f64() * places as f64;
    let sum = |counts: &[u32]| counts.iter().map(|count| f64::from(*count)).sum::<f64>();
    // What is left at the end is less than a step, and would look like a fall.
    counts
        .chunks_exact(places)
        .enumerate()
        .map(|(n, part)| ((n + 1) as f64 * seconds, sum(part) / seconds))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_end_where_something_happened_last() {
        let mut series = Series::default();
        assert!(series.counts().is_empty());
        series.add(Duration::from_millis(25), 3);
        series.add(Duration::from_millis(5), 1);
        assert_eq!(series.counts(), [1, 0, 3]);
        series.add(Duration::from_secs(1_000_000), 1);
        assert_eq!(series.counts().len(), PLACES_MAX);
    }

    #[test]
    fn one_straggler_in_a_thousand_does_not_change_the_rate() {
        let mut counts = vec![10; 100];
        assert!((rate(&counts) - 1_000.0).abs() < 1e-9);
        counts.resize(1_000, 0);
        counts.push(1);
        assert!((rate(&counts) - 1_000.0).abs() < 1e-9);
        counts.push(9);
        assert!(rate(&counts) < 101.0);
        assert!(rate(&[]).abs() < 1e-9);
    }

    #[test]
    fn a_plot_has_whole_steps_only() {
        let rates = rates(&[1; 25], Duration::from_millis(100));
        assert_eq!(rates.len(), 2);
        assert!((rates[1].0 - 0.2).abs() < 1e-9 && (rates[1].1 - 100.0).abs() < 1e-9);
    }
}
