//! Numbers: compared as numbers are, whatever they are stored as.

use std::cmp::Ordering;

/// The least that arithmetic gives: the least of a signed integer of 64 bits.
const INT_MIN: i128 = i64::MIN as i128;
/// The most that arithmetic gives: the most of an unsigned integer of 64 bits.
const INT_MAX: i128 = u64::MAX as i128;
/// From here on every double is beyond all integers that there are.
const BEYOND: f64 = 36_893_488_147_419_103_232.0; // 2^65

/// A number of JSON or of an expression.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Int(i128),
    Double(f64),
}

impl Number {
    pub(super) fn of(number: &serde_json::Number) -> Self {
        match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Self::Int(int.into()),
            (None, Some(int)) => Self::Int(int.into()),
            (None, None) => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
        }
    }

    /// `None` beside what is no number.
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(one), Self::Int(two)) => Some(one.cmp(&two)),
            (Self::Double(one), Self::Double(two)) => one.partial_cmp(&two),
            (Self::Int(one), Self::Double(two)) => compare_mixed(one, two),
            (Self::Double(one), Self::Int(two)) => compare_mixed(two, one).map(Ordering::reverse),
        }
    }

    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Double(double) => double,
        }
    }

    /// Whole numbers stay whole; together with a double they are doubles. `None` beyond their range.
    pub(super) fn combine(
        self,
        other: Self,
        whole: impl Fn(i128, i128) -> Option<i128>,
        double: impl Fn(f64, f64) -> f64,
    ) -> Option<Self> {
        match (self, other) {
            (Self::Int(one), Self::Int(two)) => whole(one, two).and_then(Self::int),
            _ => Some(Self::Double(double(self.as_f64(), other.as_f64()))),
        }
    }

    /// `None` beyond the range of whole numbers.
    pub(super) fn int(int: i128) -> Option<Self> {
        (INT_MIN..=INT_MAX).contains(&int).then_some(Self::Int(int))
    }

    /// The whole number nearest to zero from here; `None` beyond their range.
    pub(super) fn truncate(self) -> Option<Self> {
        match self {
            Self::Int(_) => Some(self),
            Self::Double(double) if double.abs() < BEYOND => Self::int(double.trunc() as i128),
            Self::Double(_) => None,
        }
    }
}

/// Exactly: a whole number beyond 2^53 is not made a double for it.
fn compare_mixed(int: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    if double.abs() >= BEYOND {
        return Some(if double > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    let whole = double.trunc();
    Some(
        int.cmp(&(whole as i128)).then_with(|| 0.0.partial_cmp(&(double - whole)).unwrap_or(Ordering::Equal)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_and_doubles_are_compared_exactly() {
        let cases = [
            (1, 1.0, Some(Ordering::Equal)),
            (1, 1.5, Some(Ordering::Less)),
            (-1, -1.5, Some(Ordering::Greater)),
            (9_007_199_254_740_993, 9_007_199_254_740_992.0, Some(Ordering::Greater)),
            (i64::MAX.into(), 9_223_372_036_854_775_808.0, Some(Ordering::Less)),
            (u64::MAX.into(), f64::INFINITY, Some(Ordering::Less)),
            (i64::MIN.into(), f64::NEG_INFINITY, Some(Ordering::Greater)),
            (0, f64::NAN, None),
        ];
        for (int, double, expect) in cases {
            assert_eq!(Number::Int(int).compare(Number::Double(double)), expect, "{int} {double}");
            assert_eq!(Number::Double(double).compare(Number::Int(int)), expect.map(Ordering::reverse));
        }
    }

    #[test]
    fn what_is_beyond_the_range_of_whole_numbers_is_none() {
        assert!(Number::Double(1e30).truncate().is_none() && Number::Double(f64::NAN).truncate().is_none());
        assert!(Number::int(INT_MAX + 1).is_none() && Number::int(INT_MIN - 1).is_none());
        assert!(matches!(Number::Double(-1.9).truncate(), Some(Number::Int(-1))));
    }
}
