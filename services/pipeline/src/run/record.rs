//! What a run was made from and what came out: `runs/<run>/manifest.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchyard_model::{Artifact, Champion, Gate, Outcome, Rows};

use crate::{
    cache::Kept,
    digest,
    error::{Error, Result},
    place::Place,
};

/// The file's name within the run's folder.
pub(super) const NAME: &str = "manifest.json";

/// A run, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The form of this file.
    pub(crate) version: u32,
    /// The run's key.
    pub(crate) run: String,
    /// The model's name.
    pub(crate) model: String,
    /// The digest of the model file's canonical form.
    pub(crate) declaration: String,
    /// What the training's chance began with.
    pub(crate) seed: u64,
    /// The image, the commit and the command.
    pub(crate) code: Value,
    /// What the training command was given.
    pub(crate) params: Value,
    /// What it was made from.
    pub(crate) data: Inputs,
    /// The run that it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) compared: Option<String>,
    /// How many rows each fold has.
    pub(crate) rows: Rows,
    /// What came out.
    pub(crate) outcome: Outcome,
    /// What the gate found.
    pub(crate) gate: Gate,
    /// The candidate's metrics.
    pub(crate) metrics: BTreeMap<String, f64>,
    /// The champion's metrics on the same rows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) champion: BTreeMap<String, f64>,
    /// The files of the run's folder.
    pub(crate) artifacts: BTreeMap<String, Kept>,
    /// The files that each step made, by their digests.
    pub(crate) steps: BTreeMap<String, Value>,
    /// The SHA-256 of all of the above: the same for the same file and data, whenever and wherever it runs.
    #[serde(default)]
    pub(crate) digest: String,
    /// How long each step took, in seconds, and whether it was kept from before.
    #[serde(default)]
    pub(crate) took: BTreeMap<String, Took>,
}

/// The data of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inputs {
    /// The files, with their digests.
    pub(crate) manifest: Artifact,
    /// How many there are.
    pub(crate) files: usize,
    /// How many rows they have.
    pub(crate) source_rows: u64,
    /// How many were taken.
    pub(crate) rows: u64,
    /// The moment of the newest of them, in microseconds since 1970.
    pub(crate) newest: Option<i64>,
}

/// How long a step took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Took {
    pub(crate) seconds: f64,
    pub(crate) cached: bool,
}

impl Record {
    /// A run's record.
    ///
    /// # Errors
    /// There is no such run in the store.
    pub(crate) fn read(store: &Place, run: &str) -> Result<Self> {
        let path = path(run, NAME);
        let bytes = store.bytes(&path)?.ok_or_else(|| Error::new("there is no such run in the store").file(&path))?;
        serde_json::from_slice(&bytes).map_err(|error| Error::new(format!("is no run's manifest: {error}")).file(&path))
    }

    /// The digest of everything but itself and how long things took.
    pub(super) fn digested(mut self) -> Result<Self> {
        let took = std::mem::take(&mut self.took);
        self.digest.clear();
        let bytes = serde_json::to_vec(&self).map_err(|error| Error::new(error.to_string()))?;
        Ok(Self { digest: digest::of_bytes(&bytes), took, ..self })
    }

    /// A file of the run.
    pub(crate) fn artifact(&self, name: &str) -> Result<Artifact> {
        let kept = self.artifacts.get(name).ok_or_else(|| Error::new(format!("the run has no file `{name}`")).file(&self.run))?;
        Ok(Artifact { path: path(&self.run, name), sha256: kept.sha256.clone() })
    }

    /// The run as a champion.
    pub(crate) fn champion(&self) -> Champion {
        let artifact =
            |name| self.artifact(name).unwrap_or_else(|_| Artifact { path: path(&self.run, name), sha256: String::new() });
        Champion { run: self.run.clone(), model: artifact("model"), preprocessing: artifact("preprocessing.json") }
    }
}

/// Where a file of a run is kept.
pub(super) fn path(run: &str, name: &str) -> String {
    format!("runs/{run}/{name}")
}
