//! Numbers as people read them: three or four digits that matter, thousands apart.

/// `1,234,567`, `45.7`, `0.0123`.
pub(super) fn show(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        _ if size >= 100.0 || size == 0.0 => 0,
        _ if size >= 10.0 => 1,
        _ if size >= 0.1 => 2,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) =
        text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let whole = thousands(whole);
    rest.map_or_else(|| whole.clone(), |rest| format!("{whole}.{rest}"))
}

/// A time in microseconds, in the unit that suits it.
pub(super) fn time_us(us: f64) -> String {
    match us {
        _ if us >= 1e6 => format!("{} s", show(us / 1e6)),
        _ if us >= 1e3 => format!("{} ms", show(us / 1e3)),
        _ => format!("{} us", show(us)),
    }
}

fn thousands(whole: &str) -> String {
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = sign.to_owned();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_matter() {
        let shown = [0.0, 0.012_34, 0.5, 9.876, 45.67, 999.5, 28_000.4, 1_234_567.0, -1_000.0].map(show);
        let wanted = ["0", "0.0123", "0.50", "9.88", "45.7", "1,000", "28,000", "1,234,567", "-1,000"];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn times_have_the_unit_that_suits_them() {
        assert_eq!([12.0, 1_500.0, 2_000_000.0].map(time_us), ["12.0 us", "1.50 ms", "2.00 s"]);
    }
}
