//! The development stack: real servers on free ports, started and stopped with their parent.
//!
//! Used by `switchyard up`, by tests and by the load tests. The servers are the real ones, at the versions pinned in `tools/`, built
//! once into the user's cache folder. A server ends when its value is dropped, and also when the process that started it is killed.
//!
//! # One stack for all tests of a binary
//! ```no_run
//! use switchyard_dev::{Stack, StackOptions};
//! use tokio::sync::OnceCell;
//!
//! async fn stack() -> &'static Stack {
//!     static STACK: OnceCell<Stack> = OnceCell::const_new();
//!     let options = StackOptions { executors: vec!["k8s".into()], ..StackOptions::default() };
//!     STACK.get_or_init(|| async { Stack::start(&options).await.expect("the stack starts") }).await
//! }
//! ```
//! Statics are never dropped: here it is the end of the test process that ends the servers, a moment later. A stack holds no client
//! and no task, so tests that each have a runtime of their own may share it; they connect for themselves
//! ([`Nats::connect`]). Tests that kill a server start a stack of their own.

mod control_plane;
mod error;
mod folder;
mod jaeger;
mod launch;
mod nats;
mod port;
mod process;
mod ready;
mod secret;
mod server;
mod services;
mod stack;
mod tools;

pub use control_plane::{ClusterUser, ControlPlane};
pub use error::StartError;
pub use jaeger::{Jaeger, JaegerAddress};
pub use launch::Launch;
pub use nats::{ConnectError, Credentials, Nats, NatsOptions, UnknownUser, nats_permissions};
pub use process::{Exit, Process};
pub use ready::choose_cryptography;
pub use server::Server;
pub use services::{Services, ServicesOptions};
pub use stack::{Stack, StackOptions};
pub use tools::{Tool, ToolError, Tools};
