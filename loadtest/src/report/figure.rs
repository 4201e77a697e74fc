//! A figure: one number, or the median of several, and what it was to be.

use serde::Serialize;

/// What a figure is to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

/// See the head of this file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    /// One for each run, in their order.
    pub(crate) values: Vec<f64>,
    pub(crate) target: Option<Target>,
}

impl Target {
    pub(crate) fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }

    pub(crate) fn value(self) -> f64 {
        match self {
            Self::AtMost(value) | Self::AtLeast(value) => value,
        }
    }
}

impl Figure {
    /// A figure of one run.
    pub(crate) fn one(name: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self::many(name, unit, vec![value])
    }

    /// A figure of several runs.
    pub(crate) fn many(name: impl Into<String>, unit: &'static str, values: Vec<f64>) -> Self {
        Self { name: name.into(), unit, values, target: None }
    }

    pub(crate) fn at_most(self, most: f64) -> Self {
        Self { target: Some(Target::AtMost(most)), ..self }
    }

    pub(crate) fn at_least(self, least: f64) -> Self {
        Self { target: Some(Target::AtLeast(least)), ..self }
    }

    /// The value in the middle; of an even number the mean of both. 0 of none.
    pub(crate) fn median(&self) -> f64 {
        median(&self.values)
    }

    /// The smallest and the largest.
    pub(crate) fn range(&self) -> (f64, f64) {
        let fold = |pick: fn(f64, f64) -> f64| self.values.iter().copied().reduce(pick).unwrap_or(0.0);
        (fold(f64::min), fold(f64::max))
    }

    /// Whether its target is met; `None` without one.
    pub(crate) fn is_met(&self) -> Option<bool> {
        self.target.map(|target| target.is_met_by(self.median()))
    }
}

/// See [`Figure::median`].
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        len if len.is_multiple_of(2) => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_stands_for_several_runs_and_an_outlier_does_not() {
        let figure = Figure::many("x", "us", vec![10.0, 11.0, 500.0, 9.0, 10.5]).at_most(11.0);
        assert_eq!((figure.median(), figure.range(), figure.is_met()), (10.5, (9.0, 500.0), Some(true)));
        assert_eq!((median(&[]), median(&[1.0, 3.0])), (0.0, 2.0));
    }

    #[test]
    fn a_target_is_met_at_its_limit_and_missed_beyond() {
        assert_eq!(Figure::one("x", "", 5.0).at_most(5.0).is_met(), Some(true));
        assert_eq!(Figure::one("x", "", 5.1).at_most(5.0).is_met(), Some(false));
        assert_eq!(Figure::one("x", "", 4.9).at_least(5.0).is_met(), Some(false));
        assert_eq!(Figure::one("x", "", 4.9).is_met(), None);
    }
}
