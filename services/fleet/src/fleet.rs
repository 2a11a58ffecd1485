//! The fleet: what the file says, checked as a whole.

use std::collections::BTreeMap;

use data_encoding::BASE32_NOPAD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use switchyard_events::{Limits, TimeLimit};

use crate::{
    Clocks, Executor, InvalidFleet, KubernetesOptions, Plugin, ProcessOptions, Resources, Sizes,
    file::{Addition, Classes, Entry, File, Tenant},
};

/// Every executor, the clocks and the tenants, as one file describes them.
#[derive(Clone, Debug)]
pub struct Fleet {
    executors: Vec<Executor>,
    default: usize,
    clocks: Clocks,
    annotations: BTreeMap<String, Vec<String>>,
    revision: String,
}

/// Annotations that are ours alone: no tenant's file entry opens them.
const PROTECTED: &str = "switchyard.dev/";

impl Fleet {
    /// Reads and checks a fleet file.
    ///
    /// # Errors
    /// When a key is unknown, missing, given twice or of the wrong type, a value breaks its rule, or a name has nothing behind it.
    pub fn parse(yaml: &str) -> Result<Self, InvalidFleet> {
        let file = read(yaml)?;
        let revision = revision(yaml)?;
        let mut additions = file.executors;
        let mut executors = Vec::with_capacity(file.executor.executors.len());
        for (name, entry) in file.executor.executors {
            let addition = additions.remove(&name).unwrap_or_default();
            executors.push(executor(name, entry, addition)?);
        }
        if let Some(name) = additions.into_keys().next() {
            return Err(InvalidFleet::new(format!("executors.{name}"), "there is no such executor under `executor`"));
        }
        let default = default_of(&executors, file.executor.default.as_deref())?;
        check_clocks(&file.clocks)?;
        Ok(Self { executors, default, clocks: file.clocks, annotations: annotations(file.tenants)?, revision })
    }

    /// The executors, in the file's order.
    #[must_use]
    pub fn executors(&self) -> &[Executor] {
        &self.executors
    }

    /// The executor of that name.
    #[must_use]
    pub fn executor(&self, name: &str) -> Option<&Executor> {
        self.executors.iter().find(|executor| executor.name == name)
    }

    /// Where a build goes that no weighted executor takes.
    #[must_use]
    pub fn default_executor(&self) -> &Executor {
        &self.executors[self.default]
    }

    /// How long each phase may take.
    #[must_use]
    pub const fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// The limits of one attempt on `executor` for a build that asks for `asked`.
    #[must_use]
    pub fn limits(&self, executor: &Executor, asked: Option<TimeLimit>) -> Limits {
        let Clocks { queued, pending, teardown, grace, linger } = self.clocks;
        let running_max = executor.max_build_timeout;
        let running = asked.unwrap_or(executor.build_timeout).min(running_max);
        Limits { queued, pending, running, running_max, teardown, grace, linger }
    }

    /// Whether builds of `tenant` may put the annotation `key` on their pod. Nobody may set `switchyard.dev/…`.
    #[must_use]
    pub fn allows_annotation(&self, tenant: &str, key: &str) -> bool {
        let allows = |pattern: &String| match pattern.strip_suffix('*') {
            Some(prefix) => key.len() > prefix.len() && key.starts_with(prefix),
            None => key == pattern,
        };
        !key.starts_with(PROTECTED) && self.annotations.get(tenant).is_some_and(|patterns| patterns.iter().any(allows))
    }

    /// A name for this content: 16 characters, the same whatever the order of the keys, the comments and the layout.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }
}

fn read(yaml: &str) -> Result<File, InvalidFleet> {
    let mut track = serde_path_to_error::Track::new();
    let read = serde_saphyr::with_deserializer_from_str(yaml, |deserializer| {
        serde::Deserialize::deserialize(serde_path_to_error::Deserializer::new(deserializer, &mut track))
    });
    read.map_err(|error| InvalidFleet::yaml(&track.path().to_string(), &error))
}

fn executor(name: String, entry: Entry, addition: Addition) -> Result<Executor, InvalidFleet> {
    let invalid = |key: &str, rule: &str| InvalidFleet::new(format!("executor.{name}{key}"), rule);
    if !is_name(&name) {
        return Err(invalid("", "a name is 1 to 40 of a-z, A-Z, 0-9, - and _, and begins and ends with a letter or digit"));
    }
    let plugin = Plugin::named(entry.plugin.as_deref().unwrap_or(&name));
    let plugin = plugin.ok_or_else(|| {
        invalid(".pluginName", "must be kubernetes (or k8s…) or process; a name that begins with k8s needs none")
    })?;
    let mut options = entry.options;
    let kept = options.kept();
    let build_timeout = options.kubernetes.build_timeout.unwrap_or(TimeLimit::minutes(90));
    let max_build_timeout = options.kubernetes.max_build_timeout.unwrap_or(TimeLimit::minutes(120));
    for (key, limit) in [("buildTimeout", build_timeout), ("maxBuildTimeout", max_build_timeout)] {
        if limit == TimeLimit::ZERO {
            return Err(invalid(&format!(".options.kubernetes.{key}"), "must be more than 0"));
        }
    }
    if let Some(key) = addition.misplaced(plugin) {
        let rule = format!("has no effect on an executor of plugin {plugin}: take it out");
        return Err(InvalidFleet::new(format!("executors.{name}.{key}"), rule));
    }
    let (process, kubernetes) = (process(&addition), kubernetes(options.kubernetes, addition));
    let Entry { weightage, exclusions, .. } = entry;
    Ok(Executor { name, plugin, weightage, exclusions, kubernetes, process, build_timeout, max_build_timeout, kept })
}

fn process(addition: &Addition) -> ProcessOptions {
    ProcessOptions {
        ignore_image: addition.ignore_image.unwrap_or(false),
        folder: addition.folder.clone(),
        slots: addition.slots,
        termination_grace: addition.termination_grace.unwrap_or(TimeLimit::seconds(30)),
        limits: addition.limits.unwrap_or_default(),
    }
}

fn kubernetes(options: crate::file::Kubernetes, addition: Addition) -> KubernetesOptions {
    let standard = Resources::default();
    let text = |given: Option<String>, standard: &str| given.unwrap_or_else(|| standard.to_owned());
    KubernetesOptions {
        kubeconfig: addition.kubeconfig,
        namespace: text(addition.namespace.or(options.jobs_namespace), "default"),
        runtime_class: options.runtime_class.filter(|class| !class.is_empty()),
        node_selectors: options.node_selectors,
        resources: Resources {
            cpu: sizes(options.resources.cpu, standard.cpu),
            memory: sizes(options.resources.memory, standard.memory),
        },
        termination_grace_period_seconds: options.termination_grace_period_seconds.unwrap_or(30),
        service_account: text(options.service_account, "default"),
        image_pull_policy: options.image_pull_policy,
        dns_policy: text(options.dns_policy, "ClusterFirst"),
        pod_labels: options.pod_labels,
        annotations: options.annotations,
    }
}

fn sizes<T>(given: Classes<T>, standard: Sizes<T>) -> Sizes<T> {
    Sizes {
        micro: given.micro.unwrap_or(standard.micro),
        low: given.low.unwrap_or(standard.low),
        high: given.high.unwrap_or(standard.high),
        turbo: given.turbo.unwrap_or(standard.turbo),
        max: given.max.unwrap_or(standard.max),
    }
}

fn is_name(name: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    name.len() <= 40
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && edge(name.bytes().next())
        && edge(name.bytes().last())
}

fn default_of(executors: &[Executor], name: Option<&str>) -> Result<usize, InvalidFleet> {
    let invalid = |rule: &str| InvalidFleet::new("executor.plugin", rule);
    let known = || executors.iter().map(|executor| executor.name.as_str()).collect::<Vec<_>>().join(", ");
    let name = name.ok_or_else(|| invalid("the default executor is missing"))?;
    executors
        .iter()
        .position(|executor| executor.name == name)
        .ok_or_else(|| invalid(&format!("there is no executor {name:?}; known are: {}", known())))
}

fn check_clocks(clocks: &Clocks) -> Result<(), InvalidFleet> {
    let must_run = [("queued", clocks.queued), ("pending", clocks.pending), ("teardown", clocks.teardown)];
    match must_run.into_iter().find(|(_, limit)| *limit == TimeLimit::ZERO) {
        Some((clock, _)) => Err(InvalidFleet::new(format!("clocks.{clock}"), "must be more than 0")),
        None => Ok(()),
    }
}

fn annotations(tenants: BTreeMap<String, Tenant>) -> Result<BTreeMap<String, Vec<String>>, InvalidFleet> {
    for (name, tenant) in &tenants {
        let wrong = |pattern: &&String| match pattern.strip_suffix('*') {
            Some(prefix) => !prefix.ends_with('/') || prefix.contains('*'),
            None => pattern.is_empty() || pattern.contains('*'),
        };
        if let Some(pattern) = tenant.annotations.iter().find(wrong) {
            let rule = format!("{pattern:?} is neither an annotation's key nor prefix/*");
            return Err(InvalidFleet::new(format!("tenants.{name}.annotations"), rule));
        }
    }
    Ok(tenants.into_iter().map(|(name, tenant)| (name, tenant.annotations)).collect())
}

fn revision(yaml: &str) -> Result<String, InvalidFleet> {
    let content: Value = serde_saphyr::from_str(yaml).map_err(|error| InvalidFleet::yaml("", &error))?;
    let mut canonical = String::with_capacity(yaml.len());
    write_canonical(&content, &mut canonical);
    let mut text = BASE32_NOPAD.encode(&Sha256::digest(canonical)).to_ascii_lowercase();
    text.truncate(16);
    Ok(text)
}

/// JSON with sorted keys, whatever map type the JSON crate was built with.
fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            text.push('{');
            for (key, value) in entries {
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(array) => {
            text.push('[');
            for value in array {
                write_canonical(value, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text.push_str(&value.to_string()),
    }
}
