//! The fleet file as it is written: its keys and nothing else. Every unknown key is an error.

use std::{collections::BTreeMap, num::NonZeroU16, path::PathBuf};

use serde_json::{Value, json};
use switchyard_events::TimeLimit;
use switchyard_file::{Content, Node, Place, Problems, Read, Version, entries, keys, words};

use crate::{
    Bytes, Exclusion, Fusebox, Glob, KubernetesOptions, Plugin, ProcessLimits, RequestRetry, Sizes, Toleration, Volume, Weight,
};

keys! {
    /// The fleet of Switchyard: executors, clocks, tenants.
    pub(crate) struct File {
        /// The file's layout: 1.
        _version: Version = "version",
        /// Screwdriver's `executor` block, unchanged.
        executor: ExecutorBlock = "executor",
        /// The clusters that executors are in, by name.
        clusters: BTreeMap<String, Cluster> = "clusters",
        /// What Switchyard adds to an executor of that name.
        executors: BTreeMap<String, Addition> = "executors",
        /// What is always drawn the same: `build`, `job` or `pipeline`.
        stickiness: Stickiness = "stickiness" or Stickiness::Build,
        /// How long each phase of a build may take.
        clocks: Clocks = "clocks",
        /// What the builds of a publisher may ask for.
        tenants: BTreeMap<String, Tenant> = "tenants",
    }
}

/// What is always drawn the same executor, as long as that is eligible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stickiness {
    /// Each build for itself.
    #[default]
    Build,
    /// All builds of a job.
    Job,
    /// All builds of a pipeline.
    Pipeline,
}

words! { Stickiness { "build" => Self::Build, "job" => Self::Job, "pipeline" => Self::Pipeline, } }

/// Screwdriver's `executor` block: the default's name under `plugin`, beside the executors by name, in the file's order.
pub(crate) struct ExecutorBlock {
    pub(crate) default: Option<(String, usize)>,
    pub(crate) executors: Vec<(String, usize, Entry)>,
    pub(crate) line: usize,
}

impl Read for ExecutorBlock {
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        let mut block = Self { default: None, executors: Vec::new(), line: node.line };
        for (key, value) in entries(node, at, problems)? {
            let place = at.key(&key.text);
            if key.text != "plugin" {
                block.executors.extend(Entry::read(value, &place, problems).map(|entry| (key.text.clone(), key.line, entry)));
            } else if let Content::Text(name) = &value.content {
                block.default = Some((name.clone(), value.line));
            } else {
                problems.add(&place, value.line, format!("the name of the default executor is expected, not {}", value.kind()));
                block.default = Some((String::new(), 0));
            }
        }
        Some(block)
    }

    fn schema() -> Value {
        json!({
            "type": "object", "required": ["plugin"],
            "properties": {"plugin": {"type": "string", "description": "The default executor: it takes what no weighted executor may have."}},
            "additionalProperties": Entry::schema(),
        })
    }
}

keys! {
    /// An executor of Screwdriver's block.
    pub(crate) struct Entry {
        /// What runs the builds: `kubernetes` (or `k8s…`) or `process`; without it, the executor's name.
        plugin: Option<String> = "pluginName" | "plugin",
        /// Its share of the builds that name no executor; decimals are exact; 0 takes no part in the draw.
        weightage: Weight = "weightage" or Weight::default(),
        /// What it refuses: regular expressions over the image reference, or parts of the request by name.
        exclusions: Vec<Exclusion> = "exclusions" | "exclusion",
        /// How it runs builds.
        options: Options = "options",
    }
}

keys! {
    /// Screwdriver's options of an executor.
    #[derive(Clone, Debug, PartialEq)]
    pub(crate) struct Options {
        /// How it makes pods.
        kubernetes: KubernetesOptions = "kubernetes",
        /// The image of Screwdriver's launcher, which Screwdriver's own builds run under.
        launch_image: String = "launchImage" or "screwdrivercd/launcher".to_owned(),
        /// Its tag.
        launch_version: String = "launchVersion" or "stable".to_owned(),
        /// What stands before the build's id in names.
        prefix: Option<String> = "prefix",
        /// Whether the launcher installs Habitat.
        sd_hab_enabled: bool = "sdHabEnabled" or true,
        /// The circuit breaker.
        fusebox: Fusebox = "fusebox",
        /// How calls are tried again.
        request_retry: RequestRetry = "requestretry",
    }
    inert {
        "ecosystem" => "Screwdriver's own addresses and its disk cache are not used here",
    }
}

keys! {
    /// What Switchyard adds to an executor.
    pub(crate) struct Addition {
        /// The cluster, by its name under `clusters`.
        cluster: Option<String> = "cluster",
        /// The kubeconfig of the cluster: a file, or `{secret: NAME}`.
        kubeconfig: Option<Kubeconfig> = "kubeconfig",
        /// The namespace of the pods, over `jobsNamespace` and the cluster's own.
        namespace: Option<String> = "namespace",
        /// The most builds at once.
        slots: Option<NonZeroU16> = "slots",
        /// How long each phase of its builds may take, where that is not as for all.
        clocks: ExecutorClocks = "clocks",
        /// Where people read what a build says: an address, in which `{build}`, `{attempt}` and `{uid}` are replaced.
        logs: Option<String> = "logs",
        /// Whether only builds go there that name it.
        opt_in: bool = "optIn" or false,
        /// Whether it is to become empty: what is there goes on, nothing new begins, and what waits for it goes elsewhere.
        drain: bool = "drain" or false,
        /// Taints that its pods tolerate, beside those of `nodeSelectors`.
        tolerations: Vec<Toleration> = "tolerations",
        /// Secrets with which images are pulled, beside `imagePullSecretName`.
        image_pull_secrets: Vec<String> = "imagePullSecrets",
        /// Ephemeral storage of each class of `screwdriver.cd/disk`; without it, none is asked for.
        disk: Option<Sizes<Bytes>> = "disk",
        /// What every build finds at a path.
        volumes: Vec<Volume> = "volumes",
        /// `process` only: whether builds that name an image run without it.
        ignore_image: bool = "ignoreImage" or false,
        /// `process` only: where builds are kept, each executor in a folder of its name.
        folder: Option<PathBuf> = "folder",
        /// `process` only: how long a build that was told to end may take, before it is killed.
        termination_grace: TimeLimit = "terminationGrace" or TimeLimit::seconds(30),
        /// `process` only: what each process of a build may use.
        limits: ProcessLimits = "limits",
    }
}

impl Addition {
    /// The keys that have no effect where `plugin` runs the builds.
    pub(crate) const fn misplaced(plugin: Plugin) -> &'static [&'static str] {
        match plugin {
            Plugin::Kubernetes => &["ignoreImage", "folder", "terminationGrace", "limits"],
            Plugin::Process => &["cluster", "kubeconfig", "namespace", "tolerations", "imagePullSecrets", "disk", "volumes"],
        }
    }
}

keys! {
    /// A cluster that executors are in.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Cluster {
        /// How it is spoken to: a kubeconfig's file, or `{secret: NAME}`.
        kubeconfig: Option<Kubeconfig> = "kubeconfig",
        /// The namespace of the pods, where the executor names none.
        namespace: Option<String> = "namespace",
    }
}

/// Where the kubeconfig of a cluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kubeconfig {
    /// A file.
    File(PathBuf),
    /// The key `kubeconfig` of a Secret that is mounted as a folder of its name.
    Secret(String),
}

keys! {
    /// A Secret by name.
    struct NamedSecret {
        /// Its name.
        secret: String = "secret",
    }
}

impl Read for Kubeconfig {
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        match &node.content {
            Content::Text(path) => Some(Self::File(path.into())),
            Content::Null | Content::List(_) | Content::Map(_) => {
                NamedSecret::read(node, at, problems).map(|named| Self::Secret(named.secret))
            }
        }
    }

    fn schema() -> Value {
        json!({"anyOf": [{"type": "string"}, NamedSecret::schema()]})
    }
}

keys! {
    /// How long each phase of a build may take. The running phase is the executor's own (`buildTimeout`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Clocks {
        /// Routed to bound: how long a build may wait for a launcher.
        queued: TimeLimit = "queued" or TimeLimit::minutes(8 * 60),
        /// Routed and unbound so long: another executor is looked for.
        reroute_after: TimeLimit = "rerouteAfter" or TimeLimit::minutes(2),
        /// Bound to running: scheduling, image pull, start of the virtual machine.
        pending: TimeLimit = "pending" or TimeLimit::minutes(10),
        /// Delete asked to pod gone.
        teardown: TimeLimit = "teardown" or TimeLimit::minutes(5),
        /// Added to the node's own deadline, so that ours comes first.
        grace: TimeLimit = "grace" or TimeLimit::seconds(60),
        /// How long an ended pod is kept for its logs.
        linger: TimeLimit = "linger" or TimeLimit::minutes(10),
    }
}

keys! {
    /// How long each phase of an executor's builds may take, where that is not as for all.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct ExecutorClocks {
        /// Routed to bound: how long a build may wait for a launcher.
        queued: Option<TimeLimit> = "queued",
        /// Bound to running: scheduling, image pull, start of the virtual machine.
        pending: Option<TimeLimit> = "pending",
        /// Delete asked to pod gone.
        teardown: Option<TimeLimit> = "teardown",
        /// Added to the node's own deadline, so that ours comes first.
        grace: Option<TimeLimit> = "grace",
        /// How long an ended pod is kept for its logs.
        linger: Option<TimeLimit> = "linger",
    }
}

keys! {
    /// What the builds of a publisher may ask for.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Tenant {
        /// The executors that it may use; without the key, every one.
        executors: Option<Vec<String>> = "executors",
        /// The images that it may run; without the key, every one.
        images: Option<Vec<Glob>> = "images",
        /// The Secrets that its builds may use.
        secrets: Vec<Glob> = "secrets",
        /// The annotations of its own that its builds may put on their pods.
        annotations: Vec<Glob> = "annotations",
        /// The most builds at once.
        running: Option<u32> = "running",
    }
}
