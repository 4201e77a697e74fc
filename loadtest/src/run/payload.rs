//! The body of a message: JSON of the size that was asked for, with the number of the message at a fixed place.
//!
//! ```text
//!   {"n":"00000000000004d2","pad":"xxxxxxxx..."}
//! ```

const HEAD: &[u8] = b"{\"n\":\"";
const DIGITS: usize = 16;
const PAD: &[u8] = b"\",\"pad\":\"";
const END: &[u8] = b"\"}";
const NUMBER: std::ops::Range<usize> = HEAD.len()..HEAD.len() + DIGITS;

/// The smallest body: a number and nothing else.
pub(crate) const BYTES_MIN: u32 = (HEAD.len() + DIGITS + END.len()) as u32;

/// A body of exactly so many bytes, with the number 0. A size of at least [`BYTES_MIN`]; between that and one with
/// padding there is room for spaces.
pub(crate) fn of_size(bytes: u32) -> Vec<u8> {
    let mut body = [HEAD, &[b'0'; DIGITS]].concat();
    let (bytes, shortest_padded) = (bytes as usize, HEAD.len() + DIGITS + PAD.len() + END.len());
    if bytes >= shortest_padded {
        body.extend_from_slice(PAD);
        body.resize(bytes - END.len(), b'x');
        body.extend_from_slice(END);
    } else {
        body.extend_from_slice(END);
        body.resize(bytes, b' ');
    }
    body
}

/// Writes the number of a message into a body.
pub(crate) fn number(body: &mut [u8], message: u64) {
    let mut rest = message;
    for digit in body[NUMBER].iter_mut().rev() {
        *digit = b"0123456789abcdef"[(rest & 15) as usize];
        rest >>= 4;
    }
}

/// The number in a body; `None` if it is not one of ours.
pub(crate) fn number_of(body: &[u8]) -> Option<u64> {
    let digits = body.strip_prefix(HEAD)?.get(..DIGITS)?;
    digits.iter().try_fold(0, |number, digit| Some(number << 4 | u64::from(char::from(*digit).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_the_size_that_was_asked_for_and_is_json() {
        for bytes in (BYTES_MIN..60).chain([1_024, 65_536]) {
            let body = of_size(bytes);
            assert_eq!(body.len(), bytes as usize);
            let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(json["n"], "0000000000000000");
        }
    }

    #[test]
    fn the_number_of_a_message_is_read_back() {
        let mut body = of_size(BYTES_MIN);
        for message in [0, 1_234, u64::MAX] {
            number(&mut body, message);
            assert_eq!(number_of(&body), Some(message));
        }
    }

    #[test]
    fn other_bodies_have_no_number() {
        for body in [&b""[..], b"{}", b"{\"n\":\"12\"}", b"{\"n\":\"000000000000000g\"}"] {
            assert_eq!(number_of(body), None);
        }
    }
}
