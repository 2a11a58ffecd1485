//! Approximately, by the limit for large n and three corrections (Pelz and Good 1976, as in Simard and L'Ecuyer, section 2.3).

use std::f64::consts::{FRAC_PI_2, PI};

/// How many terms of each sum: with z below 2 the first that is left out is below 10⁻¹⁶.
const TERMS: u32 = 20;

/// P(D < d) for a sample of n.
pub(super) fn lower(n: f64, d: f64) -> f64 {
    let z = n.sqrt() * d;
    let (z2, root) = (z * z, FRAC_PI_2.sqrt());
    let halves = |of: &dyn Fn(f64) -> f64| 2.0 * sum(0.5, z2, of);
    let wholes = |of: &dyn Fn(f64) -> f64| 2.0 * sum(1.0, z2, of);
    let limit = halves(&|_| 1.0) / z;
    let first = halves(&|w| w - z2) / (6.0 * z2 * z2);
    let second = halves(&|w| 6.0 * z2.powi(3) + 2.0 * z2 * z2 + (2.0 * z2 * z2 - 5.0 * z2) * w + (1.0 - 2.0 * z2) * w * w)
        / (72.0 * z.powi(7))
        - wholes(&|w| w) / (36.0 * z.powi(3));
    let third = halves(&|w| {
        (5.0 - 30.0 * z2) * w.powi(3) + (212.0 * z2 * z2 - 60.0 * z2) * w * w + (135.0 * z2 * z2 - 96.0 * z2.powi(3)) * w
            - 30.0 * z2.powi(3)
            - 90.0 * z2.powi(4)
    }) / (6480.0 * z.powi(10))
        + wholes(&|w| 3.0 * w * z2 - w * w) / (108.0 * z.powi(6));
    (root * (limit + first / n.sqrt() + second / n + third / n.powf(1.5))).clamp(0.0, 1.0)
}

/// `Σ of(w) e^(−w/2z²)` with w = π²k², for k from `start` in steps of one.
fn sum(start: f64, z2: f64, of: &dyn Fn(f64) -> f64) -> f64 {
    let term = |step: u32| {
        let w = (PI * (f64::from(step) + start)).powi(2);
        of(w) * (-w / (2.0 * z2)).exp()
    };
    (0..TERMS).map(term).sum()
}
