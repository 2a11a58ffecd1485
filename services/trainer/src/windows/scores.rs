//! How good a model was, counted: sums of whole numbers only, so that scores of partitions add up to the same in any order.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use switchyard_model::{Metric, Task};

/// Into how many parts scores between 0 and 1 are cut: what `auc` may be wrong by.
const BINS: u16 = 1000;
/// How many classes are told apart; those beyond count as one.
const CLASSES: usize = 200;
/// Fractions are counted in parts of 2⁻³⁰.
const UNIT: f64 = 1_073_741_824.0;
/// A score of 0 or 1 is this far from certain.
const CERTAIN: f64 = 1e-15;

/// Counts of predictions whose labels have come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scores {
    /// How many labels were joined.
    pub rows: u64,
    /// Labels whose value, or whose prediction's, is not what the task has.
    #[serde(default)]
    pub odd: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    bins: BTreeMap<u16, [u64; 2]>,
    /// Of each class: right, said but wrong, true but not said.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    classes: BTreeMap<String, [u64; 3]>,
    #[serde(default)]
    sums: [Sum; 5],
}

/// A sum of fractions, in whole parts; as a text, because it may have more digits than a JSON number keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum(i128);

impl Serialize for Sum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Sum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| D::Error::custom("a whole number as a text is expected"))
    }
}

impl Sum {
    #[expect(clippy::cast_possible_truncation, reason = "what does not fit is cut, the same everywhere")]
    fn add(&mut self, value: f64) {
        self.0 = self.0.saturating_add((value * UNIT).round() as i128);
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn value(self) -> f64 {
        self.0 as f64 / UNIT
    }
}

const LOSS: usize = 0;
const SQUARES: usize = 1;
const ABSOLUTE: usize = 2;
const TRUE: usize = 3;
const TRUE_SQUARES: usize = 4;

impl Scores {
    /// Counts a prediction and what turned out to be true.
    pub fn add(&mut self, task: Task, prediction: &str, label: &str) {
        self.rows += 1;
        let counted = match task {
            Task::Binary => self.binary(prediction, label),
            Task::Regression => self.regression(prediction, label),
            Task::Multiclass => {
                self.class(prediction, label);
                Some(())
            }
        };
        if counted.is_none() {
            self.odd += 1;
        }
    }

    fn binary(&mut self, prediction: &str, label: &str) -> Option<()> {
        let (score, yes) = (chance(prediction)?, yes(label)?);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 ≤ score ≤ 1")]
        let bin = ((score * f64::from(BINS)) as u16).min(BINS - 1);
        self.bins.entry(bin).or_default()[usize::from(yes)] += 1;
        let said = if yes { score } else { 1.0 - score };
        self.sums[LOSS].add(-said.clamp(CERTAIN, 1.0 - CERTAIN).ln());
        self.sums[SQUARES].add((1.0 - said).powi(2));
        Some(())
    }

    fn regression(&mut self, prediction: &str, label: &str) -> Option<()> {
        let (said, truth) = (finite(prediction)?, finite(label)?);
        self.sums[SQUARES].add((said - truth).powi(2));
        self.sums[ABSOLUTE].add((said - truth).abs());
        self.sums[TRUE].add(truth);
        self.sums[TRUE_SQUARES].add(truth * truth);
        Some(())
    }

    fn class(&mut self, prediction: &str, label: &str) {
        let right = prediction == label;
        self.of_class(label)[if right { 0 } else { 2 }] += 1;
        if !right {
            self.of_class(prediction)[1] += 1;
        }
    }

    fn of_class(&mut self, class: &str) -> &mut [u64; 3] {
        let known = self.classes.contains_key(class) || self.classes.len() < CLASSES;
        self.classes.entry(if known { class.to_owned() } else { String::new() }).or_default()
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.odd += other.odd;
        for (bin, counts) in &other.bins {
            let own = self.bins.entry(*bin).or_default();
            *own = [own[0] + counts[0], own[1] + counts[1]];
        }
        for (class, counts) in &other.classes {
            let own = self.classes.entry(class.clone()).or_default();
            *own = [own[0] + counts[0], own[1] + counts[1], own[2] + counts[2]];
        }
        for (own, more) in self.sums.iter_mut().zip(&other.sums) {
            own.0 = own.0.saturating_add(more.0);
        }
    }

    /// A metric; `None` where it is not defined: no labels, or of one class only.
    #[must_use]
    pub fn metric(&self, task: Task, metric: Metric) -> Option<f64> {
        let counted = real(self.rows - self.odd);
        if counted == 0.0 {
            return None;
        }
        let value = match metric {
            Metric::Auc => self.auc()?,
            Metric::Logloss => self.sums[LOSS].value() / counted,
            Metric::Brier => self.sums[SQUARES].value() / counted,
            Metric::Rmse => (self.sums[SQUARES].value() / counted).sqrt(),
            Metric::Mae => self.sums[ABSOLUTE].value() / counted,
            Metric::R2 => {
                let spread = self.sums[TRUE_SQUARES].value() - self.sums[TRUE].value().powi(2) / counted;
                1.0 - self.sums[SQUARES].value() / spread
            }
            Metric::Accuracy => self.classes(task).iter().map(|class| real(class[0])).sum::<f64>() / counted,
            Metric::Precision => self.mean(task, |[right, wrong, _]| ratio(right, right + wrong)),
            Metric::Recall => self.mean(task, |[right, _, missed]| ratio(right, right + missed)),
            Metric::F1 => self.mean(task, |[right, wrong, missed]| ratio(2 * right, 2 * right + wrong + missed)),
        };
        value.is_finite().then_some(value)
    }

    /// The area under the curve: the chance that one of "yes" has a higher score than one of "no"; a half where both are alike.
    fn auc(&self) -> Option<f64> {
        let (mut below, mut area) = (0.0, 0.0);
        let yes: f64 = self.bins.values().map(|counts| real(counts[1])).sum();
        for counts in self.bins.values() {
            area += real(counts[1]) * (below + real(counts[0]) / 2.0);
            below += real(counts[0]);
        }
        (yes > 0.0 && below > 0.0).then(|| area / (yes * below))
    }

    /// Each class: right, said but wrong, true but not said. Of two, both.
    fn classes(&self, task: Task) -> Vec<[u64; 3]> {
        if task != Task::Binary {
            return self.classes.values().copied().collect();
        }
        let half = BINS / 2;
        let sum = |yes: usize, said: bool| {
            self.bins.iter().filter(|(bin, _)| (**bin >= half) == said).map(|(_, counts)| counts[yes]).sum::<u64>()
        };
        let (right, wrong, missed, no) = (sum(1, true), sum(0, true), sum(1, false), sum(0, false));
        vec![[no, missed, wrong], [right, wrong, missed]]
    }

    /// Of "yes" where there are two classes, else the mean of all classes that were true.
    fn mean(&self, task: Task, of: impl Fn([u64; 3]) -> f64) -> f64 {
        let classes = self.classes(task);
        if task == Task::Binary {
            return classes.last().map_or(0.0, |class| of(*class));
        }
        let true_ones: Vec<f64> = classes.into_iter().filter(|class| class[0] + class[2] > 0).map(of).collect();
        true_ones.iter().sum::<f64>() / real(true_ones.len() as u64)
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { real(part) / real(whole) }
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows are below 2⁵³")]
fn real(count: u64) -> f64 {
    count as f64
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn chance(text: &str) -> Option<f64> {
    let score = match text {
        "true" => 1.0,
        "false" => 0.0,
        _ => finite(text)?,
    };
    (0.0..=1.0).contains(&score).then_some(score)
}

/// Whether a label means yes.
fn yes(text: &str) -> Option<bool> {
    match text {
        "true" | "yes" => Some(true),
        "false" | "no" => Some(false),
        _ => finite(text).map(|number| number >= 0.5),
    }
}
