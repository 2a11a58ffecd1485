//! One fitted step, applied to the values of a batch.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{exact, text};
use crate::{
    error::{Error, Result},
    table::{Cell, Column, Kind},
};

/// A value that was fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fixed {
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(#[serde(with = "exact")] f64),
    /// A text.
    String(String),
}

/// A step with what was fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Step {
    /// This value where there is none.
    Fill(Fixed),
    /// The value of the row before; this one where no row before has one.
    Forward(Option<Fixed>),
    /// The value of the row after; this one where no row after has one.
    Backward(Option<Fixed>),
    /// The number less this, by that.
    Scale {
        /// What is taken off.
        #[serde(with = "exact")]
        subtract: f64,
        /// What it is divided by; never 0.
        #[serde(with = "exact")]
        divide: f64,
    },
    /// The place of a value among these; that after the last for any other.
    Vocabulary {
        /// The values, the most frequent first.
        terms: Vec<String>,
    },
    /// A column of 0 and 1 for each number from 0 on.
    OneHot {
        /// What the columns are called.
        names: Vec<String>,
        /// What a number beyond them gives.
        unknown: Beyond,
    },
    /// The number of these edges that a number reaches.
    Bucketize {
        /// The edges, rising.
        #[serde(with = "exact::list")]
        edges: Vec<f64>,
    },
    /// SHA-256 of the value, modulo this.
    Hash(u32),
    /// How often each of these runs of words is there.
    Ngrams {
        /// The longest run.
        longest: u32,
        /// The runs.
        terms: Vec<String>,
    },
    /// How often each of these runs of words is there, times its weight, over the length of all (as scikit-learn has it).
    Tfidf {
        /// The longest run.
        longest: u32,
        /// The runs.
        terms: Vec<String>,
        /// Their weights.
        #[serde(with = "exact::list")]
        weights: Vec<f64>,
    },
    /// Nothing.
    None,
}

/// What a value that training has not seen gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Beyond {
    /// A column of its own, the last.
    Bucket,
    /// Zeros.
    Zero,
    /// An error.
    Error,
}

/// The values of a column on their way.
pub(super) enum Values {
    /// One column.
    One(Column),
    /// A column for each name.
    Many(Vec<Column>),
}

impl Fixed {
    /// A value of a row, kept.
    pub(crate) fn of(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Missing => None,
            Cell::Boolean(value) => Some(Self::Boolean(value)),
            Cell::Integer(value) => Some(Self::Integer(value)),
            Cell::Float(value) => Some(Self::Float(value)),
            Cell::String(value) => Some(Self::String(value.to_owned())),
        }
    }

    /// As a value of a row.
    pub(crate) fn cell(&self) -> Cell<'_> {
        match self {
            Self::Boolean(value) => Cell::Boolean(*value),
            Self::Integer(value) => Cell::Integer(*value),
            Self::Float(value) => Cell::Float(*value),
            Self::String(value) => Cell::String(value),
        }
    }
}

/// What is needed beside a step to apply it to many rows: made once, used for every batch.
pub(super) struct Ready<'a> {
    step: &'a Step,
    places: HashMap<&'a str, usize>,
}

impl<'a> Ready<'a> {
    pub(super) fn new(step: &'a Step) -> Self {
        let terms: &[String] = match step {
            Step::Vocabulary { terms } | Step::Ngrams { terms, .. } | Step::Tfidf { terms, .. } => terms,
            Step::Fill(_)
            | Step::Forward(_)
            | Step::Backward(_)
            | Step::Scale { .. }
            | Step::OneHot { .. }
            | Step::Bucketize { .. }
            | Step::Hash(_)
            | Step::None => &[],
        };
        Self { step, places: terms.iter().enumerate().map(|(place, term)| (term.as_str(), place)).collect() }
    }

    /// Applies the step. Steps that look at other rows are not applied here.
    ///
    /// # Errors
    /// A value is not what the step takes; the number is that of its row in the batch.
    pub(super) fn apply(&self, column: Column) -> Result<Values, (usize, Error)> {
        Ok(Values::One(match self.step {
            Step::Fill(value) => filled(&column, |_| Some(value.cell()), self.step)?,
            Step::Scale { subtract, divide } => {
                Column::Floats(column.cells().map(|cell| cell.number().map(|number| (number - subtract) / divide)).collect())
            }
            Step::Vocabulary { terms } => {
                Column::Integers(each(&column, |text| whole(self.places.get(text).copied().unwrap_or(terms.len()))))
            }
            Step::Hash(size) => Column::Integers(each(&column, |text| hashed(text, *size))),
            Step::Bucketize { edges } => Column::Integers(
                column
                    .cells()
                    .map(|cell| cell.number().map(|number| whole(edges.partition_point(|edge| *edge <= number))))
                    .collect(),
            ),
            Step::OneHot { names, unknown } => return onehot(&column, names.len(), *unknown).map(Values::Many),
            Step::Ngrams { longest, terms } => return Ok(Values::Many(self.counted(&column, terms.len(), *longest))),
            Step::Tfidf { longest, weights, .. } => return Ok(Values::Many(self.weighed(&column, weights, *longest))),
            Step::None | Step::Forward(_) | Step::Backward(_) => column,
        }))
    }

    fn counted(&self, column: &Column, width: usize, longest: u32) -> Vec<Column> {
        let mut columns = vec![vec![Some(0); column.len()]; width];
        for (row, cell) in column.cells().enumerate() {
            for run in text::runs(&cell.text().unwrap_or_default(), longest) {
                if let Some(count) = self.places.get(run.as_str()).and_then(|place| columns[*place][row].as_mut()) {
                    *count += 1;
                }
            }
        }
        columns.into_iter().map(Column::Integers).collect()
    }

    fn weighed(&self, column: &Column, weights: &[f64], longest: u32) -> Vec<Column> {
        let mut columns = vec![vec![Some(0.0); column.len()]; weights.len()];
        for (row, cell) in column.cells().enumerate() {
            let mut counts = vec![0.0; weights.len()];
            for word in text::runs(&cell.text().unwrap_or_default(), longest) {
                if let Some(place) = self.places.get(word.as_str()) {
                    counts[*place] += weights[*place];
                }
            }
            let length = counts.iter().map(|weight| weight * weight).sum::<f64>().sqrt();
            if length > 0.0 {
                counts.iter().zip(&mut columns).for_each(|(weight, column)| column[row] = Some(weight / length));
            }
        }
        columns.into_iter().map(Column::Floats).collect()
    }
}

/// The column with `value` where it has none. It becomes one of numbers where a whole number is filled with a fraction.
pub(super) fn filled<'v>(
    column: &Column,
    mut value: impl FnMut(usize) -> Option<Cell<'v>>,
    step: &Step,
) -> Result<Column, (usize, Error)> {
    let mut filled = Column::empty(step.gives(column.kind()));
    for (row, cell) in column.cells().enumerate() {
        let cell = if cell == Cell::Missing { value(row).unwrap_or(Cell::Missing) } else { cell };
        if !filled.push(cell) {
            let shown = cell.text().unwrap_or_default().into_owned();
            return Err((
                row,
                Error::new(format!("cannot be filled with `{shown}`: the column holds {}", column.kind().words())),
            ));
        }
    }
    Ok(filled)
}

fn each(column: &Column, of: impl Fn(&str) -> i64) -> Vec<Option<i64>> {
    column.cells().map(|cell| cell.text().map(|text| of(&text))).collect()
}

fn whole(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

fn hashed(text: &str, size: u32) -> i64 {
    let word = Sha256::digest(text).iter().take(8).fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    i64::try_from(word % u64::from(size.max(1))).unwrap_or_default()
}

fn onehot(column: &Column, names: usize, unknown: Beyond) -> Result<Vec<Column>, (usize, Error)> {
    let mut columns = vec![vec![Some(0); column.len()]; names];
    for (row, cell) in column.cells().enumerate() {
        let Cell::Integer(place) = cell else { continue };
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let place = match unknown {
            Beyond::Bucket => place.min(names - 1),
            Beyond::Zero | Beyond::Error => place,
        };
        match columns.get_mut(place) {
            Some(column) => column[row] = Some(1),
            None if unknown == Beyond::Error => {
                let what = "the value is none of those that were kept of the training fold, and `onehot` says unknown: error; keep more by `vocabulary`, or say bucket or zero";
                return Err((row, Error::new(what)));
            }
            None => {}
        }
    }
    Ok(columns.into_iter().map(Column::Integers).collect())
}

impl Step {
    /// What a column holds afterwards.
    pub(super) fn gives(&self, kind: Kind) -> Kind {
        match self {
            Self::Fill(Fixed::Float(_)) | Self::Scale { .. } | Self::Tfidf { .. } => Kind::Float,
            Self::Vocabulary { .. } | Self::OneHot { .. } | Self::Bucketize { .. } | Self::Hash(_) | Self::Ngrams { .. } => {
                Kind::Integer
            }
            Self::Fill(_) | Self::Forward(_) | Self::Backward(_) | Self::None => kind,
        }
    }

    /// The columns that it makes out of one, and what they hold; none where it makes one.
    pub(super) fn columns(&self) -> Option<(&[String], Kind)> {
        match self {
            Self::OneHot { names, .. } => Some((names, Kind::Integer)),
            Self::Ngrams { terms, .. } => Some((terms, Kind::Integer)),
            Self::Tfidf { terms, .. } => Some((terms, Kind::Float)),
            Self::Fill(_)
            | Self::Forward(_)
            | Self::Backward(_)
            | Self::Scale { .. }
            | Self::Vocabulary { .. }
            | Self::Bucketize { .. }
            | Self::Hash(_)
            | Self::None => None,
        }
    }
}
