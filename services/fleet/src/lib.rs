//! The fleet file: which executors there are, what they weigh, what they refuse, and how long a build may take.
//!
//! One YAML file, read and checked as a whole. Screwdriver's own block stands under `executor` unchanged; what
//! Switchyard adds stands beside it. Pure: reading the file from a disk or a bucket is the caller's business, and
//! choosing an executor is the router's.
//!
//! `file.rs`, `kubernetes.rs` and `matcher.rs` are the keys; `check.rs` says what no key alone can say.

mod check;
mod decimal;
mod executor;
mod file;
mod fleet;
mod glob;
mod kubernetes;
mod matcher;
mod revision;
mod size;
mod weight;

pub use executor::{Executor, Plugin, ProcessLimits, ProcessOptions, Screwdriver};
pub use file::{Clocks, Cluster, ExecutorClocks, Kubeconfig, Stickiness, Tenant};
pub use fleet::Fleet;
pub use glob::Glob;
pub use kubernetes::{
    Breaker, Disk, DnsPolicy, Exec, Fusebox, Hook, Host, HttpGet, ImagePullPolicy, KubernetesOptions, LifecycleHooks,
    RequestRetry, Resources, SecretFile, SecretVariable, TaintEffect, Toleration, TolerationOperator, Volume,
};
pub use matcher::{Exclusion, Image, Parts, Wanted};
pub use size::{Bytes, InvalidSize, Millicores, Sizes};
pub use switchyard_file::{Invalid as InvalidFleet, Problem};
pub use weight::Weight;

/// What the file is called where something about it is said.
const FILE: &str = "fleet file";
