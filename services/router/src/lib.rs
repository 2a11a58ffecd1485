//! Chooses the executor of each build, or says why none may have it.
//!
//! A build goes to the first of these that is eligible:
//! 1. the executor that its annotation `screwdriver.cd/executor` names; it must exist;
//! 2. one drawn by weight among the eligible with a weightage above 0, always the same for the same build and fleet;
//! 3. the default executor, whatever its weightage.
//!
//! An executor that is unwell is passed over as long as another is left. Where none is eligible the build is refused, and finishes too. The router writes nothing but its event.

mod candidate;
mod current;
mod draw;
mod health;
mod request;
mod route;
mod router;
mod rules;

pub use candidate::Candidate;
pub use current::{Current, Now};
pub use health::Health;
pub use request::{Asked, Described, Unbuildable, asked};
pub use route::{Refusal, Route, Rule, Standing, route, standings, why};
pub use router::{Args, RouteError, Router};
pub use rules::Rules;
