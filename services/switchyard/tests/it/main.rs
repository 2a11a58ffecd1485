//! The real binary against real servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, also in its helpers"
)]

mod alerts;
mod bad_data;
mod bad_input;
mod cancel;
mod cli;
mod config;
mod demo;
mod doctor;
mod faults;
mod ingest;
mod lake;
mod local;
mod model;
mod pipeline;
mod reasons;
mod reroute;
mod retraining;
mod secrets;
mod start;
mod sweep;
mod sweeping;
mod traces;
mod training;
mod watching;
mod yard;
