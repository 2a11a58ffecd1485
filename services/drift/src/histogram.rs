//! What a window has seen of a numeric column. Nothing in it is a sum of fractions, so that states merge to the same bytes in
//! any order and grouping.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::edges::Edges;

/// Counts of a numeric column between fixed edges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Histogram {
    edges: Arc<Edges>,
    counts: Vec<u64>,
    #[serde(flatten)]
    beside: Beside,
}

/// What is counted beside the slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// Rows without a value.
    pub missing: u64,
    /// Values that are no number.
    pub nan: u64,
    /// Values of −∞.
    pub negative_infinity: u64,
    /// Values of +∞.
    pub positive_infinity: u64,
    /// The least finite value.
    #[serde(with = "crate::exact::option")]
    pub least: Option<f64>,
    /// The greatest finite value.
    #[serde(with = "crate::exact::option")]
    pub greatest: Option<f64>,
}

/// Two states that cannot be added: they were counted against different references.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the states were counted against different references; count the window again with the reference that is pinned now")]
pub struct MergeError;

impl Histogram {
    /// An empty histogram.
    #[must_use]
    pub fn new(edges: Arc<Edges>) -> Self {
        Self { counts: vec![0; edges.slots()], edges, beside: Beside::default() }
    }

    /// Counts one row.
    pub fn add(&mut self, value: Option<f64>) {
        self.add_rows(value, 1);
    }

    /// Counts rows that all hold the same. None of them changes nothing.
    pub fn add_rows(&mut self, value: Option<f64>, rows: u64) {
        if rows == 0 {
            return;
        }
        let beside = &mut self.beside;
        match value {
            None => beside.missing += rows,
            Some(value) if value.is_nan() => beside.nan += rows,
            Some(f64::INFINITY) => beside.positive_infinity += rows,
            Some(f64::NEG_INFINITY) => beside.negative_infinity += rows,
            Some(value) => {
                self.counts[self.edges.slot(value)] += rows;
                beside.least = extreme(beside.least, Some(value), f64::min);
                beside.greatest = extreme(beside.greatest, Some(value), f64::max);
            }
        }
    }

    /// Adds what another has counted.
    ///
    /// # Errors
    /// The other has different edges; nothing is added then.
    pub fn merge(&mut self, other: &Self) -> Result<(), MergeError> {
        if self.edges != other.edges {
            return Err(MergeError);
        }
        for (own, more) in self.counts.iter_mut().zip(&other.counts) {
            *own += more;
        }
        self.beside.add(&other.beside);
        Ok(())
    }

    /// With what was counted elsewhere, if the counts are as many as the slots.
    pub(crate) fn of_counts(edges: Arc<Edges>, counts: Vec<u64>, beside: Beside) -> Option<Self> {
        (counts.len() == edges.slots()).then_some(Self { edges, counts, beside })
    }

    /// Nothing, with one edge of these.
    pub(crate) fn emptied(&self) -> Self {
        Self::new(self.edges.first())
    }

    /// Where the slots end, to share.
    pub(crate) fn shared_edges(&self) -> Arc<Edges> {
        Arc::clone(&self.edges)
    }

    /// Where the slots end.
    #[must_use]
    pub fn edges(&self) -> &Edges {
        &self.edges
    }

    /// The finite values in each slot.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// What was counted beside the slots.
    #[must_use]
    pub fn beside(&self) -> &Beside {
        &self.beside
    }

    /// How many finite values were counted: the size of the sample.
    #[must_use]
    pub fn values(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many rows were counted, whatever they held.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.values() + self.unusable()
    }

    /// How many rows held no finite value.
    #[must_use]
    pub fn unusable(&self) -> u64 {
        let Beside { missing, nan, negative_infinity, positive_infinity, .. } = self.beside;
        missing + nan + negative_infinity + positive_infinity
    }
}

impl Beside {
    pub(crate) fn add(&mut self, more: &Self) {
        self.missing += more.missing;
        self.nan += more.nan;
        self.negative_infinity += more.negative_infinity;
        self.positive_infinity += more.positive_infinity;
        self.least = extreme(self.least, more.least, f64::min);
        self.greatest = extreme(self.greatest, more.greatest, f64::max);
    }
}

/// The more extreme of two values where there are two. Adding zero makes one zero of both: which of them a comparison of −0 and
/// 0 returns is not defined, and the bytes would tell.
pub(crate) fn extreme(one: Option<f64>, other: Option<f64>, of: fn(f64, f64) -> f64) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(of(one, other) + 0.0),
        (one, other) => one.or(other).map(|value| value + 0.0),
    }
}

/// A histogram as it was stored, before anybody knows that its parts fit.
#[derive(Deserialize)]
struct Stored {
    edges: Arc<Edges>,
    counts: Vec<u64>,
    #[serde(flatten)]
    beside: Beside,
}

impl TryFrom<Stored> for Histogram {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let (counts, slots) = (stored.counts.len(), stored.edges.slots());
        if counts != slots {
            return Err(format!("counts: {counts} counts for {slots} slots; there must be one more than edges"));
        }
        Ok(Self { edges: stored.edges, counts: stored.counts, beside: stored.beside })
    }
}
