//! What went wrong, and where: step, file, row and column, as far as each is known.

use std::fmt;

/// A step that could not be done. Nothing was handed over: the champion stays what it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Error {
    step: Option<&'static str>,
    file: Option<String>,
    row: Option<u64>,
    column: Option<String>,
    what: String,
}

/// What an operation of this crate answers.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What is wrong, and what to do about it.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    /// The file in which it was found.
    pub(crate) fn file(mut self, file: impl Into<String>) -> Self {
        self.file.get_or_insert(file.into());
        self
    }

    /// The row, counted from 1 within the file, without a heading.
    pub(crate) fn row(mut self, row: u64) -> Self {
        self.row.get_or_insert(row);
        self
    }

    /// The column.
    pub(crate) fn column(mut self, column: impl Into<String>) -> Self {
        self.column.get_or_insert(column.into());
        self
    }

    /// With this in front of what is wrong.
    pub(crate) fn prefixed(mut self, prefix: &str) -> Self {
        self.what.insert_str(0, prefix);
        self
    }

    /// Whether it is of a value of a column: of the data, not of what was done with it.
    pub(crate) fn is_of_a_column(&self) -> bool {
        self.column.is_some()
    }

    /// The step in which it happened; the innermost one stands.
    pub(crate) fn at(mut self, step: &'static str) -> Self {
        self.step.get_or_insert(step);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = self.step {
            write!(f, "{step}: ")?;
        }
        let row = self.row.map(|row| format!("row {row}"));
        let column = self.column.as_ref().map(|column| format!("column `{column}`"));
        let place: Vec<String> = [self.file.clone(), row, column].into_iter().flatten().collect();
        if !place.is_empty() {
            write!(f, "{}: ", place.join(", "))?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {}

impl From<parquet::errors::ParquetError> for Error {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::new(format!("not readable or writable as Parquet: {error}"))
    }
}

impl From<arrow_schema::ArrowError> for Error {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::new(format!("not readable or writable as Parquet: {error}"))
    }
}

/// What was tried on a file, for an error of the system's.
pub(crate) trait Tried<T> {
    /// Names the file and what was tried on it.
    fn tried(self, verb: &str, file: impl fmt::Display) -> Result<T>;
}

impl<T> Tried<T> for std::io::Result<T> {
    fn tried(self, verb: &str, file: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Error::new(format!("cannot {verb}: {error}")).file(file.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_step_file_row_and_column_and_the_innermost_stands() {
        let error = Error::new("no number").column("age").row(3).file("a.csv").at("fetch").at("split").file("b.csv");
        assert_eq!(error.to_string(), "fetch: a.csv, row 3, column `age`: no number");
    }
}
