//! Where builds run: one trait in terms of our own types, and a plugin for each kind of place.
//!
//! Only this crate knows Kubernetes. A plugin creates what runs an attempt *gated*: it cannot run before somebody ungates
//! exactly that uid. It keeps what has ended until it is released. It decides nothing: who may be ungated, what must be
//! deleted and how an attempt ended is the ledger's business (see the build protocol).

mod condition;
mod executor;
mod kubernetes;
mod launch;
mod mask;
mod observed;
mod place;
mod process;
mod script;

pub use condition::Condition;
pub use executor::{CreateError, Executor, Unreachable};
pub use kubernetes::{Class, ConnectError, Kubernetes, Machine};
pub use launch::{Launch, Token};
pub use observed::{Observed, Phase, Seen};
pub use place::Place;
pub use process::{Lifeline, OpenError, Process, confined, is_unisolated, supervise};
