//! Chance that can be repeated: a seed gives the same draws for ever.

use std::time::Duration;

/// A generator (splitmix64, Steele and others, 2014). Good enough to choose moments and bytes, and not for secrets.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// 0 up to and without `limit`, which is not 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.draw() % limit
    }

    /// A time from the first to the second, in milliseconds.
    pub(super) fn between(&mut self, shortest: Duration, longest: Duration) -> Duration {
        let spread = longest.saturating_sub(shortest).as_micros() as u64;
        shortest + Duration::from_micros(self.below(spread + 1))
    }
}

/// Spreads the bits of a number over all of it.
pub(super) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_and_another_does_not() {
        let draws = |seed| {
            let mut random = Random::seeded(seed);
            std::array::from_fn::<_, 8, _>(|_| random.below(1 << 40))
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
    }
}
