//! What one training of a model is asked to do, and what it answers. Pure: it knows neither NATS nor Kubernetes nor Arrow.

mod run;

pub use run::{Artifact, Champion, Gate, Outcome, Rows, RunRequest, RunResult};
