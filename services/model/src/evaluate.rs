//! `evaluate` and `serve`: what a candidate is measured by, what it must reach, and what is said when it takes over.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use switchyard_file::{Node, Place, Problems, Read, keys, words};

use crate::{Fold, Task};

keys! {
    written
    /// What a candidate is measured by.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Evaluate {
        /// The fold that it is measured on; without it, the last that there is.
        fold: Option<Fold> = "fold",
        /// The metrics; without any, those that fit the task.
        metrics: Vec<Metric> = "metrics",
        /// The features by whose values the metrics are given once more.
        slices: Vec<String> = "slices",
        /// A command that measures more.
        custom: Option<Custom> = "custom",
        /// What it must reach; without it, the first metric must not be worse than the champion's.
        gate: Option<GateRule> = "gate",
    }
}

keys! {
    written
    /// A command that writes metrics of its own.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Custom {
        /// A program and its arguments.
        command: Vec<String> = "command",
        /// Whether more is better, or less, of a metric of its own that the gate names.
        better: Better = "better" or Better::More,
    }
}

/// Which direction is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// More.
    More,
    /// Less.
    Less,
}

words! { written Better { "more" => Self::More, "less" => Self::Less, } }

/// A metric that is computed from predictions and labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Area under the ROC curve.
    Auc,
    /// Mean negative log-likelihood.
    Logloss,
    /// Share of right answers.
    Accuracy,
    /// Share of true ones among those called positive; the mean over classes where there are several.
    Precision,
    /// Share of positives that are found; the mean over classes where there are several.
    Recall,
    /// Harmonic mean of precision and recall; the mean over classes where there are several.
    F1,
    /// Mean squared error of probabilities.
    Brier,
    /// Root of the mean squared error.
    Rmse,
    /// Mean absolute error.
    Mae,
    /// Share of the variance that is explained.
    R2,
}

words! {
    written Metric {
        "auc" => Self::Auc, "logloss" => Self::Logloss, "accuracy" => Self::Accuracy, "precision" => Self::Precision,
        "recall" => Self::Recall, "f1" => Self::F1, "brier" => Self::Brier, "rmse" => Self::Rmse, "mae" => Self::Mae, "r2" => Self::R2,
    }
}

impl Metric {
    /// Which direction is better.
    #[must_use]
    pub const fn better(self) -> Better {
        match self {
            Self::Auc | Self::Accuracy | Self::Precision | Self::Recall | Self::F1 | Self::R2 => Better::More,
            Self::Logloss | Self::Brier | Self::Rmse | Self::Mae => Better::Less,
        }
    }

    /// Whether it means anything for a task.
    #[must_use]
    pub const fn fits(self, task: Task) -> bool {
        match self {
            Self::Auc | Self::Brier => matches!(task, Task::Binary),
            Self::Logloss | Self::Accuracy | Self::Precision | Self::Recall | Self::F1 => !matches!(task, Task::Regression),
            Self::Rmse | Self::Mae | Self::R2 => matches!(task, Task::Regression),
        }
    }

    /// The metrics where none are named.
    #[must_use]
    pub fn of(task: Task) -> Vec<Self> {
        match task {
            Task::Binary => vec![Self::Auc, Self::Logloss],
            Task::Multiclass => vec![Self::Accuracy, Self::Logloss],
            Task::Regression => vec![Self::Rmse, Self::Mae],
        }
    }
}

keys! {
    written
    /// What a candidate must reach.
    #[derive(Clone, Debug, PartialEq)]
    pub struct GateRule {
        /// The metric that decides: one of `metrics`, or one that the custom command writes.
        metric: String = "metric",
        /// It must be at least this.
        min: Option<f64> = "min",
        /// It must be at most this.
        max: Option<f64> = "max",
        /// It must be better than the champion's by this; below 0, it may be worse by so much.
        gain: Option<f64> = "gain",
        /// On no slice may it be worse than the champion's by more than this.
        max_slice_drop: Option<f64> = "maxSliceDrop",
    }
}

keys! {
    written
    /// What is said when a model takes over, beside `model.promoted`.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Serve {
        /// The event that servers wait for: `model.promoted`, which is always said.
        event: Option<ServeEvent> = "event",
        /// Whether `artifact.published` is said of the model.
        artifact: bool = "artifact" or false,
        /// The service of which `service.deployed` or `service.upgraded` is said.
        service: Option<Service> = "service",
    }
}

/// The event that servers wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServeEvent {
    /// `model.promoted`.
    Promoted,
}

words! { written ServeEvent { "model.promoted" => Self::Promoted, } }

keys! {
    written
    /// A service that serves the model.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Service {
        /// Its id.
        id: String = "id",
        /// The environment that it is in.
        environment: String = "environment",
    }
}

/// How good the model must stay on rows whose labels have come: one of `min`, `max`, `drop`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Performance {
    /// The metric.
    pub metric: Metric,
    /// What it must keep to.
    pub limit: Limit,
}

/// What a metric must keep to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// At least this.
    Min(f64),
    /// At most this.
    Max(f64),
    /// Worse by no more than this than when it was evaluated.
    Drop(f64),
}

keys! {
    /// `monitor.performance`.
    struct WrittenPerformance {
        /// The metric.
        metric: Metric = "metric",
        /// It must be at least this.
        min: Option<f64> = "min",
        /// It must be at most this.
        max: Option<f64> = "max",
        /// It must not be worse than at its evaluation by more than this.
        drop: Option<f64> = "drop",
    }
}

impl Read for Performance {
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        let WrittenPerformance { metric, min, max, drop } = WrittenPerformance::read(node, at, problems)?;
        let limit = match (min, max, drop) {
            (Some(min), None, None) => Limit::Min(min),
            (None, Some(max), None) => Limit::Max(max),
            (None, None, Some(drop)) => Limit::Drop(drop),
            _ => {
                problems.add(at, node.line, "exactly one of these is expected beside metric: min, max, drop");
                return None;
            }
        };
        Some(Self { metric, limit })
    }

    fn schema() -> Value {
        WrittenPerformance::schema()
    }
}

impl Serialize for Performance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, value) = match self.limit {
            Limit::Min(min) => ("min", min),
            Limit::Max(max) => ("max", max),
            Limit::Drop(drop) => ("drop", drop),
        };
        json!({"metric": self.metric, key: value}).serialize(serializer)
    }
}
