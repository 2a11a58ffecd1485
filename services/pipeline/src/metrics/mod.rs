//! How good predictions are: overall and of each slice, one row after the other. Only what AUC needs is sorted, on disk where it
//! is much.

mod auc;
mod tally;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use switchyard_model::{Metric, Task};

use crate::{
    error::{Error, Result},
    sort::{Sorter, ordered},
};
use tally::Tally;

/// How many values a slice's column may have.
const SLICES: usize = 1000;

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Each metric over all rows.
    pub(crate) metrics: BTreeMap<String, f64>,
    /// For each column, and each of its values: its rows and their metrics.
    pub(crate) slices: BTreeMap<String, BTreeMap<String, Slice>>,
}

/// The rows that hold one value of a slice's column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Slice {
    /// How many there are.
    pub(crate) rows: u64,
    /// Each metric over them; one that they do not have (AUC of one class) is not there.
    pub(crate) metrics: BTreeMap<String, f64>,
}

/// A row's truth and what was predicted of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// Whether it was, and how likely it was said to be.
    Binary { truth: bool, probability: f64 },
    /// What it was, what was predicted, and how likely the truth was said to be, where that was said.
    Multiclass { truth: String, predicted: String, probability: Option<f64> },
    /// How much it was, and was predicted to be.
    Regression { truth: f64, predicted: f64 },
}

/// Takes rows and their predictions.
pub(crate) struct Meter {
    task: Task,
    wanted: Vec<Metric>,
    columns: Vec<String>,
    /// The first is of all rows.
    tallies: Vec<Tally>,
    slices: Vec<BTreeMap<String, usize>>,
    sorter: Option<Sorter>,
}

impl Meter {
    /// A meter for these metrics, and for slices by these columns.
    pub(crate) fn new(task: Task, wanted: &[Metric], columns: &[String]) -> Self {
        let sorter = (task == Task::Binary && wanted.contains(&Metric::Auc)).then(Sorter::new);
        let slices = vec![BTreeMap::new(); columns.len()];
        Self { task, wanted: wanted.to_vec(), columns: columns.to_vec(), tallies: vec![Tally::new(task)], slices, sorter }
    }

    /// Takes a row; `values` are those of the slices' columns.
    pub(crate) fn see(&mut self, outcome: &Outcome, values: &[String]) -> Result<()> {
        self.count(0, outcome)?;
        for (column, value) in values.iter().enumerate() {
            let at = self.slice(column, value)?;
            self.count(at, outcome)?;
        }
        Ok(())
    }

    fn count(&mut self, at: usize, outcome: &Outcome) -> Result<()> {
        self.tallies[at].add(outcome);
        if let (Some(sorter), Outcome::Binary { truth, probability }) = (&mut self.sorter, outcome) {
            sorter.add([at as u64, ordered(*probability), u64::from(*truth)])?;
        }
        Ok(())
    }

    fn slice(&mut self, column: usize, value: &str) -> Result<usize> {
        if let Some(at) = self.slices[column].get(value) {
            return Ok(*at);
        }
        if self.slices[column].len() == SLICES {
            let what = format!("has more than {SLICES} values: too many to look at one by one; take it out of evaluate.slices");
            return Err(Error::new(what).column(&self.columns[column]));
        }
        self.tallies.push(Tally::new(self.task));
        self.slices[column].insert(value.to_owned(), self.tallies.len() - 1);
        Ok(self.tallies.len() - 1)
    }

    /// What was measured.
    ///
    /// # Errors
    /// A metric has no value over all rows.
    pub(crate) fn finish(self) -> Result<Measured> {
        let auc = self.sorter.map(auc::by_group).transpose()?.unwrap_or_default();
        let of = |at: usize| -> BTreeMap<String, f64> {
            let value = |metric: &Metric| {
                if *metric == Metric::Auc { auc.get(&(at as u64)).copied() } else { self.tallies[at].metric(*metric) }
            };
            self.wanted.iter().filter_map(|metric| Some((name(*metric), value(metric)?))).collect()
        };
        let metrics = of(0);
        if let Some(absent) = self.wanted.iter().find(|metric| !metrics.contains_key(&name(**metric))) {
            return Err(Error::new(why_absent(*absent, self.task)));
        }
        let slice = |at: &usize| Slice { rows: self.tallies[*at].rows(), metrics: of(*at) };
        let slices = self
            .columns
            .iter()
            .cloned()
            .zip(&self.slices)
            .map(|(column, values)| (column, values.iter().map(|(value, at)| (value.clone(), slice(at))).collect()));
        Ok(Measured { metrics, slices: slices.collect() })
    }
}

fn why_absent(metric: Metric, task: Task) -> String {
    let metric = name(metric);
    match task {
        Task::Binary => {
            format!("`{metric}` needs rows of both classes in the evaluated fold; give it more rows, or take the metric out")
        }
        Task::Multiclass => format!(
            "`{metric}` cannot be had of these predictions; for logloss write a column `p_<class>` for every class, and use no metric \
             of another task"
        ),
        Task::Regression => {
            format!("`{metric}` cannot be had of these rows: it needs values that differ, and no metric of another task")
        }
    }
}

/// A metric's name as the file has it.
pub(crate) fn name(metric: Metric) -> String {
    serde_json::to_value(metric).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(rows: &[(bool, f64)]) -> Measured {
        let wanted =
            [Metric::Auc, Metric::Logloss, Metric::Accuracy, Metric::Precision, Metric::Recall, Metric::F1, Metric::Brier];
        let mut meter = Meter::new(Task::Binary, &wanted, &["plan".into()]);
        for (row, (truth, probability)) in rows.iter().enumerate() {
            let plan = if row % 2 == 0 { "free" } else { "paid" };
            meter.see(&Outcome::Binary { truth: *truth, probability: *probability }, &[plan.into()]).unwrap();
        }
        meter.finish().unwrap()
    }

    /// The values of scikit-learn 1.7 for these rows.
    #[test]
    fn binary_metrics_are_those_of_their_definitions() {
        let rows = [(false, 0.1), (true, 0.4), (false, 0.35), (true, 0.8), (true, 0.35), (false, 0.6)];
        let measured = binary(&rows);
        let expected = [
            ("auc", 6.5 / 9.0),
            ("accuracy", 3.0 / 6.0),
            ("precision", 0.5),
            ("recall", 1.0 / 3.0),
            ("f1", 0.4),
            ("brier", (0.01 + 0.36 + 0.1225 + 0.04 + 0.4225 + 0.36) / 6.0),
            ("logloss", -(0.9f64.ln() + 0.4f64.ln() + 0.65f64.ln() + 0.8f64.ln() + 0.35f64.ln() + 0.4f64.ln()) / 6.0),
        ];
        for (name, value) in expected {
            assert!((measured.metrics[name] - value).abs() < 1e-12, "{name}: {} for {value}", measured.metrics[name]);
        }
        assert_eq!(measured.slices["plan"]["free"].rows, 3);
        assert_eq!(measured.slices["plan"]["paid"].metrics["auc"].to_string(), "0.5");
    }

    #[test]
    fn auc_of_one_class_is_an_error_with_its_remedy() {
        let mut meter = Meter::new(Task::Binary, &[Metric::Auc], &[]);
        meter.see(&Outcome::Binary { truth: true, probability: 0.5 }, &[]).unwrap();
        assert!(meter.finish().unwrap_err().to_string().contains("both classes"));
    }

    #[test]
    fn regression_metrics_are_those_of_their_definitions() {
        let mut meter = Meter::new(Task::Regression, &[Metric::Rmse, Metric::Mae, Metric::R2], &[]);
        for (truth, predicted) in [(3.0, 2.5), (-0.5, 0.0), (2.0, 2.0), (7.0, 8.0)] {
            meter.see(&Outcome::Regression { truth, predicted }, &[]).unwrap();
        }
        let measured = meter.finish().unwrap().metrics;
        let expected = [("rmse", 0.375f64.sqrt()), ("mae", 0.5), ("r2", 1.0 - 1.5 / 29.1875)];
        for (name, value) in expected {
            assert!((measured[name] - value).abs() < 1e-12, "{name}");
        }
    }

    #[test]
    fn multiclass_metrics_weigh_every_class_alike() {
        let mut meter = Meter::new(Task::Multiclass, &[Metric::Accuracy, Metric::Precision, Metric::Recall, Metric::F1], &[]);
        for (truth, predicted) in [("a", "a"), ("a", "b"), ("b", "b"), ("c", "b")] {
            let outcome = Outcome::Multiclass { truth: truth.into(), predicted: predicted.into(), probability: None };
            meter.see(&outcome, &[]).unwrap();
        }
        let measured = meter.finish().unwrap().metrics;
        let expected =
            [("accuracy", 0.5), ("precision", (1.0 + 1.0 / 3.0) / 3.0), ("recall", 0.5), ("f1", (2.0 / 3.0 + 0.5) / 3.0)];
        for (name, value) in expected {
            assert!((measured[name] - value).abs() < 1e-12, "{name}");
        }
    }
}
