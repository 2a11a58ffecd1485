//! Several tests at once: what each p-value counts as, so that many columns do not make an alarm by themselves.

use serde::{Deserialize, Serialize};

use crate::number::length;

/// How p-values are corrected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Correction {
    /// [`benjamini_hochberg`].
    #[default]
    #[serde(rename = "bh")]
    BenjaminiHochberg,
    /// [`benjamini_yekutieli`].
    #[serde(rename = "by")]
    BenjaminiYekutieli,
    /// [`holm`].
    #[serde(rename = "holm")]
    Holm,
    /// [`bonferroni`].
    #[serde(rename = "bonferroni")]
    Bonferroni,
    /// Each by itself.
    #[serde(rename = "none")]
    None,
}

impl Correction {
    /// What each p-value counts as.
    #[must_use]
    pub fn adjust(self, p: &[f64]) -> Vec<f64> {
        match self {
            Self::BenjaminiHochberg => benjamini_hochberg(p),
            Self::BenjaminiYekutieli => benjamini_yekutieli(p),
            Self::Holm => holm(p),
            Self::Bonferroni => bonferroni(p),
            Self::None => p.to_vec(),
        }
    }
}

/// Benjamini and Hochberg (1995): below α where the share of false alarms among the alarms shall be α.
#[must_use]
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    step_up(p, 1.0)
}

/// Benjamini and Yekutieli (2001): the same however the tests depend on each other.
#[must_use]
pub fn benjamini_yekutieli(p: &[f64]) -> Vec<f64> {
    step_up(p, (1..=p.len()).map(|rank| 1.0 / length(rank)).sum())
}

/// Bonferroni: below α where the chance of any false alarm shall be α. [`holm`] promises the same and sees more.
#[must_use]
pub fn bonferroni(p: &[f64]) -> Vec<f64> {
    let tests = length(p.len());
    p.iter().map(|p| (p * tests).min(1.0)).collect()
}

fn step_up(p: &[f64], factor: f64) -> Vec<f64> {
    let order = rising(p);
    let mut adjusted = vec![1.0; p.len()];
    let mut least = 1.0f64;
    for (rank, &at) in order.iter().enumerate().rev() {
        least = least.min(p[at] * factor * length(p.len()) / length(rank + 1));
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
