//! Distances between two discrete distributions, given as shares of the same bins. All are symmetric but [`kl`].

use crate::number::real;

/// What an empty bin counts as in [`psi`] and [`kl`], which know no empty bin. It decides their figure, so it is always said.
pub const EMPTY: f64 = 1e-4;

/// The share of each bin. Nothing counted gives shares of zero.
#[must_use]
pub fn shares(counts: &[u64]) -> Vec<f64> {
    let sum = real(counts.iter().sum::<u64>()).max(1.0);
    counts.iter().map(|&count| real(count) / sum).collect()
}

/// Population stability index: `Σ (p−q) ln(p/q)` (Lewis 1994; Siddiqi 2006). Empty bins count as `empty`.
#[must_use]
pub fn psi(p: &[f64], q: &[f64], empty: f64) -> f64 {
    filled(p, q, empty).map(|(p, q)| (p - q) * (p / q).ln()).sum()
}

/// Kullback–Leibler divergence of `p` from `q` in nats: `Σ p ln(p/q)`. Empty bins count as `empty`.
#[must_use]
pub fn kl(p: &[f64], q: &[f64], empty: f64) -> f64 {
    filled(p, q, empty).map(|(p, q)| p * (p / q).ln()).sum()
}

/// Jensen–Shannon distance (Endres and Schindelin 2003): the root of the divergence, to base 2, so between 0 and 1.
#[must_use]
pub fn jensen_shannon(p: &[f64], q: &[f64]) -> f64 {
    jensen_shannon_divergence(p, q).sqrt()
}

/// Jensen–Shannon divergence (Lin 1991) to base 2: between 0 and 1.
#[must_use]
pub fn jensen_shannon_divergence(p: &[f64], q: &[f64]) -> f64 {
    let half = |part: f64, mean: f64| if part > 0.0 { part * (part / mean).log2() } else { 0.0 };
    let sum: f64 = pairs(p, q).map(|(p, q)| half(p, f64::midpoint(p, q)) + half(q, f64::midpoint(p, q))).sum();
    (sum / 2.0).clamp(0.0, 1.0)
}

/// Hellinger distance: `√(½ Σ (√p−√q)²)`, between 0 and 1.
#[must_use]
pub fn hellinger(p: &[f64], q: &[f64]) -> f64 {
    (pairs(p, q).map(|(p, q)| (p.sqrt() - q.sqrt()).powi(2)).sum::<f64>() / 2.0).sqrt()
}

/// The greatest difference of a share: L∞.
#[must_use]
pub fn l_infinity(p: &[f64], q: &[f64]) -> f64 {
    pairs(p, q).map(|(p, q)| (p - q).abs()).fold(0.0, f64::max)
}

/// Total variation distance: half the sum of the differences.
#[must_use]
pub fn total_variation(p: &[f64], q: &[f64]) -> f64 {
    pairs(p, q).map(|(p, q)| (p - q).abs()).sum::<f64>() / 2.0
}

fn filled(p: &[f64], q: &[f64], empty: f64) -> impl Iterator<Item = (f64, f64)> {
    let fill = move |share: f64| if share > 0.0 { share } else { empty };
    pairs(p, q).map(move |(p, q)| (fill(p), fill(q)))
}

fn pairs(p: &[f64], q: &[f64]) -> impl Iterator<Item = (f64, f64)> {
    p.iter().copied().zip(q.iter().copied())
}
