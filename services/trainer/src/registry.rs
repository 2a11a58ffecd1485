//! Which model serves, and which have: key `registry.<model>` of bucket `trainer`. How it may change, as plain functions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use switchyard_model::{Artifact, Champion, RunResult};

/// The champion of a model, and those that there were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Registry {
    /// The model that serves, if one does.
    #[serde(default)]
    pub champion: Option<Crown>,
    /// Those that have served, the last one last; at most [`HISTORY`].
    #[serde(default)]
    pub history: Vec<Crown>,
}

/// A model that serves, or has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crown {
    /// The key of its run.
    pub run: String,
    /// Since when.
    pub at: Timestamp,
    /// The champion before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<String>,
    /// Its metrics, as it was evaluated.
    pub metrics: BTreeMap<String, f64>,
    /// The model.
    pub model: Artifact,
    /// The preprocessing that was fitted with it.
    pub preprocessing: Artifact,
    /// The profile of its training fold.
    pub profile: Artifact,
    /// Its run's manifest.
    pub manifest: Artifact,
}

/// How many former champions are kept.
pub const HISTORY: usize = 100;

impl Registry {
    /// Where it is kept.
    #[must_use]
    pub fn key(model: &str) -> String {
        format!("registry.{model}")
    }

    /// The champion, as a run is told of it.
    #[must_use]
    pub fn as_rival(&self) -> Option<Champion> {
        let Crown { run, model, preprocessing, .. } = self.champion.clone()?;
        Some(Champion { run, model, preprocessing })
    }

    /// The registry with this candidate as the champion. Where it is that already, nothing changes.
    ///
    /// # Errors
    /// The champion is not the one that the candidate was compared with.
    pub fn promote(&self, result: &RunResult, at: Timestamp) -> Result<Self, String> {
        let now = self.champion.as_ref().map(|crown| &crown.run);
        if now == Some(&result.run) {
            return Ok(self.clone());
        }
        if now != result.compared.as_ref() {
            let name = |run: Option<&String>| run.map_or("none", String::as_str).to_owned();
            return Err(format!(
                "it was compared with {}, and the champion is {} by now",
                name(result.compared.as_ref()),
                name(now)
            ));
        }
        let crown = Crown {
            run: result.run.clone(),
            at,
            replaced: now.cloned(),
            metrics: result.metrics.clone(),
            model: result.model.clone(),
            preprocessing: result.preprocessing.clone(),
            profile: result.profile.clone(),
            manifest: result.manifest.clone(),
        };
        Ok(self.crowned(crown))
    }

    /// The registry with an earlier champion again: that of run `to`, or the one before this one.
    ///
    /// # Errors
    /// There is none such.
    pub fn roll_back(&self, to: Option<&str>, at: Timestamp) -> Result<Self, String> {
        let now = self.champion.as_ref().ok_or("the model has no champion yet")?;
        let to = to.or(now.replaced.as_deref()).ok_or("there was no champion before this one")?;
        if now.run == to {
            return Err(format!("{to} is the champion"));
        }
        let found = self.history.iter().rev().find(|crown| crown.run == to);
        let found = found.ok_or_else(|| format!("run {to} was never the champion, or too long ago"))?;
        Ok(self.crowned(Crown { at, ..found.clone() }))
    }

    fn crowned(&self, crown: Crown) -> Self {
        let mut history = self.history.clone();
        history.retain(|former| former.run != crown.run);
        history.extend(self.champion.clone());
        let surplus = history.len().saturating_sub(HISTORY);
        history.drain(..surplus);
        Self { champion: Some(crown), history }
    }
}

#[cfg(test)]
mod tests {
    use switchyard_model::{Gate, Outcome, Rows};

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn result(run: &str, compared: Option<&str>) -> RunResult {
        let artifact = || Artifact { path: format!("runs/{run}/x"), sha256: "0".into() };
        RunResult {
            run: run.into(),
            outcome: Outcome::Passed,
            metrics: BTreeMap::new(),
            champion: BTreeMap::new(),
            compared: compared.map(str::to_owned),
            gate: Gate::default(),
            model: artifact(),
            preprocessing: artifact(),
            profile: artifact(),
            manifest: artifact(),
            rows: Rows::default(),
        }
    }

    fn champion(registry: &Registry) -> Option<&str> {
        registry.champion.as_ref().map(|crown| crown.run.as_str())
    }

    #[test]
    fn a_candidate_replaces_only_the_champion_that_it_was_compared_with() {
        let first = Registry::default().promote(&result("a", None), NOW).unwrap();
        assert_eq!(champion(&first), Some("a"));
        assert!(first.promote(&result("b", None), NOW).unwrap_err().contains("the champion is a by now"));
        let second = first.promote(&result("b", Some("a")), NOW).unwrap();
        assert_eq!((champion(&second), second.history.len()), (Some("b"), 1));
        assert_eq!(second.promote(&result("b", Some("a")), NOW), Ok(second.clone()), "doing it again changes nothing");
    }

    #[test]
    fn a_rollback_goes_to_the_champion_before_or_to_one_by_name() {
        assert!(Registry::default().roll_back(None, NOW).is_err());
        let first = Registry::default().promote(&result("a", None), NOW).unwrap();
        assert!(first.roll_back(None, NOW).is_err());
        let third = first.promote(&result("b", Some("a")), NOW).unwrap().promote(&result("c", Some("b")), NOW).unwrap();
        assert_eq!(champion(&third.roll_back(None, NOW).unwrap()), Some("b"));
        let back = third.roll_back(Some("a"), NOW).unwrap();
        assert_eq!((champion(&back), back.history.len()), (Some("a"), 2));
        assert!(third.roll_back(Some("c"), NOW).is_err() && third.roll_back(Some("x"), NOW).is_err());
    }
}
