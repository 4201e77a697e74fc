//! Random numbers from a seed, so that a run that failed can be had again.

/// SplitMix64.
pub(crate) struct Random {
    /// To be printed with whatever fails.
    pub(crate) seed: u64,
    state: u64,
}

impl Random {
    /// From `POSTHASTE_SEED` if that is set, and from the clock otherwise.
    pub(crate) fn seeded() -> Self {
        let given = std::env::var("POSTHASTE_SEED").ok().and_then(|text| text.parse().ok());
        let clock = || {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(1, |now| now.as_nanos() as u64)
        };
        let seed = given.unwrap_or_else(clock);
        Self { seed, state: seed }
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }
}
