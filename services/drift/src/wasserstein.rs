//! Wasserstein-1, the earth mover's distance: the area between two distribution functions (Vallender 1974).

use crate::{
    histogram::Histogram,
    number::{length, real},
};

/// The least deviation that a distance is divided by: a constant column would divide by zero.
pub const LEAST_DEVIATION: f64 = 0.001;

/// The distance of two samples, exactly. Both must hold finite values only; an empty one has none.
#[must_use]
pub fn of_samples(one: &[f64], other: &[f64]) -> Option<f64> {
    let (one, other) = (sorted(one), sorted(other));
    let mut all: Vec<f64> = one.iter().chain(&other).copied().collect();
    all.sort_by(f64::total_cmp);
    let below = |sample: &[f64], value: f64| length(sample.partition_point(|at| *at <= value)) / length(sample.len());
    let area = |pair: &[f64]| (below(&one, pair[0]) - below(&other, pair[0])).abs() * (pair[1] - pair[0]);
    (!one.is_empty() && !other.is_empty()).then(|| all.windows(2).map(area).sum())
}

/// The distance of two histograms with the same edges, their values spread evenly within each slot. An empty one has none.
#[must_use]
pub fn of_histograms(one: &Histogram, other: &Histogram) -> Option<f64> {
    let edges = one.edges().as_slice();
    let (low, high) = (*edges.first()?, *edges.last()?);
    let least = low.min(one.beside().least?).min(other.beside().least?);
    let greatest = high.max(one.beside().greatest?).max(other.beside().greatest?);
    let ends = edges.iter().copied().chain([greatest]);
    let (mut area, mut start, mut before) = (0.0, least, 0.0);
    let (all, others) = (real(one.values()), real(other.values()));
    for ((end, own), more) in ends.zip(one.counts()).zip(other.counts()) {
        let after = before + real(*own) / all - real(*more) / others;
        area += under(before, after) * (end - start);
        (start, before) = (end, after);
    }
    Some(area)
}

/// A distance in units of the reference's deviation, so that thresholds do not depend on a column's unit.
#[must_use]
pub fn normalised(distance: f64, deviation: f64) -> f64 {
    distance / deviation.max(LEAST_DEVIATION)
}

/// The standard deviation of a whole population (divided by n, not n−1). Zero for an empty one.
#[must_use]
pub fn deviation(values: &[f64]) -> f64 {
    let size = length(values.len()).max(1.0);
    let mean = values.iter().sum::<f64>() / size;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / size).sqrt()
}

/// The mean height of a line from `a` to `b`, what lies below zero counted above it.
fn under(a: f64, b: f64) -> f64 {
    if a * b >= 0.0 { f64::midpoint(a, b).abs() } else { (a * a + b * b) / (2.0 * (a.abs() + b.abs())) }
}

fn sorted(sample: &[f64]) -> Vec<f64> {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}
