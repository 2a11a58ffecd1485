//! The gamma function and its incomplete kin: what the tail of χ² is made of.

use crate::number::real;

const TERMS: usize = 100_000;
const EXACT: f64 = 1e-16;

/// ln Γ(x) for x > 0: Stirling's series (Abramowitz and Stegun 6.1.41), after lifting x to where it is exact to a double.
pub(crate) fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (x, 1.0);
    while x < 15.0 {
        product *= x;
        x += 1.0;
    }
    let (inverse, square) = (1.0 / x, 1.0 / (x * x));
    let series = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360_360.0];
    let correction = series.iter().rev().fold(0.0, |sum, term| sum * square + term) * inverse;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + correction - product.ln()
}

/// ln n!
pub(crate) fn ln_factorial(n: u64) -> f64 {
    ln_gamma(real(n) + 1.0)
}

/// The regularised upper incomplete gamma function Q(a, x), for a > 0.
///
/// The series (Abramowitz and Stegun 6.5.29) where it converges fast, else the continued fraction (6.5.31) by Lentz's method,
/// which keeps small tails exact.
pub(crate) fn upper(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 { 1.0 - front * series(a, x) } else { front * fraction(a, x) }
}

fn series(a: f64, x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
    for _ in 0..TERMS {
        n += 1.0;
        term *= x / n;
        sum += term;
        if term < sum * EXACT {
            break;
        }
    }
    sum
}

fn fraction(a: f64, x: f64) -> f64 {
    let mut denominator = x + 1.0 - a;
    let (mut above, mut below) = (f64::MAX, 1.0 / denominator);
    let (mut result, mut at) = (below, 0.0);
    for _ in 0..TERMS {
        at += 1.0;
        let numerator = at * (a - at);
        denominator += 2.0;
        below = 1.0 / (numerator * below + denominator);
        above = denominator + numerator / above;
        result *= above * below;
        if (above * below - 1.0).abs() < 2.0 * f64::EPSILON {
            break;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gamma_is_the_factorial_and_knows_one_half() {
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-14);
        assert!((ln_factorial(20) - 2_432_902_008_176_640_000f64.ln()).abs() < 1e-13);
    }

    #[test]
    fn with_a_of_one_the_tail_is_exponential() {
        for x in [0.1f64, 1.0, 1.9, 2.1, 30.0, 300.0] {
            assert!((upper(1.0, x) / (-x).exp() - 1.0).abs() < 1e-12, "{x}");
        }
    }
}
