//! Watches build pods, reports how each build went, and buries what has outlived its build.
//!
//! A pod is reaped if, and only if, one of these holds:
//! - it has ended, and its logs have had `linger` to be collected;
//! - its attempt has ended (timed out, was cancelled) or was never bound to it;
//! - it has not started within `pending`, or run longer than `running`.
//!
//! What is decided stands in three pure files: [`fire`] (a clock has run out), [`see`] (a pod looks like this) and [`plan`]
//! (the sweep, for whatever both have missed). [`Reaper`] does what they say.

mod act;
mod cancel;
mod elsewhere;
mod extend;
mod fire;
#[cfg(test)]
mod fixture;
mod plan;
mod progress;
mod reaper;
mod see;
mod sweep;
mod watch;
mod watched;

pub use act::{Act, ReapError};
pub use elsewhere::{Elsewhere, taking};
pub use fire::{Look, Places, fire};
pub use plan::{LEAST_KEPT, Policy, Reap, Sight, Why, plan};
pub use reaper::{Args, Decisions, Reaper, Sweeping};
pub use see::{gone, see};
