//! One named place where builds run, as the fleet file describes it.

use std::{
    collections::BTreeMap,
    fmt,
    num::{NonZeroU16, NonZeroU32},
    path::PathBuf,
};

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use switchyard_events::TimeLimit;

use crate::{Bytes, Resources, Weight};

/// A named place where builds run.
#[derive(Clone, Debug)]
pub struct Executor {
    /// Its name: a token of subjects and a label's value.
    pub name: String,
    /// What runs the builds.
    pub plugin: Plugin,
    /// Its share of the builds that name no executor.
    pub weightage: Weight,
    /// The images that it refuses.
    pub exclusions: Exclusions,
    /// How it makes pods; of no effect for other plugins.
    pub kubernetes: KubernetesOptions,
    /// How it runs processes; of no effect for other plugins.
    pub process: ProcessOptions,
    /// How long a build may run that asks for nothing.
    pub build_timeout: TimeLimit,
    /// The most that any build may run.
    pub max_build_timeout: TimeLimit,
    /// Options of Screwdriver's that have no effect here, as they are written.
    pub kept: BTreeMap<&'static str, Value>,
}

/// What runs the builds of an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// A pod on a cluster.
    Kubernetes,
    /// Child processes of this machine, with no isolation.
    Process,
}

/// How an executor makes pods. The names are Screwdriver's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesOptions {
    /// The cluster's kubeconfig; without one, the pod's own service account or the user's default.
    pub kubeconfig: Option<PathBuf>,
    /// Where pods are created.
    pub namespace: String,
    /// The runtime class, `kata` for instance; never replaced by another where it does not exist.
    pub runtime_class: Option<String>,
    /// Labels that a node must have; each is tolerated as a taint `NoSchedule` too.
    pub node_selectors: BTreeMap<String, String>,
    /// What builds may ask for.
    pub resources: Resources,
    /// How long an ended build may take to go, once it was told.
    pub termination_grace_period_seconds: u32,
    /// The service account; its token is never mounted.
    pub service_account: String,
    /// When the image is pulled.
    pub image_pull_policy: ImagePullPolicy,
    /// Kubernetes' `dnsPolicy`.
    pub dns_policy: String,
    /// Labels of every pod.
    pub pod_labels: BTreeMap<String, String>,
    /// Annotations of every pod.
    pub annotations: BTreeMap<String, String>,
}

/// How an executor runs builds as processes of this machine, with no isolation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessOptions {
    /// Whether the steps of a build that names an image run without it. Else such a build is refused.
    pub ignore_image: bool,
    /// Where builds are kept, each executor in a folder of its name; without one, the launcher's and the reaper's own default.
    pub folder: Option<PathBuf>,
    /// How many builds may be there at once; without a number, as many as the machine has processors.
    pub slots: Option<NonZeroU16>,
    /// How long an ended build may take to go, once it was told.
    pub termination_grace: TimeLimit,
    /// What each process of a build may use.
    pub limits: ProcessLimits,
}

/// What each process of a build may use, beside the memory that the build asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ProcessLimits {
    /// The largest file that it may write.
    pub file_size: Option<Bytes>,
    /// How many files it may have open at once.
    pub open_files: Option<NonZeroU32>,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ImagePullPolicy {
    /// For every build.
    #[default]
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// Not at all.
    Never,
}

/// The images that an executor refuses: regular expressions over the whole image reference, anywhere in it, in any case.
#[derive(Clone, Debug, Default)]
pub struct Exclusions(Vec<Regex>);

/// No pattern compiles to more than this: a pattern is the operator's, but a typing error should not cost a gigabyte.
const LARGEST_PATTERN: usize = 1 << 20;

impl Exclusions {
    /// The pattern that refuses `image`, if one does.
    #[must_use]
    pub fn matches(&self, image: &str) -> Option<&str> {
        self.0.iter().find(|pattern| pattern.is_match(image)).map(Regex::as_str)
    }

    /// Every pattern, as it is written.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Regex::as_str)
    }
}

impl PartialEq for Exclusions {
    fn eq(&self, other: &Self) -> bool {
        self.patterns().eq(other.patterns())
    }
}

impl<'de> Deserialize<'de> for Exclusions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Pattern>::deserialize(deserializer).map(|patterns| Self(patterns.into_iter().map(|pattern| pattern.0).collect()))
    }
}

/// One exclusion: an element of its own, so that an error names its place in the list.
struct Pattern(Regex);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let built = RegexBuilder::new(&text).case_insensitive(true).size_limit(LARGEST_PATTERN).build();
        built.map(Self).map_err(|error| {
            // The crate draws the pattern over several lines; its last line says what is wrong.
            let words = error.to_string();
            let why = words.lines().last().unwrap_or_default().trim_start_matches("error: ");
            de::Error::custom(format_args!("{text:?} is not a regular expression: {why}"))
        })
    }
}

impl Plugin {
    /// The plugin of that name; everything that begins with `k8s` is Kubernetes, as in Screwdriver.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "process" => Some(Self::Process),
            "kubernetes" => Some(Self::Kubernetes),
            name if name.starts_with("k8s") => Some(Self::Kubernetes),
            _ => None,
        }
    }
}

impl fmt::Display for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kubernetes => "kubernetes",
            Self::Process => "process",
        })
    }
}

impl ImagePullPolicy {
    /// As Kubernetes writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exclusions(yaml: &str) -> Exclusions {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn an_exclusion_is_found_anywhere_in_the_image_and_in_any_case() {
        let exclusions = exclusions("['rhel6', '^internal/']");
        assert_eq!(exclusions.matches("registry.example.com:4443/sd/arya-RHEL6:latest"), Some("rhel6"));
        assert_eq!(exclusions.matches("internal/tool"), Some("^internal/"));
        assert_eq!(exclusions.matches("node:20"), None);
        assert_eq!(Exclusions::default().matches("rhel6"), None);
    }
}
