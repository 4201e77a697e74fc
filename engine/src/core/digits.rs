//! Numbers as decimal digits, without the machinery of formatting: ids and timestamps of every request.

/// The digits of the largest 64-bit number.
const DIGITS_MAX: usize = 20;

/// Writes a number behind `out`.
pub fn write_decimal(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; DIGITS_MAX];
    let mut first = DIGITS_MAX;
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_its_digits() {
        for number in [0, 7, 10, 1_649_367_553, u64::MAX] {
            let mut out = b"n=".to_vec();
            write_decimal(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("n={number}"));
        }
    }
}
