//! One side only (Smirnov 1944; Birnbaum and Tingey 1951).

use crate::{
    gamma::ln_factorial,
    number::{length, whole},
};

/// How many terms are added up; beyond, an expansion in 1/√n does, which is within 0.1 % of p there.
const MOST_TERMS: f64 = 20_000.0;

/// P(D⁺ ≥ d) for a sample of n.
pub(super) fn upper(n: f64, d: f64) -> f64 {
    if n <= MOST_TERMS { summed(n, d) } else { expanded(n, d) }
}

/// `d Σ C(n,j) (1−d−j/n)^(n−j) (d+j/n)^(j−1)` over j ≤ n(1−d): every term is positive.
pub(super) fn summed(n: f64, d: f64) -> f64 {
    let all = ln_factorial(whole(n) as u64);
    let last = whole((n * (1.0 - d)).floor());
    let term = |j: usize| {
        let (at, rest) = (length(j), n - length(j));
        let (below, above) = (1.0 - d - at / n, d + at / n);
        if below <= 0.0 {
            return 0.0;
        }
        let ways = all - ln_factorial(j as u64) - ln_factorial(whole(rest) as u64);
        (ways + rest * below.ln() + (at - 1.0) * above.ln()).exp()
    };
    d * (0..=last).map(term).sum::<f64>()
}

/// `exp(−2z² − 2z/(3√n)) (1 + (4z²/9)(1 − z²)/n)` with z = d√n: Smirnov's expansion up to 1/n.
pub(super) fn expanded(n: f64, d: f64) -> f64 {
    let square = d * d * n;
    let correction = 1.0 + 4.0 / 9.0 * square * (1.0 - square) / n;
    (-2.0 * square - 2.0 / 3.0 * d).exp() * correction.max(0.0)
}
