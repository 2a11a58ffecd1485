//! `preprocess`: how columns become what a model can be trained on. Fitted on the training fold alone.

mod written;

use std::{collections::BTreeMap, num::NonZeroU32};

use serde_json::Value;
use switchyard_file::{keys, words};

/// How columns become what a model can be trained on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preprocess {
    /// What happens to a column of which nothing is said, by its type.
    pub defaults: Defaults,
    /// What happens to a column, one after the other.
    pub columns: BTreeMap<String, Vec<Transform>>,
}

keys! {
    written
    /// What happens to a column of which nothing is said.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Defaults {
        /// Of fractions.
        float: Vec<Transform> = "float" or Transform::of_numbers(),
        /// Of whole numbers.
        integer: Vec<Transform> = "integer" or Transform::of_numbers(),
        /// Of texts.
        string: Vec<Transform> = "string" or Transform::of_texts(),
        /// Of truth values.
        boolean: Vec<Transform> = "boolean" or vec![Transform::Fill(Fill::Mode)],
    }
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            float: Transform::of_numbers(),
            integer: Transform::of_numbers(),
            string: Transform::of_texts(),
            boolean: vec![Transform::Fill(Fill::Mode)],
        }
    }
}

/// One thing that happens to a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Transform {
    /// What stands where nothing does.
    Fill(Fill),
    /// Numbers in another measure.
    Scale(Scale),
    /// The most frequent so many values, as numbers from 0 on; all others are one more.
    Vocabulary(NonZeroU32),
    /// A column of 0 and 1 for each number that the step before can give.
    OneHot {
        /// What a value gives that training has not seen.
        unknown: Unseen,
    },
    /// Numbers cut into ranges.
    Bucketize(Buckets),
    /// Texts hashed into so many numbers.
    Hash(NonZeroU32),
    /// Words and runs of words.
    Ngrams {
        /// The longest run.
        n: NonZeroU32,
        /// The most frequent so many are kept.
        size: NonZeroU32,
    },
    /// Words weighed by how rare they are; the most frequent so many are kept.
    Tfidf(NonZeroU32),
    /// Nothing: the column is handed on as it is.
    None,
}

impl Transform {
    fn of_numbers() -> Vec<Self> {
        vec![Self::Fill(Fill::Median), Self::Scale(Scale::Zscore)]
    }

    fn of_texts() -> Vec<Self> {
        let hundred = NonZeroU32::MIN.saturating_add(99);
        vec![Self::Fill(Fill::Value(Value::from(""))), Self::Vocabulary(hundred), Self::OneHot { unknown: Unseen::Bucket }]
    }

    /// Whether a named column is read as text for these, whatever it looks like: what comes after filling says so.
    #[must_use]
    pub fn read_as_text(transforms: &[Self]) -> bool {
        let first = transforms.iter().find(|transform| !matches!(transform, Self::Fill(_)));
        first.is_some_and(|transform| match transform {
            Self::Vocabulary(_) | Self::OneHot { .. } | Self::Hash(_) | Self::Ngrams { .. } | Self::Tfidf(_) => true,
            Self::Fill(_) | Self::Scale(_) | Self::Bucketize(_) | Self::None => false,
        })
    }

    /// As it is written.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Fill(_) => "fill",
            Self::Scale(_) => "scale",
            Self::Vocabulary(_) => "vocabulary",
            Self::OneHot { .. } => "onehot",
            Self::Bucketize(_) => "bucketize",
            Self::Hash(_) => "hash",
            Self::Ngrams { .. } => "ngrams",
            Self::Tfidf(_) => "tfidf",
            Self::None => "none",
        }
    }
}

/// What stands where nothing does.
#[derive(Clone, Debug, PartialEq)]
pub enum Fill {
    /// The least value of the training fold.
    Min,
    /// The greatest.
    Max,
    /// The mean.
    Mean,
    /// The median.
    Median,
    /// The most frequent; of several, the first in order.
    Mode,
    /// The value of the row before, in the order of `data.eventTime`.
    Forward,
    /// The value of the row after.
    Backward,
    /// This text, number or truth value.
    Value(Value),
}

/// Numbers in another measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// The least becomes 0, the greatest 1.
    MinMax,
    /// The mean becomes 0, a standard deviation 1.
    Zscore,
    /// The greatest distance from 0 becomes 1.
    Max,
}

words! { written Scale { "minmax" => Self::MinMax, "zscore" => Self::Zscore, "max" => Self::Max, } }

/// What a value gives that training has not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unseen {
    /// A column of its own, for all of them.
    #[default]
    Bucket,
    /// Zeros.
    Zero,
    /// An error that names the row.
    Error,
}

words! { written Unseen { "bucket" => Self::Bucket, "zero" => Self::Zero, "error" => Self::Error, } }

/// Where numbers are cut.
#[derive(Clone, Debug, PartialEq)]
pub enum Buckets {
    /// Into so many ranges of about equal mass.
    Quantiles(NonZeroU32),
    /// At these numbers, which rise.
    Edges(Vec<f64>),
}

impl Buckets {
    /// How many ranges there are at most.
    #[must_use]
    pub fn ranges(&self) -> u32 {
        match self {
            Self::Quantiles(count) => count.get(),
            Self::Edges(edges) => u32::try_from(edges.len() + 1).unwrap_or(u32::MAX),
        }
    }
}
