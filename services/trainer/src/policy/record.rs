//! What is known of one model: the only state on which anything is decided. Key `policy.<model>` of bucket `trainer`.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use switchyard_events::{BuildKey, Cause, Drifted, RunEnd, Thread, Told};
use switchyard_model::RunResult;

/// How many trained keys are remembered; the same key never trains twice as long as it is among them.
pub(super) const TRAINED: usize = 1000;

/// How many things that people asked are remembered, so that hearing of them twice does nothing.
pub(super) const HANDLED: usize = 64;

/// Everything that is known of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Version of this layout: 1.
    pub v: u32,
    /// The model.
    pub model: String,
    /// When this record was begun.
    pub born: Timestamp,
    /// When it was last changed: time never goes back.
    pub at: Timestamp,
    /// How many events it has told.
    pub told: u64,
    /// The run whose training fold windows are weighed against: the champion's. None as long as there is no champion.
    #[serde(default)]
    pub reference: Option<String>,
    /// What the windows since then say.
    #[serde(default)]
    pub watch: Watch,
    /// From when on times of `cron` count.
    pub since: Timestamp,
    /// How many runs were thought of, also those that came to nothing.
    pub runs: u64,
    /// The run that waits for approval.
    #[serde(default)]
    pub asked: Option<Ask>,
    /// A training that somebody wants.
    #[serde(default)]
    pub manual: Option<Manual>,
    /// The run that is under way: never more than one.
    #[serde(default)]
    pub run: Option<Run>,
    /// When the last training was asked for.
    #[serde(default)]
    pub last: Option<Timestamp>,
    /// When a training was last suggested, or denied.
    #[serde(default)]
    pub suggested: Option<Timestamp>,
    /// Before this there is no use in looking for new data.
    #[serde(default)]
    pub look_again: Option<Waiting>,
    /// What rejected and failed runs have brought about.
    #[serde(default)]
    pub backoff: Option<Backoff>,
    /// What the budget was spent on.
    #[serde(default)]
    pub spent: Vec<Spent>,
    /// The keys that have come to a result.
    #[serde(default)]
    pub trained: BTreeMap<String, Trained>,
    /// Why no training was begun, as it was last said.
    #[serde(default)]
    pub skipped: Option<String>,
    /// How the last run ended.
    #[serde(default)]
    pub ended: Option<Ended>,
    /// A rollback that is under way.
    #[serde(default)]
    pub rollback: Option<RollingBack>,
    /// What people asked and was taken note of.
    #[serde(default)]
    pub handled: VecDeque<String>,
    /// What is told and not known to be stored yet.
    #[serde(default)]
    pub outbox: Vec<Told>,
}

/// What the windows since the last promotion say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Watch {
    /// How many there were.
    pub windows: u32,
    /// The last one.
    pub last: Option<u64>,
    /// Whether it differed, without that being enough for a verdict.
    pub suspected: bool,
    /// The drift that holds.
    pub drift: Option<Episode>,
    /// Why the model is no longer good enough, where it is not.
    pub poor: Option<String>,
    /// How many new rows there were since the last run was thought of.
    pub new_rows: u64,
    /// Up to this window everything has been acted on: the same windows never ask twice.
    pub fired: Option<u64>,
}

/// A drift, from when it was detected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// The window that decided.
    pub window: u64,
    /// When.
    pub at: Timestamp,
    /// The columns, as the last window says.
    pub columns: Vec<Drifted>,
    /// The events that belong to it.
    pub thread: Thread,
}

/// A run that waits for approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// The number that the run will have.
    pub n: u64,
    /// Since when.
    pub at: Timestamp,
    /// What speaks for it.
    pub causes: Vec<Cause>,
    /// The events that belong to it.
    pub thread: Thread,
    /// Who has approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<String>,
    /// What it took up.
    pub taken: Taken,
}

/// A training that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manual {
    /// Who.
    pub by: String,
    /// Whether cooldown and back-off are passed over.
    pub now: bool,
}

/// What spoke for a run and is taken up by it: it stands again where the run comes to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// Up to which window was acted on before.
    pub fired: Option<u64>,
    /// From when on times of `cron` counted.
    pub since: Timestamp,
    /// How many new rows there were.
    pub new_rows: u64,
}

/// A run that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its number.
    pub n: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// What spoke for it.
    pub causes: Vec<Cause>,
    /// Who approved or wanted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The events that belong to it.
    pub thread: Thread,
    /// What it took up.
    pub taken: Taken,
    /// How far it is.
    pub stage: Stage,
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// It is looked which data there is. Nothing was said of it yet.
    Resolving,
    /// Its build was asked for.
    Training(Training),
    /// It has passed, and is to become the champion.
    Promoting(Training, Box<RunResult>),
}

/// A run whose build was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Training {
    /// Its key.
    pub key: String,
    /// Its build.
    pub build: BuildKey,
    /// The champion that it is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<String>,
    /// When it was asked for, or when it ended.
    pub at: Timestamp,
    /// Whether it was asked to stop.
    #[serde(default)]
    pub cancelled: bool,
    /// How long the pod of each attempt took, in milliseconds.
    #[serde(default)]
    pub used: BTreeMap<u32, u64>,
}

/// Until when something waits, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Until when.
    pub until: Timestamp,
    /// Why, in one word.
    pub reason: String,
    /// Why, in words.
    pub message: String,
}

/// What rejected and failed runs have brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// How many there were in a row.
    pub times: u32,
    /// Until when none follows.
    pub until: Timestamp,
}

/// What one run took of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Its number.
    pub n: u64,
    /// When it was begun.
    pub at: Timestamp,
    /// Its pods' time in milliseconds: what it may take, and once it has ended what it took.
    pub ms: u64,
    /// Whether it is under way.
    pub open: bool,
}

/// A key that has come to a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trained {
    /// The number of its run.
    pub n: u64,
    /// Whether it passed.
    pub passed: bool,
}

/// How the last run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Its number.
    pub n: u64,
    /// Its key.
    pub key: String,
    /// How.
    pub outcome: RunEnd,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A rollback that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollingBack {
    /// To which run; without one to the champion before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Who wants it.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
}

impl Record {
    /// The record of a model of which nothing is known but its champion's run, if it has one.
    #[must_use]
    pub fn new(model: impl Into<String>, reference: Option<String>, now: Timestamp) -> Self {
        Self {
            v: 1,
            model: model.into(),
            born: now,
            at: now,
            told: 0,
            reference,
            watch: Watch::default(),
            since: now,
            runs: 0,
            asked: None,
            manual: None,
            run: None,
            last: None,
            suggested: None,
            look_again: None,
            backoff: None,
            spent: Vec::new(),
            trained: BTreeMap::new(),
            skipped: None,
            ended: None,
            rollback: None,
            handled: VecDeque::new(),
            outbox: Vec::new(),
        }
    }

    /// Where the model stands, in one word.
    #[must_use]
    pub fn state(&self, warmup: u32) -> &'static str {
        match (&self.run, &self.asked) {
            (Some(Run { stage: Stage::Resolving, .. }), _) => "requested",
            (Some(Run { stage: Stage::Training(_), .. }), _) => "training",
            (Some(Run { stage: Stage::Promoting(..), .. }), _) => "evaluated",
            (None, Some(_)) => "asked",
            (None, None) if self.reference.is_none() => "cold",
            (None, None) if self.watch.drift.is_some() => "drifted",
            (None, None) if self.watch.windows < warmup => "warm-up",
            (None, None) if self.watch.suspected => "suspected",
            (None, None) => "watching",
        }
    }
}

impl Watch {
    /// Whether there is a window that nothing was done about.
    pub(super) fn is_fresh(&self) -> bool {
        self.last > self.fired
    }
}

impl Run {
    /// What is known of its build, once that was asked for.
    #[must_use]
    pub fn training(&self) -> Option<&Training> {
        match &self.stage {
            Stage::Resolving => None,
            Stage::Training(training) | Stage::Promoting(training, _) => Some(training),
        }
    }
}
