//! The model file: one declaration from the data to the policy by which a model is trained again; and what one training of it is
//! asked to do and answers.
//!
//! One YAML file, read and checked as a whole: everything that is wrong is said at once. Each of `data.rs`, `split.rs`,
//! `preprocess.rs`, `train.rs`, `evaluate.rs`, `monitor.rs` and `policy.rs` holds the keys of its part; `check.rs` says what no
//! key alone can say. Pure: it knows neither NATS nor Kubernetes nor Arrow.

mod check;
mod cron;
mod data;
mod diff;
mod evaluate;
mod key;
mod model;
mod monitor;
mod params;
mod policy;
mod preprocess;
mod rest;
mod run;
mod split;
mod train;

pub use cron::Cron;
pub use data::{Data, Format, Label, Location, Part, Select, Task};
pub use diff::{Change, diff};
pub use evaluate::{Better, Custom, Evaluate, GateRule, Limit, Metric, Performance, Serve, ServeEvent, Service};
pub use key::run_key;
pub use model::{Model, read, schema};
pub use monitor::{
    Correction, Input, InputFormat, Labels, Monitor, PREDICTION, Raise, Reference, Size, Statistic, Test, Watched, Window,
};
pub use params::Params;
pub use policy::{Budget, Concurrency, Mode, Policy, Trigger};
pub use preprocess::{Buckets, Defaults, Fill, Preprocess, Scale, Transform, Unseen};
pub use run::{Artifact, Champion, Gate, Outcome, Rows, RunRequest, RunResult};
pub use split::{By, Category, Fold, Folds, Index, Split, Unknown};
pub use switchyard_file::{Invalid, Problem};
pub use train::{Code, Command, TableFormat, Train};
