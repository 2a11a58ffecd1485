//! Windows of what models see: counted partition by partition, closed, put together and judged.
//!
//! `state.rs` (what a message changes) and `judging.rs` (what a window says) decide; `monitor.rs`, `model.rs` and
//! `partition.rs` follow, read, keep and hand over.

mod files;
mod judging;
mod meters;
mod model;
mod monitor;
mod partition;
mod scores;
mod seen;
mod shown;
mod state;
mod waiting;

#[cfg(test)]
mod tests;

pub use judging::Course;
pub use monitor::Monitor;
pub use scores::Scores;
pub use shown::LastWindow;
pub(crate) use state::Taken;
pub use state::{Part, State};
