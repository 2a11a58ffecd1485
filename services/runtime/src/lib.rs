//! One way to run a service: settings, telemetry, NATS, signals, health, exit code.
//!
//! [`run`] is the `main` of every service. It sets up logs and tracing, answers `/livez`, `/readyz` and `/metrics`, connects to NATS (or
//! waits for it), hands all of that to the service as a [`Context`], and leaves in the right order when a signal comes:
//!
//! 1. SIGTERM or SIGINT requests a shutdown; a second one aborts at once.
//! 2. The service's future ends, or is given up after the grace period.
//! 3. What was written to NATS is flushed, the connection drained, spans exported.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | the service ended, by itself or because a signal asked for it |
//! | 1 | it could not start, failed, or did not stop within the grace period; the last line says why |
//! | 130, 143 | aborted by a second SIGINT or SIGTERM; nothing was flushed |
//!
//! Nothing here knows what a build is, or JetStream's streams and consumers: that is the bus.
mod collector;
mod connection;
mod export;
mod health;
mod http;
mod logs;
mod metrics;
mod nats_events;
mod nats_settings;
mod otel_variables;
mod run;
mod seldom;
mod settings;
mod shutdown;
mod telemetry;
mod trace_context;

pub use connection::{ConnectError, close, connect};
pub use health::Health;
pub use logs::{LogFormat, LogSettings};
pub use metrics::{Counter, Gauge, Histogram, Metrics};
pub use nats_settings::{NatsSettings, Secret};
pub use run::{Context, run};
pub use settings::{Listen, Settings};
pub use shutdown::Shutdown;
pub use telemetry::{Telemetry, TelemetryError, propagate};
