//! Regular expressions of filters: compiled once, matched in time that grows with text and pattern, not faster.
//!
//! The engine (crate `regex`) never goes back in a text. What it may cost for each byte grows with the compiled
//! size of the pattern, which it does not tell. So the smallest size limit is looked for that the pattern fits.

use regex::{Regex, RegexBuilder};

/// Compiled sizes that are tried, in KiB.
const SIZES_KIB: [u32; 5] = [4, 16, 32, 64, 128];

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    size_kib: u32,
}

impl Pattern {
    /// Compiles; what is wrong with it otherwise.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        for size_kib in SIZES_KIB {
            match RegexBuilder::new(text).size_limit(size_kib as usize * 1_024).nest_limit(50).build() {
                Ok(regex) => return Ok(Self { regex, size_kib }),
                Err(regex::Error::CompiledTooBig(_)) => (),
                Err(error) => return Err(error.to_string()),
            }
        }
        let most = SIZES_KIB.last().copied().unwrap_or_default();
        Err(format!("it needs more than {most} KiB when it is compiled"))
    }

    /// Steps that a search in this text costs.
    pub(super) fn steps(&self, text: &str) -> u64 {
        1 + text.len() as u64 * u64::from(self.size_kib) / 128
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}
