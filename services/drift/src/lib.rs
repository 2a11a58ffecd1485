//! Decides whether the data that a model sees has drifted from the data that it was trained on.
//!
//! A window of rows is counted between edges that were frozen with the reference ([`Histogram`], [`Categories`]); counts of
//! partitions add up to the same bytes in any order. [`weigh`] compares a window with the reference, and [`judge`] says of each
//! column whether it has drifted: the effect is great enough, **and** chance does not explain it, **and** there were rows enough,
//! in k of the last n windows.
//!
//! Everything here is a plain function over values: no clock, no IO, no randomness.

mod categories;
mod chi;
mod correction;
mod distance;
mod edges;
mod evidence;
mod exact;
mod gamma;
mod histogram;
mod ks;
mod number;
mod verdict;
mod wasserstein;

pub use categories::Categories;
pub use chi::{ChiSquared, contingency, cramers_v, goodness_of_fit, pooled};
pub use correction::{benjamini_hochberg, holm};
pub use distance::{EMPTY, hellinger, jensen_shannon, jensen_shannon_divergence, kl, l_infinity, psi, shares, total_variation};
pub use edges::{Edges, EdgesError};
pub use evidence::{Evidence, Measure, Reference, Rule, Window, weigh};
pub use histogram::{Beside, Histogram, MergeError};
pub use ks::Ks;
pub use verdict::{Level, Raise, Standing, Test, Turn, Verdict, Why, judge};
pub use wasserstein::{
    LEAST_DEVIATION, deviation, normalised, of_histograms as wasserstein_of_histograms, of_samples as wasserstein_of_samples,
};
