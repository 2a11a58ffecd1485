//! `train` and `predict`: the user's commands, and what they run with.

use switchyard_events::TimeLimit;
use switchyard_file::{keys, words};

use crate::Params;

keys! {
    written
    /// How a model is trained: a command in an image, given files and parameters.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Train {
        /// The image that the whole run is in; by digest, a run can be repeated.
        image: String = "image",
        /// Where the command's code is, where the image does not hold it.
        code: Option<Code> = "code",
        /// The command: a program and its arguments.
        command: Vec<String> = "command",
        /// What it is given, as a file of JSON.
        params: Params = "params",
        /// What its chance begins with; without it, the split's.
        seed: Option<u64> = "seed",
        /// How it is given the folds.
        format: TableFormat = "format" or TableFormat::Csv,
        /// Processors: a class or a quantity.
        cpu: Option<String> = "cpu",
        /// Memory: a class or a quantity.
        ram: Option<String> = "ram",
        /// How long the run may take.
        timeout: Option<TimeLimit> = "timeout",
        /// Whether the champion's model is given to begin with.
        warm_start: bool = "warmStart" or false,
    }
}

keys! {
    written
    /// Code at a commit.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Code {
        /// The repository's address.
        repository: String = "repository",
        /// The commit, whole.
        commit: String = "commit",
    }
}

keys! {
    written
    /// A command of the user's.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Command {
        /// A program and its arguments.
        command: Vec<String> = "command",
    }
}

/// How a command is given tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Comma-separated values with a line of names.
    Csv,
    /// Parquet.
    Parquet,
}

words! { written TableFormat { "csv" => Self::Csv, "parquet" => Self::Parquet, } }
