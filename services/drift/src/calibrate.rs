//! A threshold from a column's own history, for who does not want to choose one.

use crate::{number::length, wasserstein::deviation};

/// Three standard deviations above the mean of a statistic over windows in which nothing had changed, `NannyML`'s rule.
///
/// Nothing is known of an empty history.
#[must_use]
pub fn upper_threshold(history: &[f64]) -> Option<f64> {
    let mean = history.iter().sum::<f64>() / length(history.len());
    (!history.is_empty()).then(|| mean + 3.0 * deviation(history))
}
