//! The Kolmogorov–Smirnov test of two samples: the greatest distance between their distribution functions.

mod exact;
mod kstwo;
mod widest;

pub use widest::Widest;

use crate::{
    Histogram,
    number::{length, real},
};

/// How many points of the lattice an exact p-value may visit: a few milliseconds.
const MOST_POINTS: f64 = 1e6;
/// How large a sample may be for it. For larger ones the asymptotic value is as good (`SciPy` draws the line here too).
const MOST_VALUES: f64 = 1e4;

/// The statistic of two samples, kept as a whole number of `1/(n·m)`: no rounding decides which paths count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ks {
    n: u64,
    m: u64,
    distance: u128,
}

impl Ks {
    /// Of two samples of finite values. An empty one has none.
    #[must_use]
    pub fn of_samples(one: &[f64], other: &[f64]) -> Option<Self> {
        let (one, other) = (sorted(one), sorted(other));
        let upto = |sample: &[f64], value: f64| sample.partition_point(|at| *at <= value) as u64;
        let steps = one.iter().chain(&other).map(|&value| (upto(&one, value), upto(&other, value)));
        Self::of_steps(one.len() as u64, other.len() as u64, steps)
    }

    /// Where two histograms with the same edges are furthest apart; an empty one is nowhere.
    #[must_use]
    pub fn widest(one: &Histogram, other: &Histogram) -> Option<Widest> {
        widest::widest(one, other)
    }

    /// Of two histograms with the same edges: never more than that of the samples, less by one bin's mass at most.
    #[must_use]
    pub fn of_counts(one: &[u64], other: &[u64]) -> Option<Self> {
        let steps = one.iter().zip(other).scan((0, 0), |sums, (a, b)| {
            *sums = (sums.0 + a, sums.1 + b);
            Some(*sums)
        });
        Self::of_steps(one.iter().sum(), other.iter().sum(), steps)
    }

    fn of_steps(n: u64, m: u64, steps: impl Iterator<Item = (u64, u64)>) -> Option<Self> {
        let apart = |(i, j): (u64, u64)| (u128::from(i) * u128::from(m)).abs_diff(u128::from(j) * u128::from(n));
        (n > 0 && m > 0).then(|| Self { n, m, distance: steps.map(apart).max().unwrap_or(0) })
    }

    /// D, between 0 and 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio; its parts need no more than a double's digits")]
    pub fn statistic(&self) -> f64 {
        self.distance as f64 / (real(self.n) * real(self.m))
    }

    /// The chance of a D as great or greater where both samples are of one distribution: exact where that is soon counted,
    /// else asymptotic.
    #[must_use]
    pub fn p(&self) -> f64 {
        let (n, m) = (real(self.n), real(self.m));
        let is_soon_counted = n.max(m) <= MOST_VALUES && 2.0 * self.statistic() * n * m + n + m <= MOST_POINTS;
        if is_soon_counted { self.exact_p() } else { self.asymptotic_p() }
    }

    /// By counting paths; time grows with n·m·D.
    #[must_use]
    pub fn exact_p(&self) -> f64 {
        exact::p(self.n, self.m, self.distance)
    }

    /// By the distribution of one sample of the size that two samples are worth: n·m/(n+m), rounded.
    #[must_use]
    pub fn asymptotic_p(&self) -> f64 {
        let (n, m) = (real(self.n), real(self.m));
        kstwo::upper(length(crate::number::whole((n * m / (n + m)).round_ties_even())).max(1.0), self.statistic())
    }
}

fn sorted(sample: &[f64]) -> Vec<f64> {
    let mut sample = sample.to_vec();
    sample.sort_by(f64::total_cmp);
    sample
}
