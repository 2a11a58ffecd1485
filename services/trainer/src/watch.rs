//! How a model is watched: what its file says, and the reference that is pinned.

use std::num::NonZeroUsize;

use serde_json::json;
use switchyard_drift::{self as drift, Fold, Measure, Profile, Reference, Rule};
use switchyard_events::content_digest;
use switchyard_model::{Better, Correction, Limit, Model, PREDICTION, Performance, Size, Statistic, Task, Watched, Window};

use crate::{ingest::Schema, reference::Pinned};

/// Into how many parts numbers are cut where a statistic needs parts: so few that chance does not fill them unevenly.
const PARTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(19);

/// One model and what it is compared with.
#[derive(Clone, Debug)]
pub struct Watch {
    pub(crate) model: String,
    /// The run whose rows are the reference.
    pub(crate) reference: String,
    pub(crate) profile: Profile,
    pub(crate) schema: Schema,
    pub(crate) partitions: u16,
    pub(crate) window: Window,
    /// How long a prediction waits for its label, in seconds.
    pub(crate) wait: i64,
    pub(crate) task: Task,
    pub(crate) rules: Vec<(String, Rule)>,
    pub(crate) test: drift::Test,
    pub(crate) performance: Option<Performance>,
    /// What the metric was when the model was evaluated.
    pub(crate) baseline: Option<f64>,
    /// A digest of everything that counts depend on: where it changes, windows begin anew.
    pub(crate) basis: String,
    /// How new file and reference are: of two that differ, the one with the greater number is the newer.
    pub(crate) version: u64,
}

impl Watch {
    /// Of a model file and a reference; `None` where the file says nothing of monitoring.
    #[must_use]
    pub fn new(model: &Model, pinned: Pinned, version: u64) -> Option<Self> {
        let Pinned { run, profile, metrics, .. } = pinned;
        let monitor = model.monitor.as_ref()?;
        let data = &model.data;
        let fold = Fold::new(&profile);
        let (joins, window) = (monitor.performance.is_some(), monitor.window);
        let counted = json!({"reference": run, "frame": profile.frame(), "window": window, "partitions": monitor.input.partitions,
            "key": data.key, "eventTime": data.event_time, "features": data.features, "task": data.label.task, "joins": joins});
        let metric = monitor.performance.as_ref().and_then(|performance| serde_json::to_value(performance.metric).ok());
        let baseline = metric.as_ref().and_then(|metric| metrics.get(metric.as_str()?).copied());
        Some(Self {
            model: model.name.clone(),
            reference: run,
            schema: Schema::new(fold, &data.features, Some(&data.key), data.event_time.as_deref()),
            rules: rules(model, &profile),
            profile,
            partitions: monitor.input.partitions.get(),
            window,
            wait: monitor.labels.wait.whole_seconds(),
            task: data.label.task,
            test: test(model)?,
            performance: monitor.performance,
            baseline,
            basis: content_digest(counted.to_string().as_bytes())[..16].to_owned(),
            version,
        })
    }

    /// The rows after which a partition closes its window; `None` for windows of time.
    pub(crate) fn rows(&self) -> Option<u64> {
        match self.window.size {
            Size::Rows(rows) => Some(rows.get().div_ceil(u64::from(self.partitions))),
            Size::Every(_) => None,
        }
    }

    /// How long a window of time is, and how much later its rows may come: microseconds.
    pub(crate) fn times(&self) -> (i64, i64) {
        let every = match self.window.size {
            Size::Rows(_) => i64::MAX,
            Size::Every(every) => i64::try_from(every.duration().as_micros()).unwrap_or(i64::MAX),
        };
        (every.max(1), i64::try_from(self.window.lateness.duration().as_micros()).unwrap_or(i64::MAX))
    }

    /// The subject of a partition.
    pub(crate) fn subject(&self, partition: u16) -> String {
        format!("inference.{}.{partition}", self.model)
    }

    /// By how much a metric misses what it has to keep to; below zero where it does not. And what it has to keep to.
    pub(crate) fn missed(&self, value: f64) -> Option<(f64, f64)> {
        let performance = self.performance.as_ref()?;
        let (limit, at_least) = match (performance.limit, performance.metric.better()) {
            (Limit::Min(min), _) => (min, true),
            (Limit::Max(max), _) => (max, false),
            (Limit::Drop(drop), Better::More) => (self.baseline? - drop, true),
            (Limit::Drop(drop), Better::Less) => (self.baseline? + drop, false),
        };
        Some((if at_least { limit - value } else { value - limit }, limit))
    }
}

/// What is asked of each column that the reference has: of features, and of the model's answers where the file names them.
fn rules(model: &Model, profile: &Profile) -> Vec<(String, Rule)> {
    let Some(monitor) = &model.monitor else { return Vec::new() };
    let rule = |(name, reference): (&String, &Reference)| {
        let watched = monitor.watched(name, matches!(reference, Reference::Numeric { .. }));
        let Watched::Over { statistic, threshold } = watched else { return None };
        let asked = name == PREDICTION || model.data.features.contains(name);
        asked.then(|| (name.clone(), Rule { measure: measure(statistic), threshold, bins: PARTS }))
    };
    profile.columns().iter().filter_map(rule).collect()
}

fn measure(statistic: Statistic) -> Measure {
    match statistic {
        Statistic::Ks => Measure::Ks,
        Statistic::Psi => Measure::Psi,
        Statistic::Js => Measure::JensenShannon,
        Statistic::Wasserstein => Measure::Wasserstein,
        Statistic::Chi2 => Measure::ChiSquared,
        Statistic::Linf => Measure::LInfinity,
        Statistic::Hellinger => Measure::Hellinger,
        Statistic::Tvd => Measure::TotalVariation,
        Statistic::Kl => Measure::Kl,
        Statistic::Missing => Measure::Missing,
        Statistic::Unseen => Measure::Unseen,
    }
}

fn test(model: &Model) -> Option<drift::Test> {
    let monitor = model.monitor.as_ref()?;
    let correction = match monitor.test.correction {
        Correction::Bh => drift::Correction::BenjaminiHochberg,
        Correction::Holm => drift::Correction::Holm,
        Correction::None => drift::Correction::None,
    };
    let raise = drift::Raise { windows: NonZeroUsize::from(monitor.raise.windows), of: NonZeroUsize::from(monitor.raise.of) };
    Some(drift::Test { alpha: monitor.test.alpha, correction, min_samples: monitor.min_samples.get(), raise })
}
