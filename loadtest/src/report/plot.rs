//! A plot before it is drawn: lines, and the axes that they are drawn against.

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    pub(crate) label: String,
    pub(crate) scale: Scale,
}

/// How values become places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// From zero, in equal steps.
    Linear,
    /// A step for each power of ten.
    Log,
    /// Percentiles: a step for each further nine.
    Nines,
}

/// A line of a plot.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// See the head of this file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
}

/// A value that is written at an axis, at its place between 0 and 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) place: f64,
    pub(super) text: String,
}

/// An axis that knows what it has to hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Span {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Axis {
    pub(crate) fn linear(label: &str) -> Self {
        Self { label: label.to_owned(), scale: Scale::Linear }
    }

    pub(crate) fn log(label: &str) -> Self {
        Self { label: label.to_owned(), scale: Scale::Log }
    }

    pub(crate) fn nines(label: &str) -> Self {
        Self { label: label.to_owned(), scale: Scale::Nines }
    }
}

impl Line {
    pub(crate) fn new(name: &str, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.to_owned(), points }
    }
}

impl Scale {
    /// `None` for what has no place, such as 0 on a logarithmic axis.
    fn place(self, value: f64) -> Option<f64> {
        let place = match self {
            Self::Linear => value,
            Self::Log => value.log10(),
            Self::Nines => -(1.0 - value / 100.0).log10(),
        };
        place.is_finite().then_some(place)
    }
}

impl Span {
    /// Wide enough for these values.
    pub(super) fn of(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let places = values.filter_map(|value| scale.place(value));
        let (low, high) = places
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), place| (low.min(place), high.max(place)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let (low, high) = match scale {
            Scale::Linear => (low.min(0.0), rounded_up(high)),
            Scale::Log => (low.floor(), high.ceil().max(low.floor() + 1.0)),
            Scale::Nines => (0.0, high.ceil().max(1.0)),
        };
        Self { scale, low, high }
    }

    /// Between 0 and 1.
    pub(super) fn place(self, value: f64) -> Option<f64> {
        let place = (self.scale.place(value)? - self.low) / (self.high - self.low);
        (-0.001..=1.001).contains(&place).then(|| place.clamp(0.0, 1.0))
    }

    pub(super) fn ticks(self) -> Vec<Tick> {
        let tick = |at: f64, text: String| Tick { place: (at - self.low) / (self.high - self.low), text };
        match self.scale {
            Scale::Linear => (0..=4)
                .map(|n| {
                    let at = self.low + (self.high - self.low) * f64::from(n) / 4.0;
                    tick(at, super::number::show(at))
                })
                .collect(),
            Scale::Log => {
                whole(self.low, self.high).map(|at| tick(at, super::number::show(10_f64.powf(at)))).collect()
            }
            Scale::Nines => whole(self.low, self.high)
                .map(|at| {
                    let decimals = (at as usize).saturating_sub(2);
                    tick(at, format!("{:.decimals$}%", 100.0 * (1.0 - 10_f64.powf(-at))))
                })
                .collect(),
        }
    }
}

fn whole(low: f64, high: f64) -> impl Iterator<Item = f64> {
    (low as i32..=high as i32).map(f64::from)
}

/// The next of 1, 2, 4, 5, 8, 10 times a power of ten: quarters of these are short numbers.
fn rounded_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 4.0, 5.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|step| *step >= value).unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(span: Span) -> Vec<String> {
        span.ticks().into_iter().map(|tick| tick.text).collect()
    }

    #[test]
    fn a_linear_axis_begins_at_zero_and_ends_at_a_round_number() {
        let span = Span::of(Scale::Linear, [3.0, 31_000.0].into_iter());
        assert_eq!(texts(span), ["0", "10,000", "20,000", "30,000", "40,000"]);
        assert_eq!(span.place(20_000.0), Some(0.5));
    }

    #[test]
    fn a_logarithmic_axis_has_powers_of_ten_and_no_place_for_zero() {
        let span = Span::of(Scale::Log, [0.0, 150.0, 20_000.0].into_iter());
        assert_eq!(texts(span), ["100", "1,000", "10,000", "100,000"]);
        assert_eq!((span.place(0.0), span.place(100.0)), (None, Some(0.0)));
    }

    #[test]
    fn each_further_nine_takes_the_same_room() {
        let span = Span::of(Scale::Nines, [0.0, 99.95].into_iter());
        assert_eq!(texts(span), ["0%", "90%", "99%", "99.9%", "99.99%"]);
        assert!((span.place(99.0).unwrap() - 0.5).abs() < 1e-9);
        assert_eq!(span.place(100.0), None);
    }

    #[test]
    fn nothing_to_draw_is_no_trouble() {
        for scale in [Scale::Linear, Scale::Log, Scale::Nines] {
            assert!(!Span::of(scale, std::iter::empty()).ticks().is_empty());
        }
    }
}
