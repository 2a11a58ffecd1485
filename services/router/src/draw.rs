//! Weighted rendezvous hashing: every executor draws a number for a build, and the least wins.
//!
//! Executor `e` of weight `w` draws -ln(u)/w, where u in (0, 1) is a hash of build and executor. Each wins with exactly
//! its share of the weights, and a changed weight moves only the builds that must move (Schindelhauer and Schomaker,
//! "Weighted distributed hash tables", 2005).
//!
//! A build's key is a SHA-256 already, so one keyed mix of 64 bits an executor is enough, where a second SHA-256 would
//! cost ten times as much. The logarithm is our own: additions, multiplications and divisions give the same bits on
//! every processor, and a system's `ln` need not.

use sha2::{Digest, Sha256};
use switchyard_events::BuildKey;
use switchyard_fleet::Weight;

/// What one executor brings to every draw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    seed: u64,
    inverse_weight: f64,
}

/// What one executor draws, and what that is at least and at most: the logarithm is needed for few.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw {
    unit: f64,
    inverse_weight: f64,
    least: f64,
    most: f64,
}

/// Who draws: a build, or what some builds have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drawer(u64, u64);

impl Ticket {
    /// The ticket of an executor; `None` where it weighs nothing.
    pub(crate) fn of(executor: &str, weight: Weight) -> Option<Self> {
        let Drawer(seed, _) = Drawer::of(&[executor]);
        (!weight.is_zero()).then(|| Self { seed, inverse_weight: weight.value().recip() })
    }

    /// What it draws. The least wins.
    pub(crate) fn draws(self, drawer: Drawer) -> f64 {
        -ln(self.unit(drawer)) * self.inverse_weight
    }

    /// What it draws, computed as far as it must be to tell whether that is less than `best`; `None` if it is not.
    pub(crate) fn draws_below(self, drawer: Drawer, best: Option<&Draw>) -> Option<Draw> {
        let (unit, inverse_weight) = (self.unit(drawer), self.inverse_weight);
        // -ln(u) is at least 1 - u.
        if best.is_some_and(|best| (1.0 - unit) * inverse_weight >= best.most) {
            return None;
        }
        let (least, most) = bounds(unit);
        let draw = Draw { unit, inverse_weight, least: least * inverse_weight, most: most * inverse_weight };
        best.is_none_or(|best| draw.is_below(best)).then_some(draw)
    }

    /// A number in (0, 1): 53 bits, the middle of their interval.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exactly what an f64 holds")]
    fn unit(self, Drawer(first, second): Drawer) -> f64 {
        let bits = mix(mix(first ^ self.seed) ^ second) >> 11;
        (bits as f64 + 0.5) * (1.0 / (1u64 << 53) as f64)
    }
}

impl Draw {
    /// Whether it is less than another.
    fn is_below(&self, other: &Self) -> bool {
        let is_certain = self.most < other.least;
        is_certain || self.least < other.most && self.exact() < other.exact()
    }

    fn exact(&self) -> f64 {
        -ln(self.unit) * self.inverse_weight
    }
}

impl Drawer {
    /// A build: its key is the base32 of a hash.
    pub(crate) fn build(key: &BuildKey) -> Self {
        let words =
            key.as_str().as_bytes().chunks(8).map(|chunk| chunk.iter().fold(0u64, |word, &byte| word << 8 | u64::from(byte)));
        words.fold(Self(0, 1 << 63), |Self(first, second), word| Self(mix(first ^ word), mix(second.wrapping_add(word))))
    }

    /// Anything else: each part with its length before it, so that no two lists of parts look alike.
    pub(crate) fn of(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let hash = hash.finalize();
        let word = |from: usize| hash.iter().skip(from).take(8).fold(0u64, |word, &byte| word << 8 | u64::from(byte));
        Self(word(0), word(8))
    }
}

/// The finalizer of `SplitMix64` (Stafford's variant 13): every bit of the input turns every bit of the output half of the time.
const fn mix(mut word: u64) -> u64 {
    word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// What -ln x of a number in (0, 1) is at least and at most.
///
/// x = (1 + f) * 2^e; log2 (1 + f) is f + 0.3444 f (1 - f) to less than 0.0081 (a test looks at it all along), and the bounds leave some room for rounding.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn bounds(x: f64) -> (f64, f64) {
    let bits = x.to_bits();
    let fraction = f64::from_bits(bits & MANTISSA | 1023 << 52) - 1.0;
    // Exponent and fraction as they stand are e + 1023 + f.
    let log2 = bits.cast_signed() as f64 * (1.0 / (1u64 << 52) as f64) - 1023.0 + 0.3444 * fraction * (1.0 - fraction);
    let estimate = -std::f64::consts::LN_2 * log2;
    (estimate - 0.006, estimate + 0.006)
}

const MANTISSA: u64 = (1 << 52) - 1;

/// The natural logarithm of a number in (0, 1), to about 1 ulp, with the same bits everywhere.
///
/// x = m * 2^e with m near 1; ln m = 2 artanh s with s = (m - 1) / (m + 1), |s| at most 0.1716: twelve terms of its series.
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i32 - 1023;
    let mut mantissa = f64::from_bits(bits & MANTISSA | 1023 << 52);
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    // Two halves of the series, so that the processor adds both at once; the order is fixed, and with it every bit.
    let fourth = square * square;
    let half = |odds: [f64; 6]| odds.iter().fold(0.0, |sum: f64, odd| sum * fourth + odd.recip());
    let sum = half([21.0, 17.0, 13.0, 9.0, 5.0, 1.0]) + square * half([23.0, 19.0, 15.0, 11.0, 7.0, 3.0]);
    f64::from(exponent) * std::f64::consts::LN_2 + 2.0 * s * sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ticket(weight: &str) -> Ticket {
        Ticket::of("k8s", Weight::parse(weight).unwrap()).unwrap()
    }

    #[test]
    fn what_weighs_nothing_draws_nothing() {
        assert!(Ticket::of("k8s", Weight::default()).is_none());
        assert!(Ticket::of("k8s", Weight::parse("0.000000001").unwrap()).is_some());
    }

    #[test]
    fn the_logarithm_is_within_its_bounds() {
        let near = (0..100_000).map(|n| 1.0 + f64::from(n) / 100_000.0);
        for (mantissa, exponent) in near.flat_map(|mantissa| [1, 2, 53, 54].map(|exponent| (mantissa, exponent))) {
            let x = mantissa * 0.5f64.powi(exponent);
            let (least, most) = bounds(x);
            assert!(least < -ln(x) && -ln(x) < most, "{x}");
        }
    }

    #[test]
    fn one_bit_of_the_key_turns_half_of_the_bits() {
        let turned: u32 = (0..64).map(|bit| (mix(0x1234_5678) ^ mix(0x1234_5678 ^ 1 << bit)).count_ones()).sum();
        assert!((64 * 28..64 * 36).contains(&turned), "{turned}");
    }

    proptest! {
        #[test]
        fn the_logarithm_is_the_systems_to_a_few_units(x in 1e-16f64..1.0) {
            prop_assert!((ln(x) - x.ln()).abs() <= 4.0 * f64::EPSILON * x.ln().abs(), "{} {}", ln(x), x.ln());
        }

        #[test]
        fn the_least_wins_whether_or_not_it_is_computed(keys in any::<[(u64, u64); 2]>(), weights in any::<[u16; 2]>(), near in any::<bool>()) {
            let draw = |n: usize| {
                let weight = if near { 1 } else { u32::from(weights[n]) + 1 };
                let drawer = Drawer(keys[n].0, keys[n].1);
                (ticket(&weight.to_string()), drawer)
            };
            let ((one, drawer), (best, best_drawer)) = (draw(0), draw(1));
            let (drawn, least) = (one.draws(drawer), best.draws(best_drawer));
            let best = best.draws_below(best_drawer, None).unwrap();
            prop_assert!(least > 0.0 && least.is_finite() && best.least < least && least < best.most);
            prop_assert_eq!(one.draws_below(drawer, Some(&best)).is_some(), drawn < least);
            prop_assert_eq!(one.draws_below(drawer, None).map(|draw| draw.exact()), Some(drawn));
        }
    }
}
