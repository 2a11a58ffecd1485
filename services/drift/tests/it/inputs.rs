//! Inputs by formula, so that anybody can make them again in any language.

/// `x ← (1103515245·x + 12345) mod 2³¹`, as `x/2³¹`.
pub(crate) fn lcg(seed: u64, many: usize) -> Vec<f64> {
    let step = |x: &u64| Some((1_103_515_245 * x + 12_345) % (1 << 31));
    let states = std::iter::successors(step(&seed), step).take(many);
    states.map(|x| f64::from(u32::try_from(x).unwrap()) / f64::from(1u32 << 31)).collect()
}

/// X and Y: 1,500 uniform values, and 1,200 of another seed to the power of 1.2.
pub(crate) fn x_and_y() -> (Vec<f64>, Vec<f64>) {
    (lcg(42, 1500), lcg(7, 1200).into_iter().map(|value| value.powf(1.2)).collect())
}

/// A and B: normal quantiles at the middle of equal parts, and the same shifted by 0.25 and stretched by 1.1.
pub(crate) fn a_and_b(many: u32) -> (Vec<f64>, Vec<f64>) {
    let a: Vec<f64> = (1..=many).map(|i| quantile((f64::from(i) - 0.5) / f64::from(many))).collect();
    let b = a.iter().map(|value| 0.25 + 1.1 * value).collect();
    (a, b)
}

/// The categories' counts: reference and current.
pub(crate) const REFERENCE: [u64; 4] = [400, 300, 200, 100];
pub(crate) const CURRENT: [u64; 4] = [350, 310, 180, 160];

/// Φ⁻¹ by bisection on Φ: slow and certain.
fn quantile(p: f64) -> f64 {
    if p > 0.5 {
        return -quantile(1.0 - p);
    }
    let (mut low, mut high) = (-40.0f64, 0.0f64);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if lower_tail(middle) < p { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// Φ(x) for x ≤ 0: near the middle the series `½ + φ(x) Σ x^(2k+1)/(1·3·5…)`, in the tail the continued fraction of Mills.
fn lower_tail(x: f64) -> f64 {
    let density = (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
    if x > -2.5 {
        let (mut term, mut sum) = (x, x);
        for k in 1..200 {
            term *= x * x / f64::from(2 * k + 1);
            sum += term;
        }
        return 0.5 + density * sum;
    }
    density / (1..400).rev().fold(-x, |rest, k| -x + f64::from(k) / rest)
}

/// Numbers drawn from a seed, 64 bits at a time (`SplitMix64`, Steele, Lea and Flood 2014).
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Within (0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        (f64::from(u32::try_from(self.bits() >> 32).unwrap()) + 0.5) / f64::from(1u32 << 31) / 2.0
    }

    /// Normal (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// How `rows` rows fall into `2^levels` bins of equal chance: at each level a row goes left where its bit is set.
    pub(crate) fn counts(&mut self, rows: u64, levels: u32) -> Vec<u64> {
        (0..levels).fold(vec![rows], |bins, _| {
            let halve = |&rows: &u64| {
                let whole: u64 = (0..rows / 64).map(|_| u64::from(self.bits().count_ones())).sum();
                let left = whole + u64::from((self.bits() & ((1 << (rows % 64)) - 1)).count_ones());
                [left, rows - left]
            };
            bins.iter().flat_map(halve).collect()
        })
    }
}
