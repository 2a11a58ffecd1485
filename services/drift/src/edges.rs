//! Where the bins of a histogram end: frozen when the reference is pinned, so that counts can be added.

use std::{num::NonZeroUsize, sync::Arc};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::exact::Exact;

/// The edges between the slots of a histogram: finite and strictly rising.
///
/// There is one slot more than edges: everything below the first edge, `[edge, next)` for each pair, and everything from the
/// last edge on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Exact>", into = "Vec<Exact>")]
pub struct Edges(Vec<f64>);

/// Why numbers are no edges.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum EdgesError {
    /// There is nothing to take edges from.
    #[error("no finite value: a histogram needs at least one edge; give a reference with values")]
    Empty,
    /// An edge is not finite, or not greater than the one before it.
    #[error("edge {0} is not finite or does not lie above the one before it; edges must rise strictly")]
    NotRising(usize),
}

impl Edges {
    /// The quantiles of the reference's finite values that cut it into at most `bins` parts of equal mass.
    ///
    /// Equal values never lie on both sides of an edge, so ties give fewer bins. The last edge lies just above the greatest
    /// value: whatever lands in the last slot was never seen in the reference.
    ///
    /// # Errors
    /// No value is finite.
    pub fn of_reference(values: &[f64], bins: NonZeroUsize) -> Result<Self, EdgesError> {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return Err(EdgesError::Empty) };
        let inner = (1..bins.get()).filter_map(|cut| sorted.get(cut * sorted.len() / bins.get()));
        let mut edges: Vec<f64> = std::iter::once(first).chain(inner).copied().collect();
        edges.push(last.next_up());
        edges.dedup();
        Self::try_from(edges)
    }

    /// The slot of a value that is a number.
    #[must_use]
    pub fn slot(&self, value: f64) -> usize {
        self.0.partition_point(|edge| *edge <= value)
    }

    /// How many slots there are.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.0.len() + 1
    }

    /// The first edge alone.
    pub(crate) fn first(&self) -> Arc<Self> {
        Arc::new(Self(self.0.iter().copied().take(1).collect()))
    }

    /// The edges, rising.
    #[must_use]
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }
}

impl TryFrom<Vec<f64>> for Edges {
    type Error = EdgesError;

    fn try_from(edges: Vec<f64>) -> Result<Self, EdgesError> {
        if edges.is_empty() {
            return Err(EdgesError::Empty);
        }
        match (0..edges.len()).find(|&at| !edges[at].is_finite() || (at > 0 && edges[at] <= edges[at - 1])) {
            Some(at) => Err(EdgesError::NotRising(at)),
            None => Ok(Self(edges)),
        }
    }
}

impl TryFrom<Vec<Exact>> for Edges {
    type Error = EdgesError;

    fn try_from(edges: Vec<Exact>) -> Result<Self, EdgesError> {
        Self::try_from(edges.into_iter().map(|edge| edge.0).collect::<Vec<f64>>())
    }
}

impl From<Edges> for Vec<Exact> {
    fn from(edges: Edges) -> Self {
        edges.0.into_iter().map(Exact).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantiles(values: &[f64], bins: usize) -> Vec<f64> {
        Edges::of_reference(values, NonZeroUsize::new(bins).unwrap()).unwrap().as_slice().to_vec()
    }

    #[test]
    fn edges_cut_the_reference_into_parts_of_equal_mass() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(quantiles(&values, 4), [0.0, 25.0, 50.0, 75.0, 99f64.next_up()]);
    }

    #[test]
    fn a_constant_column_has_one_bin_and_what_differs_lies_outside() {
        let edges = Edges::of_reference(&[3.0; 9], NonZeroUsize::new(10).unwrap()).unwrap();
        assert_eq!((edges.slot(2.9), edges.slot(3.0), edges.slot(3.1), edges.slots()), (0, 1, 2, 3));
    }

    #[test]
    fn what_does_not_rise_is_refused() {
        assert_eq!(Edges::try_from(vec![1.0, 1.0]), Err(EdgesError::NotRising(1)));
        assert_eq!(Edges::try_from(vec![f64::NAN]), Err(EdgesError::NotRising(0)));
        assert_eq!(Edges::of_reference(&[f64::INFINITY], NonZeroUsize::MIN), Err(EdgesError::Empty));
    }
}
