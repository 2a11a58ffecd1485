//! Several tests at once: what each p-value counts as, so that many columns do not make an alarm by themselves.

use crate::number::length;

/// Benjamini and Hochberg (1995): below α where the share of false alarms among the alarms shall be α.
#[must_use]
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let order = rising(p);
    let mut adjusted = vec![1.0; p.len()];
    let mut least = 1.0f64;
    for (rank, &at) in order.iter().enumerate().rev() {
        least = least.min(p[at] * length(p.len()) / length(rank + 1));
        adjusted[at] = least;
    }
    adjusted
}

/// Holm (1979): below α where the chance of any false alarm shall be α.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let order = rising(p);
    let mut adjusted = vec![1.0; p.len()];
    let mut greatest = 0.0f64;
    for (rank, &at) in order.iter().enumerate() {
        greatest = greatest.max(p[at] * length(p.len() - rank)).min(1.0);
        adjusted[at] = greatest;
    }
    adjusted
}

fn rising(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    order
}
