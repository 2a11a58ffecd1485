//! `monitor`: what the model sees in use, in which windows it is counted, and from which difference on that matters.

use std::{
    collections::BTreeMap,
    num::{NonZeroU16, NonZeroU32, NonZeroU64},
};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use switchyard_events::TimeLimit;
use switchyard_file::{Content, Node, Place, Problems, Read, keys, single, words};

use crate::{Fold, Performance};

/// What the model's answers are called, among the columns that are watched and in files of predictions.
pub const PREDICTION: &str = "prediction";

keys! {
    written
    /// How what the model sees is compared with what it was trained on.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Monitor {
        /// How its events are written, and in how many parts they come.
        input: Input = "input",
        /// The labels that come later.
        labels: Labels = "labels",
        /// What is compared at once.
        window: Window = "window" or Window::default(),
        /// What it is compared with.
        reference: Reference = "reference",
        /// A window with fewer rows says nothing.
        min_samples: NonZeroU64 = "minSamples" or NonZeroU64::MIN.saturating_add(499),
        /// When chance no longer explains a difference.
        test: Test = "test",
        /// How many windows it takes.
        raise: Raise = "raise",
        /// What is asked of a column; of features that are not named, KS or JS of 0.1; `none` of nothing. `prediction`: what the
        /// model answers.
        columns: BTreeMap<String, Watched> = "columns",
        /// Features by whose values rows are compared once more.
        segments: Vec<String> = "segments",
        /// How good the model must stay where labels have come.
        performance: Option<Performance> = "performance",
    }
}

keys! {
    written
    /// How the events are written.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Input {
        /// `kserve-v1`, `kserve-v2`, or `rows`: batches of rows.
        format: InputFormat = "format" or InputFormat::Rows,
        /// How many subjects they come on: `inference.<model>.<0 to partitions − 1>`.
        partitions: NonZeroU16 = "partitions" or NonZeroU16::MIN,
    }
}

/// How events of inference are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputFormat {
    /// The logger of `KServe`, protocol version 1.
    KserveV1,
    /// The same, version 2.
    KserveV2,
    /// Batches of rows, as JSON or as Parquet by reference.
    Rows,
}

words! { written InputFormat { "kserve-v1" => Self::KserveV1, "kserve-v2" => Self::KserveV2, "rows" => Self::Rows, } }

keys! {
    written
    /// The labels that come later.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Labels {
        /// How long a prediction waits for its label.
        wait: TimeLimit = "wait" or TimeLimit::minutes(7 * 24 * 60),
    }
}

/// What is compared at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How much.
    pub size: Size,
    /// How much later than others a row may come; of effect for windows of time.
    pub lateness: TimeLimit,
}

/// How much a window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// So many rows.
    Rows(NonZeroU64),
    /// All rows of so long, by the time of their events.
    Every(TimeLimit),
}

impl Default for Window {
    fn default() -> Self {
        Self { size: Size::Rows(NonZeroU64::MIN.saturating_add(4999)), lateness: TimeLimit::ZERO }
    }
}

keys! {
    /// `monitor.window`.
    struct WrittenWindow {
        /// So many rows.
        rows: Option<NonZeroU64> = "rows",
        /// All rows of so long.
        every: Option<TimeLimit> = "every",
        /// How much later than others a row may come.
        lateness: TimeLimit = "lateness" or TimeLimit::ZERO,
    }
}

impl Read for Window {
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        let WrittenWindow { rows, every, lateness } = WrittenWindow::read(node, at, problems)?;
        let size = match (rows, every) {
            (Some(rows), None) => Size::Rows(rows),
            (None, Some(every)) => Size::Every(every),
            (Some(_), Some(_)) | (None, None) => {
                problems.add(at, node.line, "exactly one of these is expected: rows, every");
                return None;
            }
        };
        Some(Self { size, lateness })
    }

    fn schema() -> Value {
        WrittenWindow::schema()
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let lateness = self.lateness;
        let value = match self.size {
            Size::Rows(rows) => json!({"rows": rows, "lateness": lateness}),
            Size::Every(every) => json!({"every": every, "lateness": lateness}),
        };
        value.serialize(serializer)
    }
}

keys! {
    written
    /// What windows are compared with.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Reference {
        /// The fold of the champion's data.
        fold: Fold = "fold" or Fold::Train,
        /// Into how many parts a column of numbers is cut.
        bins: NonZeroU32 = "bins" or NonZeroU32::MIN.saturating_add(1023),
    }
}

keys! {
    written
    /// When chance no longer explains a difference.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Test {
        /// The share of false alarms that is put up with.
        alpha: f64 = "alpha" or 0.01,
        /// How many columns at once are allowed for: `bh` (Benjamini and Hochberg), `holm` or `none`.
        correction: Correction = "correction" or Correction::Bh,
    }
}

/// How many columns at once are allowed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// Benjamini and Hochberg: the share of false alarms among alarms.
    Bh,
    /// Holm: the chance of any false alarm.
    Holm,
    /// Not at all.
    None,
}

words! { written Correction { "bh" => Self::Bh, "holm" => Self::Holm, "none" => Self::None, } }

keys! {
    written
    /// In how many of the last windows a column must differ.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Raise {
        /// In so many.
        windows: NonZeroU16 = "windows" or NonZeroU16::MIN.saturating_add(1),
        /// Of so many.
        of: NonZeroU16 = "of" or NonZeroU16::MIN.saturating_add(2),
    }
}

/// What is asked of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Watched {
    /// From this difference on it matters.
    Over {
        /// How it is measured.
        statistic: Statistic,
        /// From here on.
        threshold: f64,
    },
    /// Nothing.
    Not,
}

/// How a difference is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// Kolmogorov and Smirnov's distance, of numbers.
    Ks,
    /// Population stability index.
    Psi,
    /// Jensen–Shannon distance, base 2.
    Js,
    /// Wasserstein-1 in standard deviations of the reference, of numbers.
    Wasserstein,
    /// Cramér's V of χ².
    Chi2,
    /// The greatest difference of a share.
    Linf,
    /// Hellinger distance.
    Hellinger,
    /// Total variation distance.
    Tvd,
    /// Kullback–Leibler divergence of the reference from the window, in nats.
    Kl,
    /// The difference of the share of rows without a usable value.
    Missing,
    /// The difference of the share of values that the reference does not have.
    Unseen,
}

words! {
    written Statistic {
        "ks" => Self::Ks, "psi" => Self::Psi, "js" => Self::Js, "wasserstein" => Self::Wasserstein, "chi2" => Self::Chi2,
        "linf" => Self::Linf, "hellinger" => Self::Hellinger, "tvd" => Self::Tvd, "kl" => Self::Kl, "missing" => Self::Missing,
        "unseen" => Self::Unseen,
    }
}

const STATISTICS: &[&str] = &["ks", "psi", "js", "wasserstein", "chi2", "linf", "hellinger", "tvd", "kl", "missing", "unseen"];

impl Watched {
    /// What is asked of a feature that is not named.
    #[must_use]
    pub const fn unsaid(numeric: bool) -> Self {
        Self::Over { statistic: if numeric { Statistic::Ks } else { Statistic::Js }, threshold: 0.1 }
    }
}

impl Monitor {
    /// What is asked of a feature, or of the model's answers: of those only where they are named.
    #[must_use]
    pub fn watched(&self, column: &str, numeric: bool) -> Watched {
        let unsaid = if column == PREDICTION { Watched::Not } else { Watched::unsaid(numeric) };
        self.columns.get(column).copied().unwrap_or(unsaid)
    }
}

impl Read for Watched {
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        if matches!(&node.content, Content::Text(word) if word == "none") {
            return Some(Self::Not);
        }
        let (key, value) = single(node, at, STATISTICS, problems)?;
        let place = at.key(&key.text);
        let statistic = <Statistic as switchyard_file::Word>::parse(&key.text).ok()?;
        let threshold = f64::read(value, &place, problems)?;
        let most = if matches!(statistic, Statistic::Psi | Statistic::Wasserstein | Statistic::Kl) { f64::INFINITY } else { 1.0 };
        if threshold <= 0.0 || threshold > most {
            let rule = if most > 1.0 { "must be more than 0" } else { "must be more than 0 and at most 1" };
            problems.add(&place, value.line, format!("the threshold {threshold} {rule}"));
        }
        Some(Self::Over { statistic, threshold })
    }

    fn schema() -> Value {
        let threshold = json!({"type": ["number", "string"], "exclusiveMinimum": 0});
        let properties: serde_json::Map<_, _> = STATISTICS.iter().map(|name| ((*name).to_owned(), threshold.clone())).collect();
        json!({"anyOf": [{"enum": ["none"]}, {"type": "object", "additionalProperties": false, "minProperties": 1,
            "maxProperties": 1, "properties": properties}]})
    }
}

impl Serialize for Watched {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Not => serializer.serialize_str("none"),
            Self::Over { statistic, threshold } => json!({statistic.word(): threshold}).serialize(serializer),
        }
    }
}
