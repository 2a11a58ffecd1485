//! Rows in memory, a batch at a time, whatever file they came from. No step ever holds more than a few batches.

mod cell;
mod column;
mod csv;
mod guess;
mod jsonl;
mod parquet;
mod read;
mod write;

use std::sync::Arc;

pub(crate) use cell::Cell;
pub(crate) use column::Column;
pub(crate) use guess::{Surveyed, survey};
pub(crate) use parquet::{open_coded, plain as column_of};
pub(crate) use read::{Format, Input, Rows, names, read, read_stored, rows_of};
pub(crate) use write::{CsvWriter, Sink, parquet_writer, writer};

use serde::{Deserialize, Serialize};

/// How many rows a batch has at most.
pub(crate) const BATCH: usize = 8192;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// True or false.
    Boolean,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Float,
    /// Texts.
    String,
}

impl Kind {
    /// How a person calls it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Boolean => "true or false",
            Self::Integer => "whole numbers",
            Self::Float => "numbers",
            Self::String => "text",
        }
    }

    /// Whether it can be calculated with.
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Float)
    }
}

/// A column's name and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Field {
    /// Its name.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) kind: Kind,
}

impl Field {
    /// A column called `name`.
    pub(crate) fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind }
    }
}

/// Some rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Batch {
    fields: Arc<[Field]>,
    columns: Vec<Column>,
    rows: usize,
}

impl Batch {
    /// Rows of these columns, which are all of one length.
    pub(crate) fn new(fields: Arc<[Field]>, columns: Vec<Column>) -> Self {
        let rows = columns.first().map_or(0, Column::len);
        Self { fields, columns, rows }
    }

    /// The columns' names and kinds.
    pub(crate) fn fields(&self) -> &Arc<[Field]> {
        &self.fields
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Where the column of that name is.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// A column by its place.
    pub(crate) fn column(&self, at: usize) -> &Column {
        &self.columns[at]
    }

    /// A column by its name.
    pub(crate) fn named(&self, name: &str) -> Option<&Column> {
        self.position(name).map(|at| &self.columns[at])
    }

    /// The rows for which `keep` is true.
    pub(crate) fn filter(&self, keep: &[bool]) -> Self {
        let columns: Vec<Column> = self.columns.iter().map(|column| column.filter(keep)).collect();
        Self { fields: Arc::clone(&self.fields), rows: keep.iter().filter(|keep| **keep).count(), columns }
    }
}
