//! What a window says about one column: how great the difference is, and how well chance explains it.

use std::{num::NonZeroUsize, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    Categories, ChiSquared, EMPTY, Edges, EdgesError, Histogram, Ks, MergeError, contingency, cramers_v,
    distance::{hellinger, jensen_shannon, kl, l_infinity, psi, shares, total_variation},
    number::{real, whole},
    pooled,
    wasserstein::{self, deviation, normalised},
};

/// How the effect is measured. Numeric columns are cut into [`Rule::bins`] for all but KS and Wasserstein.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Population stability index; empty bins count as [`EMPTY`].
    Psi,
    /// Jensen–Shannon distance, base 2.
    JensenShannon,
    /// Wasserstein-1 in standard deviations of the reference. Numeric columns only.
    Wasserstein,
    /// The Kolmogorov–Smirnov distance. Numeric columns only.
    Ks,
    /// χ² as Cramér's V.
    ChiSquared,
    /// The greatest difference of a share.
    LInfinity,
    /// Hellinger distance.
    Hellinger,
    /// Total variation distance.
    TotalVariation,
    /// Kullback–Leibler divergence of the reference from the window, in nats; empty bins count as [`EMPTY`].
    Kl,
    /// The difference of the share of rows without a usable value.
    Missing,
    /// The difference of the share of values that the reference does not have: unknown names, numbers outside of its range.
    Unseen,
}

/// What is asked of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// How the effect is measured.
    pub measure: Measure,
    /// From which effect on it counts.
    pub threshold: f64,
    /// Into how many parts of about equal mass of the reference a numeric column is cut.
    pub bins: NonZeroUsize,
}

/// A column as it was when the model was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reference {
    /// Numbers.
    Numeric {
        /// Their counts.
        histogram: Histogram,
        /// Their standard deviation.
        #[serde(with = "crate::exact::number")]
        deviation: f64,
    },
    /// Names.
    Categorical(Categories),
}

/// A column as a window has seen it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    /// Numbers.
    Numeric(Histogram),
    /// Names.
    Categorical(Categories),
}

/// The difference between a window and the reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// How it was measured.
    pub measure: Measure,
    /// How great it is.
    pub effect: f64,
    /// From which effect on it counts.
    pub threshold: f64,
    /// The chance of a difference as great where nothing has changed: by KS for numbers, by χ² for names and for
    /// shares of missing and unseen values.
    pub p: f64,
    /// The size of the reference's sample.
    pub reference: u64,
    /// The size of the window's sample.
    pub rows: u64,
}

impl Reference {
    /// Pins a numeric column: at most `bins` bins of equal mass.
    ///
    /// # Errors
    /// No value is finite.
    pub fn numeric(values: &[Option<f64>], bins: NonZeroUsize) -> Result<Self, EdgesError> {
        let finite: Vec<f64> = values.iter().flatten().copied().filter(|value| value.is_finite()).collect();
        let mut histogram = Histogram::new(Arc::new(Edges::of_reference(&finite, bins)?));
        for value in values {
            histogram.add(*value);
        }
        Ok(Self::Numeric { histogram, deviation: deviation(&finite) })
    }

    /// A column of the same kind that nothing is ever counted in, in as little room as that takes.
    pub(crate) fn emptied(&self) -> Self {
        match self {
            Self::Numeric { histogram, .. } => Self::Numeric { histogram: histogram.emptied(), deviation: 0.0 },
            Self::Categorical(categories) => Self::Categorical(Categories::new(categories.names())),
        }
    }
}

/// Weighs a window against the reference.
///
/// An empty window, or a measure that its kind of column does not have, gives no effect and a p of 1.
///
/// # Errors
/// The window was not counted against this reference.
pub fn weigh(reference: &Reference, window: &Window, rule: &Rule) -> Result<Evidence, MergeError> {
    match (reference, window) {
        (Reference::Numeric { histogram, deviation }, Window::Numeric(window)) if histogram.edges() == window.edges() => {
            Ok(numbers(histogram, *deviation, window, rule))
        }
        (Reference::Categorical(reference), Window::Categorical(window)) if reference.fits(window) => {
            Ok(names(reference, window, rule))
        }
        _ => Err(MergeError),
    }
}

fn numbers(reference: &Histogram, deviation: f64, window: &Histogram, rule: &Rule) -> Evidence {
    if rule.measure == Measure::Missing {
        return share((reference.values(), reference.unusable()), (window.values(), window.unusable()), rule);
    }
    let samples = (reference.values(), window.values());
    if rule.measure == Measure::Unseen {
        let outside = |histogram: &Histogram| {
            let ends = [histogram.counts().first(), histogram.counts().last()];
            let outside = ends.into_iter().flatten().sum();
            (histogram.values() - outside, outside)
        };
        return share(outside(reference), outside(window), rule);
    }
    let Some(ks) = Ks::of_counts(reference.counts(), window.counts()) else { return nothing(samples, rule) };
    let effect = match rule.measure {
        Measure::Ks => ks.statistic(),
        Measure::Wasserstein => {
            wasserstein::of_histograms(reference, window).map_or(0.0, |distance| normalised(distance, deviation))
        }
        Measure::Missing
        | Measure::Unseen
        | Measure::Kl
        | Measure::TotalVariation
        | Measure::Psi
        | Measure::JensenShannon
        | Measure::ChiSquared
        | Measure::LInfinity
        | Measure::Hellinger => {
            let parts = |counts: &[u64]| coarse(counts, reference, rule);
            binned(rule.measure, &parts(reference.counts()), &parts(window.counts()))
        }
    };
    Evidence { effect, p: ks.p(), ..nothing(samples, rule) }
}

fn names(reference: &Categories, window: &Categories, rule: &Rule) -> Evidence {
    if rule.measure == Measure::Missing {
        return share((reference.values(), reference.missing()), (window.values(), window.missing()), rule);
    }
    if rule.measure == Measure::Unseen {
        let unseen = |of: &Categories| (of.values() - of.unseen(), of.unseen());
        return share(unseen(reference), unseen(window), rule);
    }
    let samples = (reference.values(), window.values());
    if samples.0 == 0 || samples.1 == 0 {
        return nothing(samples, rule);
    }
    let (one, other) = (reference.counts(), window.counts());
    Evidence { effect: binned(rule.measure, &one, &other), p: chance(&one, &other), ..nothing(samples, rule) }
}

/// The effect between two lists of counts. What needs an order of the bins has none.
fn binned(measure: Measure, one: &[u64], other: &[u64]) -> f64 {
    let (p, q) = (shares(one), shares(other));
    match measure {
        Measure::Psi => psi(&p, &q, EMPTY),
        Measure::JensenShannon => jensen_shannon(&p, &q),
        Measure::LInfinity => l_infinity(&p, &q),
        Measure::Hellinger => hellinger(&p, &q),
        Measure::ChiSquared => {
            let ChiSquared { statistic, .. } = contingency(one, other);
            cramers_v(statistic, one.iter().chain(other).sum())
        }
        Measure::Kl => kl(&p, &q, EMPTY),
        Measure::TotalVariation => total_variation(&p, &q),
        Measure::Wasserstein | Measure::Ks | Measure::Missing | Measure::Unseen => 0.0,
    }
}

/// The difference of the share of rows that are odd, each sample as (not odd, odd).
fn share(reference: (u64, u64), window: (u64, u64), rule: &Rule) -> Evidence {
    let share = |(even, odd): (u64, u64)| real(odd) / real(even + odd).max(1.0);
    let rows = (reference.0 + reference.1, window.0 + window.1);
    if rows.0 == 0 || rows.1 == 0 {
        return nothing(rows, rule);
    }
    let p = contingency(&[reference.0, reference.1], &[window.0, window.1]).p;
    Evidence { effect: (share(reference) - share(window)).abs(), p, ..nothing(rows, rule) }
}

fn nothing((reference, rows): (u64, u64), rule: &Rule) -> Evidence {
    Evidence { measure: rule.measure, effect: 0.0, threshold: rule.threshold, p: 1.0, reference, rows }
}

fn chance(one: &[u64], other: &[u64]) -> f64 {
    let (one, other) = pooled(one, other);
    contingency(&one, &other).p
}

/// Neighbouring slots put together, so that each part holds about the same mass of the reference.
fn coarse(counts: &[u64], reference: &Histogram, rule: &Rule) -> Vec<u64> {
    let (bins, all) = (rule.bins.get(), real(reference.values()).max(1.0));
    let (mut parts, mut before) = (vec![0; bins], 0.0);
    for (count, mass) in counts.iter().zip(reference.counts()) {
        let middle = (before + real(*mass) / 2.0) / all;
        before += real(*mass);
        parts[whole(middle * real(bins as u64)).min(bins - 1)] += count;
    }
    parts
}
