//! The fleet file as it is written: its keys and nothing else. Every unknown key is an error.

use std::{collections::BTreeMap, fmt, num::NonZeroU16, path::PathBuf};

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use switchyard_events::TimeLimit;

use crate::{Bytes, Exclusions, ImagePullPolicy, Millicores, Plugin, ProcessLimits, Weight};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    #[serde(rename = "version")]
    _version: Version,
    pub(crate) executor: ExecutorBlock,
    #[serde(default)]
    pub(crate) executors: BTreeMap<String, Addition>,
    #[serde(default)]
    pub(crate) clocks: Clocks,
    #[serde(default)]
    pub(crate) tenants: BTreeMap<String, Tenant>,
}

/// The file's layout: 1.
pub(crate) struct Version;

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(de::Error::custom(format_args!("version {other} is not known here: this release reads 1"))),
        }
    }
}

/// Screwdriver's `executor` block: the default's name under `plugin`, beside the executors by name, in the file's order.
pub(crate) struct ExecutorBlock {
    pub(crate) default: Option<String>,
    pub(crate) executors: Vec<(String, Entry)>,
}

impl<'de> Deserialize<'de> for ExecutorBlock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ExecutorBlock;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`plugin` and executors by name")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<ExecutorBlock, A::Error> {
                let mut block = ExecutorBlock { default: None, executors: Vec::new() };
                while let Some(key) = map.next_key::<String>()? {
                    if key == "plugin" {
                        block.default = Some(map.next_value()?);
                    } else {
                        block.executors.push((key, map.next_value()?));
                    }
                }
                Ok(block)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    #[serde(rename = "pluginName", alias = "plugin")]
    pub(crate) plugin: Option<String>,
    #[serde(default)]
    pub(crate) weightage: Weight,
    #[serde(default, alias = "exclusion")]
    pub(crate) exclusions: Exclusions,
    #[serde(default)]
    pub(crate) options: Options,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Options {
    pub(crate) kubernetes: Kubernetes,
    launch_image: Option<Value>,
    launch_version: Option<Value>,
    prefix: Option<Value>,
    sd_hab_enabled: Option<Value>,
    fusebox: Option<Value>,
    requestretry: Option<Value>,
    ecosystem: Option<Value>,
}

impl Options {
    /// What a Screwdriver file has beside `kubernetes`.
    pub(crate) fn kept(&mut self) -> BTreeMap<&'static str, Value> {
        let beside = [
            ("launchImage", self.launch_image.take()),
            ("launchVersion", self.launch_version.take()),
            ("prefix", self.prefix.take()),
            ("sdHabEnabled", self.sd_hab_enabled.take()),
            ("fusebox", self.fusebox.take()),
            ("requestretry", self.requestretry.take()),
            ("ecosystem", self.ecosystem.take()),
            ("kubernetes.resources.disk", self.kubernetes.resources.disk.take()),
        ];
        beside.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Kubernetes {
    pub(crate) runtime_class: Option<String>,
    pub(crate) jobs_namespace: Option<String>,
    pub(crate) node_selectors: BTreeMap<String, String>,
    pub(crate) build_timeout: Option<TimeLimit>,
    pub(crate) max_build_timeout: Option<TimeLimit>,
    pub(crate) resources: ResourceClasses,
    pub(crate) termination_grace_period_seconds: Option<u32>,
    pub(crate) service_account: Option<String>,
    pub(crate) image_pull_policy: ImagePullPolicy,
    pub(crate) dns_policy: Option<String>,
    pub(crate) pod_labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ResourceClasses {
    pub(crate) cpu: Classes<Millicores>,
    pub(crate) memory: Classes<Bytes>,
    disk: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Classes<T> {
    pub(crate) micro: Option<T>,
    pub(crate) low: Option<T>,
    pub(crate) high: Option<T>,
    pub(crate) turbo: Option<T>,
    pub(crate) max: Option<T>,
}

impl<T> Default for Classes<T> {
    fn default() -> Self {
        Self { micro: None, low: None, high: None, turbo: None, max: None }
    }
}

/// What Switchyard adds to an executor: the first two where builds are pods, the others where they are processes.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Addition {
    pub(crate) kubeconfig: Option<PathBuf>,
    pub(crate) namespace: Option<String>,
    pub(crate) ignore_image: Option<bool>,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) slots: Option<NonZeroU16>,
    pub(crate) termination_grace: Option<TimeLimit>,
    pub(crate) limits: Option<ProcessLimits>,
}

impl Addition {
    /// A key that has no effect where `plugin` runs the builds.
    pub(crate) fn misplaced(&self, plugin: Plugin) -> Option<&'static str> {
        let pods = [("kubeconfig", self.kubeconfig.is_some()), ("namespace", self.namespace.is_some())];
        let processes = [
            ("ignoreImage", self.ignore_image.is_some()),
            ("folder", self.folder.is_some()),
            ("slots", self.slots.is_some()),
            ("terminationGrace", self.termination_grace.is_some()),
            ("limits", self.limits.is_some()),
        ];
        let others: &[_] = match plugin {
            Plugin::Kubernetes => &processes,
            Plugin::Process => &pods,
        };
        others.iter().find(|(_, given)| *given).map(|(key, _)| *key)
    }
}

/// How long each phase of a build may take. The running phase is the executor's own (`buildTimeout`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clocks {
    /// Routed to bound: how long a build may wait for a launcher.
    pub queued: TimeLimit,
    /// Bound to running: scheduling, image pull, start of the virtual machine.
    pub pending: TimeLimit,
    /// Delete asked to pod gone.
    pub teardown: TimeLimit,
    /// Added to the node's own deadline, so that ours comes first.
    pub grace: TimeLimit,
    /// How long an ended pod is kept for its logs.
    pub linger: TimeLimit,
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            queued: TimeLimit::minutes(8 * 60),
            pending: TimeLimit::minutes(10),
            teardown: TimeLimit::minutes(5),
            grace: TimeLimit::seconds(60),
            linger: TimeLimit::minutes(10),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tenant {
    /// Keys of annotations, or `prefix/*`.
    pub(crate) annotations: Vec<String>,
}
