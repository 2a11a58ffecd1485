//! The contract between the trainer and a training run: a request in the build's environment, a result in its termination message.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a run is asked for, beside the model file: the variable `SWITCHYARD_RUN` of its build, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunRequest {
    /// The run's key: base32 of the SHA-256 of the model file's canonical form, the manifest, the code and the seed. It names the
    /// run's folder in the store (`runs/<key>/`).
    pub run: String,
    /// The data that it is to be trained on: every file of the source with its size and digest.
    pub manifest: Artifact,
    /// The model that it must beat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<Champion>,
}

/// A file in the model's store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// Its path below the store's URL.
    pub path: String,
    /// The SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
}

/// The model that serves now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Champion {
    /// The run that made it.
    pub run: String,
    /// Its model, as its own training command left it.
    pub model: Artifact,
    /// The preprocessing that was fitted with it.
    pub preprocessing: Artifact,
}

/// How a run went: the build's result (`customData.result`), JSON of at most 4 KiB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// The run's key.
    pub run: String,
    /// What came out.
    pub outcome: Outcome,
    /// The candidate's metrics on the fold that it is evaluated on, by name.
    pub metrics: BTreeMap<String, f64>,
    /// The champion's metrics on the same rows, where there is a champion.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub champion: BTreeMap<String, f64>,
    /// The run that was the champion when they were compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<String>,
    /// How the gate was passed, or not.
    pub gate: Gate,
    /// The candidate.
    pub model: Artifact,
    /// The preprocessing fitted with it.
    pub preprocessing: Artifact,
    /// The profile of its training fold, against which windows are weighed from its promotion on.
    pub profile: Artifact,
    /// The run's manifest: inputs, digests, parameters, seed, metrics, how long each step took.
    pub manifest: Artifact,
    /// How many rows each fold has.
    pub rows: Rows,
}

/// Whether the candidate may take the champion's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It may.
    Passed,
    /// It may not: the gate says why.
    Rejected,
}

/// What the gate found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// What spoke against the candidate, in words; nothing where it passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
}

/// How many rows each fold has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Rows trained on.
    pub train: u64,
    /// Rows that the training may look at, to stop in time.
    pub eval: u64,
    /// Rows that nobody looks at before the end.
    pub test: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_back_and_an_unknown_key_is_an_error() {
        let artifact = |path: &str| Artifact { path: path.into(), sha256: "00".into() };
        let champion = Champion { run: "a".into(), model: artifact("m"), preprocessing: artifact("p") };
        let request = RunRequest { run: "b".into(), manifest: artifact("d"), champion: Some(champion) };
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<RunRequest>(&text).unwrap(), request);
        assert!(serde_json::from_str::<RunRequest>(&text.replacen("run", "ran", 1)).is_err());
    }
}
