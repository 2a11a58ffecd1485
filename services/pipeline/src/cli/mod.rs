//! The program's commands.

mod compare;
mod count;
mod get;
mod manifest;
mod run;
mod told;
mod transform;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Result;

/// Trains a model as its file declares: fetch, split, preprocess, train, predict, evaluate, gate, hand over.
#[derive(Parser)]
#[command(name = "switchyard-pipeline", version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a model's declaration from the data to the verdict of its gate.
    Run(run::Args),
    /// Shows two runs side by side: metrics, parameters, rows, and which steps were made from the same.
    Compare(compare::Args),
    /// Applies a run's preprocessing to rows, as serving would.
    Transform(transform::Args),
    /// Lists and digests a model's data, keeps the list in its store, and prints where.
    Manifest(manifest::Args),
    /// Counts rows against a profile and prints the counts, which add up with those of other rows.
    Count(count::Args),
    /// Writes a file of a model's store to standard output, after its digest was checked.
    Get(get::Args),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let done: Result<()> = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Transform(args) => transform::transform(&args),
        Command::Manifest(args) => manifest::manifest(&args),
        Command::Count(args) => count::count(&args),
        Command::Get(args) => get::get(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            told::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
