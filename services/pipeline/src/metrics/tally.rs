//! Sums over rows, from which metrics are taken at the end.

use std::collections::BTreeMap;

use switchyard_model::{Metric, Task};

use super::Outcome;

/// The nearest that a probability may come to 0 or 1 in a logarithm, as scikit-learn had it.
const LEAST: f64 = 1e-15;

/// Sums over rows.
#[derive(Clone, Debug)]
pub(super) enum Tally {
    Binary(Binary),
    Multiclass(Multiclass),
    Regression(Regression),
}

/// Said and true, said and false, …
#[derive(Clone, Debug, Default)]
pub(super) struct Binary {
    rows: f64,
    logloss: f64,
    squares: f64,
    right: f64,
    hits: f64,
    said: f64,
    positives: f64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Multiclass {
    rows: f64,
    right: f64,
    logloss: Option<f64>,
    classes: BTreeMap<String, Class>,
}

/// How often a class was there, was predicted, and both.
#[derive(Clone, Copy, Debug, Default)]
struct Class {
    there: f64,
    said: f64,
    hits: f64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Regression {
    rows: f64,
    squares: f64,
    distances: f64,
    mean: f64,
    spread: f64,
}

impl Tally {
    pub(super) fn new(task: Task) -> Self {
        match task {
            Task::Binary => Self::Binary(Binary::default()),
            Task::Multiclass => Self::Multiclass(Multiclass { logloss: Some(0.0), ..Multiclass::default() }),
            Task::Regression => Self::Regression(Regression::default()),
        }
    }

    pub(super) fn add(&mut self, outcome: &Outcome) {
        match (self, outcome) {
            (Self::Binary(sums), Outcome::Binary { truth, probability }) => sums.add(*truth, *probability),
            (Self::Multiclass(sums), Outcome::Multiclass { truth, predicted, probability }) => {
                sums.add(truth, predicted, *probability);
            }
            (Self::Regression(sums), Outcome::Regression { truth, predicted }) => sums.add(*truth, *predicted),
            (Self::Binary(_) | Self::Multiclass(_) | Self::Regression(_), _) => {}
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    pub(super) fn rows(&self) -> u64 {
        (match self {
            Self::Binary(sums) => sums.rows,
            Self::Multiclass(sums) => sums.rows,
            Self::Regression(sums) => sums.rows,
        }) as u64
    }

    /// A metric of the rows; nothing where they do not have it.
    pub(super) fn metric(&self, metric: Metric) -> Option<f64> {
        match self {
            Self::Binary(sums) => sums.metric(metric),
            Self::Multiclass(sums) => sums.metric(metric),
            Self::Regression(sums) => sums.metric(metric),
        }
    }
}

/// A share; of nothing it is 0, as scikit-learn has it.
fn share(of: f64, all: f64) -> f64 {
    if all > 0.0 { of / all } else { 0.0 }
}

impl Binary {
    fn add(&mut self, truth: bool, probability: f64) {
        let one = f64::from(u8::from(truth));
        let said = probability >= 0.5;
        self.rows += 1.0;
        self.logloss -= (if truth { probability } else { 1.0 - probability }).max(LEAST).ln();
        self.squares += (probability - one).powi(2);
        self.right += f64::from(u8::from(said == truth));
        self.hits += f64::from(u8::from(said && truth));
        self.said += f64::from(u8::from(said));
        self.positives += one;
    }

    fn metric(&self, metric: Metric) -> Option<f64> {
        Some(match metric {
            Metric::Logloss => self.logloss / self.rows,
            Metric::Brier => self.squares / self.rows,
            Metric::Accuracy => self.right / self.rows,
            Metric::Precision => share(self.hits, self.said),
            Metric::Recall => share(self.hits, self.positives),
            Metric::F1 => share(2.0 * self.hits, self.said + self.positives),
            Metric::Auc | Metric::Rmse | Metric::Mae | Metric::R2 => return None,
        })
    }
}

impl Multiclass {
    fn add(&mut self, truth: &str, predicted: &str, probability: Option<f64>) {
        self.rows += 1.0;
        self.logloss = self.logloss.zip(probability).map(|(sum, probability)| sum - probability.max(LEAST).ln());
        let right = f64::from(u8::from(truth == predicted));
        self.right += right;
        let class = self.classes.entry(truth.to_owned()).or_default();
        class.there += 1.0;
        class.hits += right;
        self.classes.entry(predicted.to_owned()).or_default().said += 1.0;
    }

    fn metric(&self, metric: Metric) -> Option<f64> {
        let mean = |of: fn(&Class) -> f64| share(self.classes.values().map(of).sum(), self.classes.values().map(|_| 1.0).sum());
        Some(match metric {
            Metric::Logloss => self.logloss? / self.rows,
            Metric::Accuracy => self.right / self.rows,
            Metric::Precision => mean(|class| share(class.hits, class.said)),
            Metric::Recall => mean(|class| share(class.hits, class.there)),
            Metric::F1 => mean(|class| share(2.0 * class.hits, class.said + class.there)),
            Metric::Auc | Metric::Brier | Metric::Rmse | Metric::Mae | Metric::R2 => return None,
        })
    }
}

impl Regression {
    fn add(&mut self, truth: f64, predicted: f64) {
        self.rows += 1.0;
        self.squares += (truth - predicted).powi(2);
        self.distances += (truth - predicted).abs();
        let apart = truth - self.mean;
        self.mean += apart / self.rows;
        self.spread += apart * (truth - self.mean);
    }

    fn metric(&self, metric: Metric) -> Option<f64> {
        Some(match metric {
            Metric::Rmse => (self.squares / self.rows).sqrt(),
            Metric::Mae => self.distances / self.rows,
            Metric::R2 if self.spread > 0.0 => 1.0 - self.squares / self.spread,
            Metric::R2
            | Metric::Auc
            | Metric::Logloss
            | Metric::Accuracy
            | Metric::Precision
            | Metric::Recall
            | Metric::F1
            | Metric::Brier => return None,
        })
    }
}
