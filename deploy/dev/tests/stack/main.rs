//! The development stack against the real servers: they start, are reachable, keep their data over SIGKILL, refuse what they must,
//! and do not outlive their parent.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, also in its helpers"
)]

mod control_plane;
mod helm;
mod jaeger;
mod nats;
mod process;
mod tools;

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// Awaits a condition; the test fails if it does not hold within `within`.
async fn eventually<F: Future<Output = bool>>(what: &str, within: Duration, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + within;
    while !holds().await {
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
