//! One declarative training run: fetch, split, preprocess, train, predict, evaluate, gate, hand over.
//!
//! Every step is kept in the model's store under the digest of what it was made from, and is not done twice. Rows are read and
//! written a batch at a time, so that memory does not grow with the data. What is done with them depends on nothing but the
//! model file and the data: no clock, no chance, no order of threads.

mod cache;
mod cli;
mod code;
mod command;
mod count;
mod digest;
mod error;
mod fetch;
mod filter;
mod gate;
mod manifest;
mod metrics;
mod moment;
mod place;
mod predictions;
mod preprocess;
mod profile;
mod progress;
mod run;
mod sort;
mod split;
mod table;

pub use cli::main;
pub use error::Error;

/// What steps were made by: a change of how a step is done begins the cache anew.
const VERSION: &str = "1";
