//! One named place where builds run, as the fleet file describes it.

use std::{
    fmt,
    num::{NonZeroU16, NonZeroU32},
    path::PathBuf,
};

use switchyard_events::TimeLimit;
use switchyard_file::keys;

use crate::{
    Bytes, Exclusion, ExecutorClocks, Fusebox, Kubeconfig, KubernetesOptions, RequestRetry, Sizes, Toleration, Volume, Wanted,
    Weight,
};

/// A named place where builds run.
#[derive(Clone, Debug, PartialEq)]
pub struct Executor {
    /// Its name: a token of subjects and a label's value.
    pub name: String,
    /// What runs the builds.
    pub plugin: Plugin,
    /// Its share of the builds that name no executor.
    pub weightage: Weight,
    /// Whether only builds go there that name it.
    pub opt_in: bool,
    /// Whether it is to become empty: what is there goes on, and nothing new begins.
    pub draining: bool,
    /// What it refuses.
    pub exclusions: Vec<Exclusion>,
    /// The most builds at once; without it, no limit of ours on a cluster.
    pub slots: Option<NonZeroU16>,
    /// The cluster's kubeconfig; without one, the pod's own service account or the user's default.
    pub kubeconfig: Option<Kubeconfig>,
    /// How it makes pods; of no effect for other plugins.
    pub kubernetes: KubernetesOptions,
    /// Taints that its pods tolerate, beside those of `nodeSelectors`.
    pub tolerations: Vec<Toleration>,
    /// The Secrets with which images are pulled.
    pub image_pull_secrets: Vec<String>,
    /// Ephemeral storage by class, if any is asked for.
    pub disk: Option<Sizes<Bytes>>,
    /// What every build finds at a path.
    pub volumes: Vec<Volume>,
    /// How it runs processes; of no effect for other plugins.
    pub process: ProcessOptions,
    /// Where people read what a build says: an address, in which `{build}`, `{attempt}` and `{uid}` are replaced.
    pub logs: Option<String>,
    /// How long the other phases may take, where that is not as for all.
    pub clocks: ExecutorClocks,
    /// How long a build may run that asks for nothing.
    pub build_timeout: TimeLimit,
    /// The most that any build may run.
    pub max_build_timeout: TimeLimit,
    /// Under what Screwdriver's own builds run.
    pub screwdriver: Screwdriver,
    /// When calls to the cluster are given up for a while, and how often they are tried again until then.
    pub fusebox: Fusebox,
    /// How calls are tried again.
    pub request_retry: RequestRetry,
}

/// Screwdriver's launcher, under which its own builds run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screwdriver {
    /// The launcher's image.
    pub launch_image: String,
    /// Its tag.
    pub launch_version: String,
    /// What stands before the build's id in names; empty for nothing.
    pub prefix: String,
    /// Whether the launcher installs Habitat.
    pub hab_enabled: bool,
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

keys! {
    /// What each process of a build may use, beside the memory that the build asks for.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct ProcessLimits {
        /// The largest file that it may write.
        file_size: Option<Bytes> = "fileSize",
        /// How many files it may have open at once.
        open_files: Option<NonZeroU32> = "openFiles",
    }
}

/// What runs the builds of an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// A pod on a cluster.
    Kubernetes,
    /// Child processes of this machine, with no isolation.
    Process,
}

impl Executor {
    /// The exclusion that refuses what is wanted, if one does.
    #[must_use]
    pub fn excludes(&self, wanted: &Wanted<'_>) -> Option<&Exclusion> {
        self.exclusions.iter().find(|exclusion| exclusion.matches(wanted))
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
