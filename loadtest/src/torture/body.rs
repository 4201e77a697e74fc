//! The body of a message: known from its number alone, so that a receiver can tell a wrong byte without being told.
//!
//! ```text
//!   {"n":"00000000000004d2","pad":"kq3z..."}
//! ```

use super::random::mix;

const HEAD: &str = "{\"n\":\"";
const DIGITS: usize = 16;
/// Most are small, so that many fit into a second.
const PAD_BYTES_MAX: u64 = 512;
/// One in so many is large: it spans several pages and reads.
const LARGE_EVERY: u64 = 509;
const LARGE_BYTES: usize = 40 << 10;
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The body of this message under this seed.
pub(super) fn of(seed: u64, number: u64) -> Vec<u8> {
    let mut state = mix(seed ^ mix(number));
    let pad = match number % LARGE_EVERY {
        LARGE_BYTES_AT => LARGE_BYTES,
        _ => (state % PAD_BYTES_MAX) as usize,
    };
    let mut body = format!("{HEAD}{number:016x}\",\"pad\":\"").into_bytes();
    let end = body.len() + pad;
    while body.len() < end {
        state = mix(state.wrapping_add(1));
        let letters = (0..12).map(|letter| LETTERS[(state >> (5 * letter) & 31) as usize]);
        body.extend(letters.take(end - body.len()));
    }
    body.extend_from_slice(b"\"}");
    body
}

/// Which of every [`LARGE_EVERY`] is large.
const LARGE_BYTES_AT: u64 = 77;

/// The number in a body; `None` if there is none.
pub(super) fn number(body: &[u8]) -> Option<u64> {
    let digits = body.strip_prefix(HEAD.as_bytes())?.get(..DIGITS)?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_says_its_number_and_differs_by_seed() {
        for message in [0, 1, LARGE_BYTES_AT, 123_456] {
            let body = of(7, message);
            assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
            assert_eq!(number(&body), Some(message));
            assert_eq!(body, of(7, message));
            assert_ne!(body, of(8, message));
        }
        assert!(of(7, LARGE_BYTES_AT).len() > LARGE_BYTES);
        assert_eq!(number(b"{}"), None);
    }
}
