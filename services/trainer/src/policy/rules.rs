//! What the model file says about training, as far as decisions need it.

use switchyard_events::TimeLimit;
pub use switchyard_model::{Concurrency, Mode};
use switchyard_model::{Model, Policy};

/// By which rules trainings of a model are begun.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// The policy.
    pub policy: Policy,
    /// The most that the pod of one run may take: what is set aside of the budget for it.
    pub run_time: TimeLimit,
}

/// What is set aside for a run whose model file gives it no time limit: the most that an executor gives by itself.
const RUN_TIME: TimeLimit = TimeLimit::minutes(120);

impl Rules {
    /// The rules of a model.
    #[must_use]
    pub fn of(model: &Model) -> Self {
        Self { policy: model.policy.clone(), run_time: model.train.timeout.unwrap_or(RUN_TIME) }
    }
}
