//! Watches what models see, decides when they are trained again, and keeps which of them serves.
//!
//! A training is a build like any other: the trainer asks for it by an event, and hears of its end by another. Nothing that it
//! knows is in its own memory only; any number of trainers may run, and any of them may be killed at any moment.

mod asked;
mod attend;
mod count;
mod decide;
mod ended;
pub mod ingest;
mod judged;
mod models;
mod pipeline;
pub mod policy;
mod reference;
mod registry;
mod replay;
mod seen;
mod trainer;
mod training;
mod watch;
mod windows;

#[cfg(test)]
mod fixture;

pub use decide::{DecideError, Decider, Woken};
pub use judged::{Decide, Judged, Performed};
pub use reference::{Pinned, ReferenceError};
pub use registry::{Crown, HISTORY, Registry};
pub use replay::{Happened, Imagined, Replay, ReplayError, words as replay_words};
pub use trainer::{Args, Trainer};
pub use watch::Watch;
pub use windows::{Course, LastWindow, Monitor, Part, Scores, State};
