//! The real program on real files, with commands of `/bin/sh`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, also in its helpers"
)]

mod bad;
mod champion;
mod desk;
mod kept;
mod killed;
mod memory;
mod progress;
mod run;
mod same;
mod server;
mod sources;
mod splits;
mod tools;
