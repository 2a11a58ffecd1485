//! What a supervisor tells: `status.json`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use switchyard_events::{Reason, StepEnd};

/// How far an attempt is. It exists from the moment in which a supervisor takes the attempt up, before anything of it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// The supervisor's process id, for people.
    pub(crate) supervisor: i32,
    pub(crate) stage: Stage,
    pub(crate) taken_at: Timestamp,
    #[serde(default)]
    pub(crate) started_at: Option<Timestamp>,
    #[serde(default)]
    pub(crate) finished_at: Option<Timestamp>,
    /// The code that the build returned, or 128 and the signal that ended it.
    #[serde(default)]
    pub(crate) exit: Option<i32>,
    /// Why it ended, as far as that is known beside its code.
    #[serde(default)]
    pub(crate) reason: Option<Reason>,
    #[serde(default)]
    pub(crate) message: Option<String>,
    #[serde(default)]
    pub(crate) result: Option<String>,
    #[serde(default)]
    pub(crate) steps: Vec<StepEnd>,
}

/// How far it is. `Ended` is written when nothing of the build is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    Pending,
    Running,
    Ended,
}

impl Status {
    /// Taken up, and nothing runs yet.
    pub(crate) fn taken(supervisor: i32, now: Timestamp) -> Self {
        Self {
            supervisor,
            stage: Stage::Pending,
            taken_at: now,
            started_at: None,
            finished_at: None,
            exit: None,
            reason: None,
            message: None,
            result: None,
            steps: Vec::new(),
        }
    }
}
