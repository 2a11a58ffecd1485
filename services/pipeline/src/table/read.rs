//! Files of rows: what format they have, and their rows as batches.

use std::{path::PathBuf, sync::Arc};

use super::{Batch, Column, Field, csv, jsonl, parquet};
use crate::error::{Error, Result};

/// Rows, a batch at a time.
pub(crate) type Rows = Box<dyn Iterator<Item = Result<Batch>>>;

/// How a file holds its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Values between commas, with a heading.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// One JSON object a line.
    JsonLines,
}

impl From<switchyard_model::Format> for Format {
    fn from(format: switchyard_model::Format) -> Self {
        match format {
            switchyard_model::Format::Csv => Self::Csv,
            switchyard_model::Format::Parquet => Self::Parquet,
            switchyard_model::Format::JsonLines => Self::JsonLines,
        }
    }
}

impl Format {
    /// The format that a file's name ends in.
    pub(crate) fn of(name: &str) -> Result<Self> {
        switchyard_model::Format::of(name).map(Self::from).ok_or_else(|| {
            Error::new("the name does not say the format; end it in .csv, .parquet or .jsonl, or set `format`").file(name)
        })
    }
}

/// A file on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What its user calls it.
    pub(crate) name: String,
    /// How it holds its rows.
    pub(crate) format: Format,
}

/// The rows of a file: of these columns, and of these kinds. Whole numbers are read as numbers, anything as text.
///
/// # Errors
/// A column is missing, or a value is not of its column's kind.
pub(crate) fn read(input: &Input, fields: &Arc<[Field]>) -> Result<Rows> {
    match input.format {
        Format::Csv => csv::read(input, fields),
        Format::Parquet => parquet::read(input, fields),
        Format::JsonLines => jsonl::read(input, fields),
    }
}

/// The rows of a Parquet file that this program wrote, of these columns or of all.
pub(crate) fn read_stored(path: &std::path::Path, columns: Option<&[&str]>) -> Result<Rows> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let input = Input { path: path.to_owned(), name, format: Format::Parquet };
    let fields = parquet::fields(&input)?;
    let fields = match columns {
        None => fields,
        Some(wanted) => fields.into_iter().filter(|field| wanted.contains(&field.name.as_str())).collect(),
    };
    parquet::read(&input, &fields.into())
}

/// The columns that a file says it has.
pub(crate) fn names(input: &Input) -> Result<Vec<String>> {
    match input.format {
        Format::Csv => csv::names(input),
        Format::Parquet => Ok(parquet::fields(input)?.into_iter().map(|field| field.name).collect()),
        Format::JsonLines => Err(Error::new("JSON lines do not say which columns they have").file(&input.name)),
    }
}

/// How many rows a Parquet file of ours has.
pub(crate) fn rows_of(path: &std::path::Path) -> Result<u64> {
    parquet::count(path)
}

/// An error that names the columns that there are.
pub(super) fn no_column(input: &Input, wanted: &str, there: &[String]) -> Error {
    let what = format!("there is no such column; there are: {}", there.join(", "));
    Error::new(what).column(wanted).file(&input.name)
}

/// Empty columns of these kinds.
pub(super) fn empty(fields: &[Field]) -> Vec<Column> {
    fields.iter().map(|field| Column::empty(field.kind)).collect()
}

/// An error for a value that is not of its column's kind.
pub(super) fn wrong_kind(input: &Input, row: u64, field: &Field, value: &str) -> Error {
    let shown: String = value.chars().take(40).collect();
    let what = format!("`{shown}` is not {}; mend the value, or preprocess the column as text (vocabulary, hash)", one_of(field));
    Error::new(what).column(&field.name).row(row).file(&input.name)
}

fn one_of(field: &Field) -> &'static str {
    match field.kind {
        super::Kind::Boolean => "true or false",
        super::Kind::Integer => "a whole number",
        super::Kind::Float => "a number",
        super::Kind::String => "a text",
    }
}
