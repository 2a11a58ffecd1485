//! What the events about a model say. Each also names the model.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{BuildKey, BuildSpec};

/// The data that a model sees has drifted from what it was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftDetected {
    /// The window that decided.
    pub window: u64,
    /// How many rows it had.
    pub rows: u64,
    /// The columns that have drifted, with what this window says of each.
    pub columns: Vec<Drifted>,
}

/// What a window says of a column that has drifted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drifted {
    /// The column.
    pub column: String,
    /// How the difference is measured.
    pub measure: String,
    /// How great it is.
    pub effect: f64,
    /// From which effect on it counts.
    pub threshold: f64,
    /// The chance of a difference as great where nothing has changed.
    pub p: f64,
}

/// The data that a model sees is again as it was, or the model is another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftCleared {
    /// The window that decided, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
    /// `windows`, `promoted` or `rolledback`.
    pub reason: String,
}

/// What speaks for a training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// `first`, `drift`, `performance`, `newRows`, `cron` or `manual`.
    pub trigger: String,
    /// More of it, in words.
    pub detail: String,
}

/// A training is wanted: it waits for approval, or its build is asked for at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetrainingRequested {
    /// The number of the run among those of the model.
    pub run: u64,
    /// What speaks for it.
    pub causes: Vec<Cause>,
    /// `needed` where somebody has to approve it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// The key of the run, once its data is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its build, once it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<BuildKey>,
    /// Who approved or asked for it, if somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Something spoke for a training, and none is begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetrainingSkipped {
    /// Why, in one word: `warm_up`, `cooldown`, `backoff`, `budget`, `running`, `queued`, `suggested`, `awaiting_approval`,
    /// `denied`, `mode_changed`, `no_new_data`, `no_manifest`.
    pub reason: String,
    /// Why, in words.
    pub message: String,
    /// When it is possible again, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What spoke for it.
    pub causes: Vec<Cause>,
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunEnd {
    /// Its model serves.
    Promoted,
    /// Its model does not.
    Rejected,
    /// It came to no result.
    Failed,
    /// It was stopped.
    Cancelled,
}

impl RunEnd {
    /// Every way in which a training ends.
    pub const ALL: [Self; 4] = [Self::Promoted, Self::Rejected, Self::Failed, Self::Cancelled];

    /// Its name, as in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A training has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetrainingFinished {
    /// The number of the run.
    pub run: u64,
    /// Its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How it ended.
    pub outcome: RunEnd,
    /// Why it failed or was stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long its pods took, all attempts together.
    pub pod_seconds: u64,
}

/// What a trained model is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelEvaluated {
    /// The key of its run.
    pub run: String,
    /// Its metrics.
    pub metrics: BTreeMap<String, f64>,
    /// Those of the champion on the same rows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub champion: BTreeMap<String, f64>,
    /// The run that was the champion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<String>,
}

/// A model serves from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelPromoted {
    /// The key of its run.
    pub run: String,
    /// The run whose model served before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<String>,
    /// Its metrics.
    pub metrics: BTreeMap<String, f64>,
}

/// A model will not serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelRejected {
    /// The key of its run.
    pub run: String,
    /// What speaks against it.
    pub reasons: Vec<String>,
}

/// An earlier model serves again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelRolledBack {
    /// The key of its run.
    pub run: String,
    /// The run whose model served before.
    pub from: String,
    /// Who wanted it.
    pub by: String,
}

/// Windows are weighed against another training fold from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferencePinned {
    /// The key of the run whose fold it is.
    pub run: String,
    /// The digest of its profile.
    pub sha256: String,
    /// Where the profile is in the model's store.
    pub path: String,
}

/// The build of a training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingBuild {
    /// What the build is called: model and number of the run.
    pub subject: String,
    /// What is to be run.
    pub spec: BuildSpec,
}

/// A model is there to be served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactPublished {
    /// Its package URL.
    pub artifact: String,
    /// The key of its run.
    pub run: String,
    /// Where it is.
    pub location: String,
    /// The digest of it.
    pub sha256: String,
}

/// A service has another model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceChanged {
    /// How it came to it.
    pub change: Change,
    /// The service.
    pub service: String,
    /// Where it runs.
    pub environment: String,
    /// The model's package URL.
    pub artifact: String,
    /// The key of its run.
    pub run: String,
}

/// How a service came to its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It is its first.
    Deployed,
    /// It is a newer one.
    Upgraded,
    /// It is an older one.
    RolledBack,
}

impl Change {
    pub(super) const fn event_type(self) -> &'static str {
        match self {
            Self::Deployed => "dev.cdevents.service.deployed.0.3.0",
            Self::Upgraded => "dev.cdevents.service.upgraded.0.3.0",
            Self::RolledBack => "dev.cdevents.service.rolledback.0.3.0",
        }
    }
}

macro_rules! types {
    ($($name:ident $event_type:literal)*) => {
        $(impl $name {
            /// The event's type.
            pub const TYPE: &str = $event_type;
        })*
    };
}

types! {
    DriftDetected "dev.cdeventsx.switchyard-datadrift.detected.0.1.0"
    DriftCleared "dev.cdeventsx.switchyard-datadrift.cleared.0.1.0"
    RetrainingRequested "dev.cdeventsx.switchyard-retraining.requested.0.1.0"
    RetrainingSkipped "dev.cdeventsx.switchyard-retraining.skipped.0.1.0"
    RetrainingFinished "dev.cdeventsx.switchyard-retraining.finished.0.1.0"
    ModelEvaluated "dev.cdeventsx.switchyard-model.evaluated.0.1.0"
    ModelPromoted "dev.cdeventsx.switchyard-model.promoted.0.1.0"
    ModelRejected "dev.cdeventsx.switchyard-model.rejected.0.1.0"
    ModelRolledBack "dev.cdeventsx.switchyard-model.rolledback.0.1.0"
    ReferencePinned "dev.cdeventsx.switchyard-reference.pinned.0.1.0"
    TrainingBuild "dev.cdevents.pipelinerun.queued.0.3.0"
    ArtifactPublished "dev.cdevents.artifact.published.0.3.0"
}
