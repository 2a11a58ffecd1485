//! Decides whether the data that a model sees has drifted from the data that it was trained on.
//!
//! A [`Profile`] is what the columns were when the model was trained; a [`Survey`] draws its edges and names. A [`Fold`] counts
//! rows within them, many at a time, into [`WindowCounts`], which add up to the same bytes in any order. [`Profile::weigh`] compares
//! a column of a window with its reference, and [`judge`] says of each column whether it has drifted: the effect is great enough,
//! **and** chance does not explain it, **and** there were rows enough, in k of the last n windows.
//!
//! Everything here is a plain function over values: no clock, no IO, no randomness.

mod calibrate;
mod categories;
mod chi;
mod correction;
mod distance;
mod edges;
mod evidence;
mod exact;
mod fold;
mod gamma;
mod hash;
mod histogram;
mod ks;
mod number;
mod profile;
mod survey;
mod verdict;
mod wasserstein;
mod window_counts;

pub use calibrate::upper_threshold;
pub use categories::Categories;
pub use chi::{ChiSquared, contingency, cramers_v, goodness_of_fit, pooled};
pub use correction::{Correction, benjamini_hochberg, benjamini_yekutieli, bonferroni, holm};
pub use distance::{EMPTY, hellinger, jensen_shannon, jensen_shannon_divergence, kl, l_infinity, psi, shares, total_variation};
pub use edges::{Edges, EdgesError};
pub use evidence::{Evidence, Measure, Reference, Rule, Window, weigh};
pub use fold::{Column, Fold, MISSING, MISSING_NAME, UNSEEN_NAME};
pub use histogram::{Beside, Histogram, MergeError};
pub use ks::{Ks, Widest};
pub use profile::Profile;
pub use survey::{Kind, Survey, SurveyError};
pub use verdict::{Level, Raise, Standing, Test, Turn, Verdict, Why, judge};
pub use wasserstein::{
    LEAST_DEVIATION, deviation, normalised, of_histograms as wasserstein_of_histograms, of_samples as wasserstein_of_samples,
};
pub use window_counts::WindowCounts;
