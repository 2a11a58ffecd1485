//! What the files of steps are called, and how they are written.

use serde::Serialize;
use serde_json::Value;
use switchyard_model::{Fold, TableFormat};

use super::Job;
use crate::{
    error::{Error, Result},
    split::name,
    table::Format,
};

/// The file of a fold as it was fetched.
pub(super) fn raw(fold: Fold) -> String {
    format!("{}.parquet", name(fold))
}

impl Job<'_> {
    /// How commands read and write rows.
    pub(super) fn format(&self) -> Format {
        match self.model.train.format {
            TableFormat::Csv => Format::Csv,
            TableFormat::Parquet => Format::Parquet,
        }
    }

    /// What a file of rows for commands is called.
    pub(super) fn table(&self, of: &str) -> String {
        let ending = match self.model.train.format {
            TableFormat::Csv => "csv",
            TableFormat::Parquet => "parquet",
        };
        format!("{of}.{ending}")
    }

    pub(super) fn labelled(&self, fold: Fold) -> String {
        self.table(name(fold))
    }

    pub(super) fn unlabelled(&self) -> String {
        self.table("unlabelled")
    }
}

/// What a step says, as it is kept.
pub(super) fn noted<T: Serialize>(note: &T) -> Result<Value> {
    serde_json::to_value(note).map_err(|error| Error::new(error.to_string()))
}
