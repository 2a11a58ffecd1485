//! What a build request asks for: the `customData.build` of a queued event. Strict: an unknown key is an error.

mod check;
mod read;
mod texts;
mod view;

pub use texts::Texts;
pub use view::BuildView;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::TimeLimit;
use check::broken;
use read::{scalar, scalars, text};

/// One build, as its request describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildSpec {
    /// The container image in which the steps run.
    pub image: String,
    /// The steps, run one after the other by `/bin/sh -ec`; without any, the image's own entry point runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// Environment variables of every step.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "scalars")]
    pub env: BTreeMap<String, String>,
    /// Processors: a class (`micro, low, high, turbo, max`) or a quantity such as `2` or `500m`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "scalar")]
    pub cpu: Option<String>,
    /// Memory: a class, a quantity such as `4Gi`, or a bare number of GiB.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "scalar")]
    pub ram: Option<String>,
    /// How long the build may run; the executor's own maximum still holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<TimeLimit>,
    /// Annotations: `screwdriver.cd/…` steer the build, others reach the pod where the fleet file allows it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "scalars")]
    pub annotations: BTreeMap<String, String>,
    /// Labels of its own, by which the fleet file may exclude it from executors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "scalars")]
    pub labels: BTreeMap<String, String>,
    /// Secrets that it needs, by name; the fleet file says which ones its tenant may have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretRef>,
    /// What makes it a build of Screwdriver's, which runs under Screwdriver's own launcher; such a build has no steps here.
    #[serde(rename = "screwdriver", default, skip_serializing_if = "Option::is_none")]
    pub screwdriver_build: Option<ScrewdriverBuild>,
    /// Limits of its own; none is longer than its executor's.
    #[serde(default, skip_serializing_if = "BuildClocks::is_empty")]
    pub clocks: BuildClocks,
    /// The pipeline that the build belongs to, for people and for fairness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// The job of that pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
}

/// A build as Screwdriver knows it: what its launcher must be told. Its token is not among these: it is made at launch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrewdriverBuild {
    /// The build's id there.
    #[serde(deserialize_with = "text")]
    pub id: String,
    /// The address of Screwdriver's API.
    pub api: String,
    /// The address of its store.
    pub store: String,
    /// The address of its user interface.
    pub ui: String,
    /// The pipeline's id.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "scalar")]
    pub pipeline: Option<String>,
    /// The job's id.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "scalar")]
    pub job: Option<String>,
    /// The event's id.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "scalar")]
    pub event: Option<String>,
}

/// One step of a build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What the step is called.
    pub name: String,
    /// The shell text that it runs.
    pub run: String,
    /// Whether it runs in any case, also after a step that failed and when the build is told to end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub always: bool,
}

/// How one step of a build ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEnd {
    /// What the step is called.
    pub name: String,
    /// The code that it returned.
    pub code: i32,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// A secret by name: never its value. It becomes a variable or a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretRef {
    /// The Secret's name.
    pub name: String,
    /// The key in it; without one, and only for files, every key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The variable that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// The file or, without a key, the folder that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// How long a build may wait and be torn down, where that is to be less than its executor lets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildClocks {
    /// Routed to bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<TimeLimit>,
    /// Bound to running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<TimeLimit>,
    /// Delete asked to gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teardown: Option<TimeLimit>,
}

impl BuildClocks {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A build that cannot be run as it is described.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("customData.build{}: {rule}", if path.is_empty() || path == "." { String::new() } else { format!(".{path}") })]
pub struct InvalidBuild {
    /// Which field, for example `steps[0].run`.
    pub path: String,
    /// What it breaks.
    pub rule: String,
}

const PREFIXES: [&str; 2] = ["screwdriver.cd/", "beta.screwdriver.cd/"];

impl BuildSpec {
    /// Reads and checks a build.
    ///
    /// # Errors
    /// When a key is unknown, missing or of the wrong type, or when a value breaks its rule.
    pub fn parse(json: &str) -> Result<Self, InvalidBuild> {
        serde_json::from_str::<Self>(json).or_else(|_| Self::parse_again(json))?.checked()
    }

    /// Checks a build that was read as a part of something else.
    ///
    /// # Errors
    /// When a value breaks its rule.
    pub fn checked(self) -> Result<Self, InvalidBuild> {
        self.check().map(|()| self)
    }

    /// Reads with an eye on where an error is, which is slower.
    fn parse_again(json: &str) -> Result<Self, InvalidBuild> {
        serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(json))
            .map_err(|error| InvalidBuild { path: error.path().to_string(), rule: error.inner().to_string() })
    }

    /// The value of a Screwdriver annotation, for example `executor`, with either prefix.
    #[must_use]
    pub fn screwdriver(&self, name: &str) -> Option<&str> {
        let of = |prefix| self.annotations.iter().find(move |(key, _)| key.strip_prefix(prefix) == Some(name));
        PREFIXES.iter().find_map(|prefix| of(*prefix)).map(|(_, value)| value.as_str())
    }

    /// Annotations that are not Screwdriver's.
    pub fn foreign_annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        foreign(self.annotations.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }
}

fn foreign<'a>(annotations: impl Iterator<Item = (&'a str, &'a str)>) -> impl Iterator<Item = (&'a str, &'a str)> {
    annotations.filter(|(key, _)| !PREFIXES.iter().any(|prefix| key.starts_with(prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> String {
        BuildSpec::parse(json).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_build_is_read() {
        let spec = BuildSpec::parse(
            r#"{"image": "node:20", "steps": [{"name": "test", "run": "npm test"}], "env": {"CI": true}, "cpu": 8, "ram": "HIGH", "timeout": "20s",
                "annotations": {"screwdriver.cd/executor": "k8s", "dev.switchyard/run-for": "1s"}, "pipeline": "p", "job": "main"}"#,
        )
        .unwrap();
        assert_eq!(spec.cpu.as_deref(), Some("8"));
        assert_eq!(spec.env["CI"], "true");
        assert_eq!((spec.screwdriver("executor"), spec.view().asked_executor()), (Some("k8s"), Some("k8s")));
        assert_eq!(spec.foreign_annotations().collect::<Vec<_>>(), [("dev.switchyard/run-for", "1s")]);
        assert_eq!(BuildSpec::parse(&serde_json::to_string(&spec).unwrap()), Ok(spec));
    }

    #[test]
    fn an_error_names_the_field_and_the_rule() {
        assert!(
            refusal(r#"{"image": "a", "imag": 1}"#).starts_with("customData.build.imag: unknown field"),
            "{}",
            refusal(r#"{"image": "a", "imag": 1}"#)
        );
        assert!(refusal("{}").contains("missing field `image`"));
        assert!(
            refusal(r#"{"image": "a", "steps": [{"name": "x", "run": " "}]}"#)
                .starts_with("customData.build.steps[0].run: must be shell text")
        );
        assert!(
            refusal(r#"{"image": "a", "steps": [{"name": "x"}]}"#).starts_with("customData.build.steps[0]: missing field `run`")
        );
        assert!(refusal(r#"{"image": "a", "cpu": "lots"}"#).starts_with("customData.build.cpu: \"lots\" is neither a class"));
        assert!(refusal(r#"{"image": "a", "env": {"1A": "x"}}"#).starts_with("customData.build.env.1A"));
        assert!(refusal(r#"{"image": "a b"}"#).starts_with("customData.build.image"));
        assert!(refusal(r#"{"image": "a", "timeout": 0}"#).starts_with("customData.build.timeout"));
    }

    #[test]
    fn a_build_of_screwdrivers_says_where_its_screwdriver_is() {
        let with = |id: &str, api: &str, more: &str| {
            BuildSpec::parse(&format!(
                r#"{{"image": "a", "screwdriver": {{"id": {id}, "api": "{api}", "store": "https://s", "ui": "https://u"}}{more}}}"#
            ))
        };
        assert_eq!(with("111", "https://a", "").unwrap().screwdriver_build.unwrap().id, "111");
        for (id, api, more, wanted) in [
            ("\"a b\"", "https://a", "", "screwdriver.id: must be an id"),
            ("1", "ftp://a", "", "screwdriver.api: must be an address"),
            ("1", "https://a", r#", "steps": [{"name": "a", "run": "b"}]"#, "steps: a build of Screwdriver's"),
        ] {
            let error = with(id, api, more).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn a_secret_is_a_name_and_a_place() {
        let with = |secret: &str| BuildSpec::parse(&format!(r#"{{"image": "a", "secrets": [{secret}]}}"#));
        assert!(with(r#"{"name": "npm", "key": "token", "env": "NPM_TOKEN"}"#).is_ok());
        assert!(with(r#"{"name": "ca", "path": "/run/ca"}"#).is_ok());
        for (secret, wanted) in [
            (r#"{"name": "npm", "env": "A"}"#, "secrets[0]: a variable needs the key"),
            (r#"{"name": "npm", "key": "k"}"#, "secrets[0]: must have exactly one of env and path"),
            (r#"{"name": "npm", "path": "/a/../etc"}"#, "secrets[0].path: must begin with /"),
            (r#"{"name": "../npm", "path": "/a"}"#, "secrets[0].name: must be the name of a Secret"),
            (r#"{"name": "npm", "value": "x"}"#, "secrets[0].value: unknown field"),
        ] {
            let error = with(secret).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn wrong_annotations_are_named() {
        let with = |annotation: &str| refusal(&format!(r#"{{"image": "a", "annotations": {annotation}}}"#));
        assert!(
            with(r#"{"screwdriver.cd/timeout": "soon"}"#)
                .contains("annotations.screwdriver.cd/timeout: \"soon\" is not a time limit")
        );
        assert!(with(r#"{"not a key": "x"}"#).contains("annotations.not a key: not an annotation key"));
        assert!(with(r#"{"a": ["x"]}"#).contains("must map names to texts"));
    }

    #[test]
    fn a_timeout_beats_the_annotation_and_a_bare_number_is_minutes() {
        let asked = |json: &str| BuildSpec::parse(json).unwrap().view().asked_timeout().unwrap();
        assert_eq!(asked(r#"{"image": "a", "annotations": {"beta.screwdriver.cd/timeout": 5}}"#), Some(TimeLimit::minutes(5)));
        assert_eq!(
            asked(r#"{"image": "a", "timeout": "20s", "annotations": {"screwdriver.cd/timeout": 5}}"#),
            Some(TimeLimit::seconds(20))
        );
        assert_eq!(asked(r#"{"image": "a"}"#), None);
    }
}
