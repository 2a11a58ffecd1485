//! The values of one column of a batch.

use super::{Cell, Kind};

/// The values of one column of a batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Column {
    /// True or false.
    Booleans(Vec<Option<bool>>),
    /// Whole numbers.
    Integers(Vec<Option<i64>>),
    /// Numbers.
    Floats(Vec<Option<f64>>),
    /// Texts.
    Strings(Vec<Option<String>>),
}

impl Column {
    /// No values of that kind yet.
    pub(crate) fn empty(kind: Kind) -> Self {
        match kind {
            Kind::Boolean => Self::Booleans(Vec::new()),
            Kind::Integer => Self::Integers(Vec::new()),
            Kind::Float => Self::Floats(Vec::new()),
            Kind::String => Self::Strings(Vec::new()),
        }
    }

    /// What it holds.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Booleans(_) => Kind::Boolean,
            Self::Integers(_) => Kind::Integer,
            Self::Floats(_) => Kind::Float,
            Self::Strings(_) => Kind::String,
        }
    }

    /// How many values there are, missing ones too.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Booleans(values) => values.len(),
            Self::Integers(values) => values.len(),
            Self::Floats(values) => values.len(),
            Self::Strings(values) => values.len(),
        }
    }

    /// The value of a row.
    pub(crate) fn cell(&self, row: usize) -> Cell<'_> {
        match self {
            Self::Booleans(values) => values[row].map_or(Cell::Missing, Cell::Boolean),
            Self::Integers(values) => values[row].map_or(Cell::Missing, Cell::Integer),
            Self::Floats(values) => values[row].map_or(Cell::Missing, Cell::Float),
            Self::Strings(values) => values[row].as_deref().map_or(Cell::Missing, Cell::String),
        }
    }

    /// All values, row by row.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        (0..self.len()).map(|row| self.cell(row))
    }

    /// Adds a missing value.
    pub(crate) fn push_missing(&mut self) {
        match self {
            Self::Booleans(values) => values.push(None),
            Self::Integers(values) => values.push(None),
            Self::Floats(values) => values.push(None),
            Self::Strings(values) => values.push(None),
        }
    }

    /// Adds a value, which says whether it was of this column's kind.
    #[must_use]
    pub(crate) fn push(&mut self, cell: Cell<'_>) -> bool {
        match (self, cell) {
            (column, Cell::Missing) => column.push_missing(),
            (Self::Booleans(values), Cell::Boolean(value)) => values.push(Some(value)),
            (Self::Integers(values), Cell::Integer(value)) => values.push(Some(value)),
            (Self::Floats(values), cell @ (Cell::Integer(_) | Cell::Float(_))) => values.push(cell.number()),
            (Self::Strings(values), cell) => values.push(cell.text().map(std::borrow::Cow::into_owned)),
            _ => return false,
        }
        true
    }

    /// Adds what a file of texts says; an empty text is a missing value. Says whether it was of this column's kind.
    #[must_use]
    pub(crate) fn push_text(&mut self, text: &str) -> bool {
        if text.is_empty() {
            self.push_missing();
            return true;
        }
        match self {
            Self::Strings(values) => values.push(Some(text.to_owned())),
            Self::Booleans(values) => match boolean(text) {
                Some(value) => values.push(Some(value)),
                None => return false,
            },
            Self::Integers(values) => match text.parse() {
                Ok(value) => values.push(Some(value)),
                Err(_) => return false,
            },
            Self::Floats(values) => match text.parse() {
                Ok(value) => values.push(Some(value)),
                Err(_) => return false,
            },
        }
        true
    }

    /// The values for which `keep` is true.
    pub(crate) fn filter(&self, keep: &[bool]) -> Self {
        fn kept<T: Clone>(values: &[T], keep: &[bool]) -> Vec<T> {
            values.iter().zip(keep).filter(|(_, keep)| **keep).map(|(value, _)| value.clone()).collect()
        }
        match self {
            Self::Booleans(values) => Self::Booleans(kept(values, keep)),
            Self::Integers(values) => Self::Integers(kept(values, keep)),
            Self::Floats(values) => Self::Floats(kept(values, keep)),
            Self::Strings(values) => Self::Strings(kept(values, keep)),
        }
    }
}

/// What a text says if it is `true` or `false`.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}
