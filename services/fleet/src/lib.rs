//! The fleet file: which executors there are, what they weigh, what they refuse, and how long a build may take.
//!
//! One YAML file, read and checked as a whole. Screwdriver's own block stands under `executor` unchanged; what
//! Switchyard adds stands beside it. Pure: reading the file from a disk or a bucket is the caller's business, and
//! choosing an executor is the router's.

mod decimal;
mod executor;
mod file;
mod fleet;
mod invalid;
mod size;
mod weight;

pub use executor::{Exclusions, Executor, ImagePullPolicy, KubernetesOptions, Plugin, ProcessLimits, ProcessOptions};
pub use file::Clocks;
pub use fleet::Fleet;
pub use invalid::InvalidFleet;
pub use size::{Bytes, InvalidSize, Millicores, Resources, Sizes};
pub use weight::Weight;
