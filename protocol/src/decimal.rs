//! Whole numbers as they stand on the wire: one way to write each, and no other is read.
//!
//! The reading rules are those of Redis (`string2ll`): no plus sign, no leading zero, no `-0`, nothing that
//! does not fit 64 bits. Two spellings of a length would let two parsers see two requests in one stream.

/// Digits of the largest 64-bit number.
pub(crate) const DIGITS_MAX: usize = 20;

/// Reads a signed number.
pub(crate) fn parse_signed(text: &[u8]) -> Option<i64> {
    match text {
        [b'-', digits @ ..] => match parse_unsigned_strict(digits)? {
            0 => None,
            number => 0i64.checked_sub_unsigned(number),
        },
        digits => i64::try_from(parse_unsigned_strict(digits)?).ok(),
    }
}

/// Reads digits, leading zeros allowed, as in the parts of a stream id.
pub(crate) fn parse_unsigned(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    digits.iter().try_fold(0u64, |number, &digit| {
        let value = digit.is_ascii_digit().then(|| digit - b'0')?;
        number.checked_mul(10)?.checked_add(u64::from(value))
    })
}

fn parse_unsigned_strict(digits: &[u8]) -> Option<u64> {
    if digits.len() > 1 && digits[0] == b'0' {
        return None;
    }
    parse_unsigned(digits)
}

/// A number written out, on the stack.
pub(crate) struct Digits {
    bytes: [u8; DIGITS_MAX],
    start: usize,
}

impl Digits {
    pub(crate) fn of(mut number: u64) -> Self {
        let mut digits = Self { bytes: [b'0'; DIGITS_MAX], start: DIGITS_MAX };
        loop {
            digits.start -= 1;
            digits.bytes[digits.start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return digits;
            }
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_spelling() {
        for number in [0, 1, 9, 10, 1_048_576, i64::MAX, -1, i64::MIN] {
            assert_eq!(parse_signed(number.to_string().as_bytes()), Some(number));
        }
        for text in ["", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1a", "9223372036854775808"] {
            assert_eq!(parse_signed(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_written_without_padding() {
        for number in [0, 7, 10, 999, u64::MAX] {
            assert_eq!(Digits::of(number).as_bytes(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn numbers_beyond_64_bits_are_refused() {
        assert_eq!(parse_unsigned(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_unsigned(b"18446744073709551616"), None);
        assert_eq!(parse_unsigned(b"000000000000000000001"), None);
    }
}
