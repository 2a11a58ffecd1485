//! Creates one pod per routed build, and lets it run once the ledger names it.
//!
//! The order of the steps is the protocol: create the pod *gated*, bind its uid to the attempt in the ledger, ungate that uid,
//! say that it was launched. A pod that the ledger does not name never runs, whoever was slow, paused or twice.

mod launch;
mod next;
mod screwdriver;

pub use launch::{LaunchError, Launcher};
pub use next::{Next, next};
pub use screwdriver::{InvalidKey, ScrewdriverKey};
