//! `split`: which rows are trained on, which are looked at while training, and which only at the end.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use switchyard_file::{Content, Node, Place, Problems, Read, entries, keys, single, words};

keys! {
    written
    /// Which rows are trained on.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Split {
        /// What the drawing of rows begins with: the same seed and key always give the same fold.
        seed: u64 = "seed" or 0,
        /// The share of each fold: `train`; `train` and `eval`; or `train`, `eval` and `test`.
        folds: Folds = "folds" or Folds::default(),
        /// By what rows are told apart: `ratio`, or one of `category`, `index`, `hybrid`.
        by: By = "by" or By::Ratio,
    }
}

/// A part of the data, in the order in which the parts come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fold {
    /// What is trained on.
    Train,
    /// What training may look at, to stop in time.
    Eval,
    /// What nobody looks at before the end.
    Test,
}

words! { written Fold { "train" => Self::Train, "eval" => Self::Eval, "test" => Self::Test, } }

/// The share of each fold.
#[derive(Clone, Debug, PartialEq)]
pub struct Folds(pub BTreeMap<Fold, f64>);

impl Default for Folds {
    fn default() -> Self {
        Self([(Fold::Train, 0.7), (Fold::Eval, 0.15), (Fold::Test, 0.15)].into())
    }
}

impl Read for Folds {
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        let mut folds = BTreeMap::new();
        for (key, value) in entries(node, at, problems)? {
            let fold = <Fold as switchyard_file::Word>::parse(&key.text);
            let fold = fold.map_err(|rule| problems.add(&at.key(&key.text), key.line, format!("unknown fold: {rule}"))).ok();
            let share = f64::read(value, &at.key(&key.text), problems);
            folds.extend(fold.zip(share));
        }
        Some(Self(folds))
    }

    fn schema() -> Value {
        let share = json!({"type": ["number", "string"], "minimum": 0, "maximum": 1});
        json!({"type": "object", "additionalProperties": false, "required": ["train"],
            "properties": {"train": share, "eval": share, "test": share}})
    }
}

impl Serialize for Folds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// By what rows are told apart.
#[derive(Clone, Debug, PartialEq)]
pub enum By {
    /// By a seeded hash of the row's key.
    Ratio,
    /// By a column's value: all rows of one value are in one fold.
    Category(Category),
    /// By the order of a column's values: the first rows train, the last ones test.
    Index(Index),
    /// By category first; what is left in `train` or in no fold then by index, within its category.
    Hybrid {
        /// By a column's value.
        category: Category,
        /// Then by the order of another's.
        index: Index,
    },
}

keys! {
    written
    /// All rows of one value are in one fold.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Category {
        /// The column.
        column: String = "column",
        /// The fold of each value; without any, values are dealt out by a seeded hash in the shares of `split.folds`.
        folds: BTreeMap<String, Fold> = "folds",
        /// What happens to a value that is not listed: the name of a fold, or `skip`.
        unknown: Unknown = "unknown" or Unknown::Skip,
    }
}

/// What happens to rows whose category is not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// They are left out.
    Skip,
    /// They go to a fold.
    Fold(Fold),
}

words! {
    written Unknown {
        "skip" => Self::Skip, "train" => Self::Fold(Fold::Train), "eval" => Self::Fold(Fold::Eval), "test" => Self::Fold(Fold::Test),
    }
}

keys! {
    written
    /// The first rows train, the last ones test, in the shares of `split.folds`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Index {
        /// The column whose values are in order: numbers, or times as RFC 3339.
        column: String = "column",
    }
}

keys! {
    /// `by.hybrid`.
    struct Hybrid {
        /// By a column's value.
        category: Category = "category",
        /// Then by the order of another's.
        index: Index = "index",
    }
}

const KINDS: &[&str] = &["category", "index", "hybrid"];

impl Read for By {
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        if let Content::Text(word) = &node.content {
            if word != "ratio" {
                problems.add(
                    at,
                    node.line,
                    format!("{word:?} is neither ratio nor one of {{category: …}}, {{index: …}}, {{hybrid: …}}"),
                );
            }
            return Some(Self::Ratio);
        }
        let (key, value) = single(node, at, KINDS, problems)?;
        let place = at.key(&key.text);
        match key.text.as_str() {
            "category" => Category::read(value, &place, problems).map(Self::Category),
            "index" => Index::read(value, &place, problems).map(Self::Index),
            _ => Hybrid::read(value, &place, problems).map(|Hybrid { category, index }| Self::Hybrid { category, index }),
        }
    }

    fn schema() -> Value {
        json!({"anyOf": [{"enum": ["ratio"]}, {"type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
            "properties": {"category": Category::schema(), "index": Index::schema(), "hybrid": Hybrid::schema()}}]})
    }
}

impl Serialize for By {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = match self {
            Self::Ratio => json!("ratio"),
            Self::Category(category) => json!({"category": category}),
            Self::Index(index) => json!({"index": index}),
            Self::Hybrid { category, index } => json!({"hybrid": {"category": category, "index": index}}),
        };
        value.serialize(serializer)
    }
}

impl Split {
    /// The folds that there are.
    #[must_use]
    pub fn names(&self) -> BTreeSet<Fold> {
        match &self.by {
            By::Category(category) if !category.folds.is_empty() => category.names(),
            By::Ratio | By::Category(_) | By::Index(_) | By::Hybrid { .. } => self.folds.0.keys().copied().collect(),
        }
    }

    /// The columns by which rows are told apart, beside the key.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let (category, index) = match &self.by {
            By::Ratio => (None, None),
            By::Category(category) => (Some(category), None),
            By::Index(index) => (None, Some(index)),
            By::Hybrid { category, index } => (Some(category), Some(index)),
        };
        category.map(|category| category.column.as_str()).into_iter().chain(index.map(|index| index.column.as_str()))
    }
}

impl Category {
    /// The folds that values are given to.
    #[must_use]
    pub fn names(&self) -> BTreeSet<Fold> {
        let unknown = match self.unknown {
            Unknown::Skip => None,
            Unknown::Fold(fold) => Some(fold),
        };
        self.folds.values().copied().chain(unknown).collect()
    }
}
