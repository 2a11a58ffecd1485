//! Why a message cannot be read: it says where, and what is expected there.

use switchyard_events::DecodeError;
use thiserror::Error;

/// A message that goes to DEAD.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// It is no CloudEvent.
    #[error("not a CloudEvent: {0}")]
    Event(#[from] DecodeError),
    /// Its type is none that is read.
    #[error("type {0:?} is not read; see docs/trainer.md for those that are")]
    Type(String),
    /// Its data is not the JSON that its type promises.
    #[error("data: {0}")]
    Json(#[from] serde_json::Error),
    /// A value is not what its column holds.
    #[error("row {row}, column {column:?}: {what}")]
    Value {
        /// The column.
        column: String,
        /// The row, from 0.
        row: usize,
        /// What is expected.
        what: &'static str,
    },
    /// A column is longer or shorter than the others, or stands twice.
    #[error("column {column:?} has {found} values where {expected} are expected")]
    Length {
        /// The column.
        column: String,
        /// How many it has.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// None of the columns is one of the model's.
    #[error("none of the model's features is in it: {0}")]
    NoFeature(String),
    /// What it is.
    #[error("{0}")]
    Shape(String),
    /// A file could not be counted.
    #[error("{url}: {error}")]
    File {
        /// Where it is.
        url: String,
        /// What went wrong.
        error: String,
    },
}
