//! Numbers that a seed decides: the same seed, the same schedule.

use std::time::Duration;

/// `SplitMix64` (Steele, Lea and Flood, 2014): small, and good enough to choose what breaks next.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice of their own, so that one reader does not disturb another.
    pub(crate) fn branch(&self, which: u64) -> Self {
        let mut dice = Self(self.0 ^ which.wrapping_mul(0xd134_2543_de82_ef95));
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of so many, from 0.
    pub(crate) fn below(&mut self, many: u64) -> u64 {
        self.next() % many.max(1)
    }

    /// A time between two others.
    pub(crate) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_millis().try_into().unwrap_or(u64::MAX);
        least + Duration::from_millis(self.below(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_and_branches_differ() {
        let roll = |dice: &mut Dice| (0..8).map(|_| dice.below(1000)).collect::<Vec<_>>();
        assert_eq!(roll(&mut Dice::new(7)), roll(&mut Dice::new(7)));
        assert_ne!(roll(&mut Dice::new(7).branch(1)), roll(&mut Dice::new(7).branch(2)));
        let (least, most) = (Duration::from_secs(1), Duration::from_secs(2));
        assert!((0..100).all(|_| (least..most).contains(&Dice::new(3).between(least, most))));
    }
}
