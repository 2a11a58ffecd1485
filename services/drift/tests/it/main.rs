//! What the statistics, the states and the verdict must hold to, through the public interface.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![allow(clippy::needless_for_each, reason = "a helper on one line reads better")]

mod bounds;
mod inputs;
mod measures;
mod merge;
mod profile;
mod reference;
