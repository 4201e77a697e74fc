//! Times on the command line: `500ms`, `10s`, `2m`.

use std::time::Duration;

/// The longest time that can be asked for: plots and rings of times are made for it.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(3_600);

/// Reads a time.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let ms = match unit {
        "ms" => Some(1_u64),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let ms = ms.zip(number.parse::<u64>().ok()).and_then(|(unit, number)| unit.checked_mul(number));
    let time =
        ms.map(Duration::from_millis).ok_or("it must be a number and a unit, such as 500ms, 10s or 2m")?;
    if time > TIME_MAX { Err("it must be at most 1h".to_owned()) } else { Ok(time) }
}

/// Reads a share in percent.
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<f64>().ok();
    number.filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(|| "it must be 0 to 100".to_owned())
}

/// Reads a rate per second.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    let allowed = number.filter(|rate| (0.1..=1_000_000.0).contains(rate));
    allowed.ok_or_else(|| "it must be 0.1 to 1000000 messages a second".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(time("60m"), time("1h"));
        for text in ["", "10", "s", "-1s", "1d", "1.5s", "61m", "99999999999999999999s"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_and_rates_are_numbers_within_limits() {
        assert_eq!((percent("20"), percent("0.5%")), (Ok(20.0), Ok(0.5)));
        assert_eq!(rate("300"), Ok(300.0));
        for text in ["", "x", "-1", "101", "NaN"] {
            assert!(percent(text).is_err(), "{text}");
        }
        for text in ["0", "inf", "1e9", "NaN"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
