//! Pearson's χ²: whether two lists of counts come from one distribution (1900).

use crate::{
    gamma,
    number::{length, real},
};

/// A χ² statistic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChiSquared {
    /// The statistic.
    pub statistic: f64,
    /// The chance of one as great or greater where nothing differs.
    pub p: f64,
    /// Degrees of freedom.
    pub freedom: usize,
}

/// Both counts as samples of one table (homogeneity). Bins that are empty in both say nothing.
///
/// Nothing to compare (one side empty, or a single bin) gives a statistic of 0 and p of 1.
#[must_use]
pub fn contingency(one: &[u64], other: &[u64]) -> ChiSquared {
    let (n, m) = (real(one.iter().sum()), real(other.iter().sum()));
    let bins: Vec<(f64, f64)> = one.iter().zip(other).filter(|&(&a, &b)| a + b > 0).map(|(&a, &b)| (real(a), real(b))).collect();
    if n == 0.0 || m == 0.0 || bins.len() < 2 {
        return ChiSquared { statistic: 0.0, p: 1.0, freedom: 0 };
    }
    let cell = |seen: f64, expected: f64| (seen - expected).powi(2) / expected;
    let column = |(a, b): &(f64, f64)| cell(*a, (a + b) * n / (n + m)) + cell(*b, (a + b) * m / (n + m));
    tail(bins.iter().map(column).sum(), bins.len() - 1)
}

/// The counts against the reference's shares taken as exact (goodness of fit). What the reference has never seen makes p 0.
#[must_use]
pub fn goodness_of_fit(reference: &[u64], counts: &[u64]) -> ChiSquared {
    let scale = real(counts.iter().sum()) / real(reference.iter().sum::<u64>().max(1));
    let bins: Vec<(f64, f64)> = reference
        .iter()
        .zip(counts)
        .filter(|&(&a, &b)| a + b > 0)
        .map(|(&expected, &seen)| (real(expected) * scale, real(seen)))
        .collect();
    if scale == 0.0 || bins.len() < 2 {
        return ChiSquared { statistic: 0.0, p: 1.0, freedom: 0 };
    }
    tail(bins.iter().map(|(expected, seen)| (seen - expected).powi(2) / expected).sum(), bins.len() - 1)
}

/// Cramér's V of two samples: the statistic as an effect between 0 and 1, whatever the samples' size.
#[must_use]
pub fn cramers_v(statistic: f64, rows: u64) -> f64 {
    (statistic / real(rows.max(1))).sqrt()
}

/// Puts bins of which fewer than five rows are expected in `other` into one: below that χ² is no χ² (Cochran 1954).
#[must_use]
pub fn pooled(one: &[u64], other: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let (n, m) = (real(one.iter().sum()), real(other.iter().sum()));
    let smaller = n.min(m);
    let (mut rare, mut kept) = ((0, 0), (Vec::new(), Vec::new()));
    for (&a, &b) in one.iter().zip(other) {
        if real(a + b) * smaller < 5.0 * (n + m) {
            rare = (rare.0 + a, rare.1 + b);
        } else {
            kept.0.push(a);
            kept.1.push(b);
        }
    }
    kept.0.push(rare.0);
    kept.1.push(rare.1);
    kept
}

fn tail(statistic: f64, freedom: usize) -> ChiSquared {
    let p = if statistic.is_finite() { gamma::upper(length(freedom) / 2.0, statistic / 2.0) } else { 0.0 };
    ChiSquared { statistic, p, freedom }
}
