//! Where two samples are furthest apart: what a person asks once the statistic is great.

use crate::{Histogram, number::real};

/// A place of the greatest distance between two distribution functions: of several, the least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Widest {
    /// The edge below which it is measured.
    pub at: f64,
    /// The share of the first sample that lies below, from 0 to 1.
    pub first: f64,
    /// The share of the other one.
    pub other: f64,
}

/// Goes through two histograms with the same edges.
pub(super) fn widest(one: &Histogram, other: &Histogram) -> Option<Widest> {
    let (n, m) = (one.values(), other.values());
    if n == 0 || m == 0 || one.edges() != other.edges() {
        return None;
    }
    let below = one.counts().iter().zip(other.counts()).scan((0, 0), |below, (a, b)| {
        *below = (below.0 + a, below.1 + b);
        Some(*below)
    });
    let apart = |(i, j): (u64, u64)| (u128::from(i) * u128::from(m)).abs_diff(u128::from(j) * u128::from(n));
    let mut most = None;
    for (at, below) in one.edges().as_slice().iter().zip(below) {
        let apart = apart(below);
        if most.is_none_or(|(most, _)| apart > most) {
            most = Some((apart, Widest { at: *at, first: real(below.0) / real(n), other: real(below.1) / real(m) }));
        }
    }
    most.map(|(_, widest)| widest)
}
