//! The reference of a model: the rows of the run that serves, as counts. It is written when a model is promoted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use switchyard_bus::{Bus, Revision, StoredError};
use switchyard_drift::Profile;

/// What a model's windows are compared with: key `reference.<model>` of bucket `trainer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pinned {
    /// The run that it is of.
    pub run: String,
    /// The SHA-256 of the profile as the run stored it.
    pub sha256: String,
    /// The profile.
    pub profile: Profile,
    /// How good the model was when it was evaluated.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
}

/// A reference could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// The broker does not answer.
    #[error(transparent)]
    Store(#[from] StoredError),
    /// What is stored is none.
    #[error("reference of model {model}: {error}")]
    Unreadable {
        /// Of which model.
        model: String,
        /// What is wrong.
        error: serde_json::Error,
    },
}

impl Pinned {
    /// Where it is kept.
    #[must_use]
    pub fn key(model: &str) -> String {
        format!("reference.{model}")
    }

    /// The reference of a model, if one is pinned.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn read(bus: &Bus, model: &str) -> Result<Option<(Self, Revision)>, ReferenceError> {
        let Some((bytes, revision)) = bus.state(&Self::key(model)).await? else { return Ok(None) };
        let pinned = serde_json::from_slice(&bytes);
        let pinned = pinned.map_err(|error| ReferenceError::Unreadable { model: model.to_owned(), error })?;
        Ok(Some((pinned, revision)))
    }

    /// Pins it after that of a revision; `None` where somebody was faster.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn pin(&self, bus: &Bus, model: &str, after: Option<Revision>) -> Result<Option<Revision>, ReferenceError> {
        let bytes = serde_json::to_vec(self).map_err(|error| ReferenceError::Unreadable { model: model.to_owned(), error })?;
        Ok(bus.keep_state(&Self::key(model), bytes.into(), after).await?)
    }
}
