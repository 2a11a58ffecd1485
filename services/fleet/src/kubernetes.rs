//! How an executor makes pods. The names are Screwdriver's; launching gives them their effect.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use switchyard_file::{Fields, Node, Place, Problems, Read, Word, keys, words};

use crate::{Bytes, Millicores, Sizes};

keys! {
    /// `options.kubernetes` of an executor.
    #[derive(Clone, Debug, PartialEq)]
    pub struct KubernetesOptions {
        /// The namespace of the pods.
        namespace: String = "jobsNamespace" or "default".to_owned(),
        /// The runtime class, `kata` for instance; never replaced by another where it does not exist.
        runtime_class: Option<String> = "runtimeClass",
        /// Labels that a node must have; each is tolerated as a taint `NoSchedule` too.
        node_selectors: BTreeMap<String, String> = "nodeSelectors",
        /// Labels that a node should have.
        preferred_node_selectors: BTreeMap<String, String> = "preferredNodeSelectors",
        /// What builds may ask for.
        resources: Resources = "resources",
        /// How long a build may run that asks for nothing, in minutes.
        build_timeout: switchyard_events::TimeLimit = "buildTimeout" or switchyard_events::TimeLimit::minutes(90),
        /// The most that any build may run, in minutes.
        max_build_timeout: switchyard_events::TimeLimit = "maxBuildTimeout" or switchyard_events::TimeLimit::minutes(120),
        /// How long an ended build may take to go, once it was told.
        termination_grace_period_seconds: u32 = "terminationGracePeriodSeconds" or 30,
        /// The service account.
        service_account: String = "serviceAccount" or "default".to_owned(),
        /// Whether the pod gets the service account's token.
        automount_service_account_token: bool = "automountServiceAccountToken" or false,
        /// When the image is pulled.
        image_pull_policy: ImagePullPolicy = "imagePullPolicy" or ImagePullPolicy::Always,
        /// The Secret with which images are pulled.
        image_pull_secret: Option<String> = "imagePullSecretName",
        /// Kubernetes' `dnsPolicy`.
        dns_policy: DnsPolicy = "dnsPolicy" or DnsPolicy("ClusterFirst"),
        /// Labels of every pod; ours win.
        pod_labels: BTreeMap<String, String> = "podLabels",
        /// Annotations of every pod; ours win.
        annotations: BTreeMap<String, String> = "annotations",
        /// What the build's container runs after its start and before its stop.
        lifecycle_hooks: LifecycleHooks = "lifecycleHooks",
        /// Whether the build's container is privileged; only with a runtime class that is a virtual machine.
        privileged: bool = "privileged" or false,
        /// Whether a build may ask for a Docker daemon beside it (`screwdriver.cd/dockerEnabled`).
        docker_feature_enabled: bool = "dockerFeatureEnabled" or false,
        /// Whether a build may ask for a rootless `BuildKit` beside it (`screwdriver.cd/rootlessBuildkitEnabled`).
        rootless_buildkit_feature_enabled: bool = "rootlessBuildkitFeatureEnabled" or true,
        /// Secrets that every build sees as variables.
        build_secrets: Vec<SecretVariable> = "buildSecrets",
        /// Secrets that every build sees as files.
        build_secrets_file: Vec<SecretFile> = "buildSecretsFile" | "buildSecretFile",
        /// Where Screwdriver finds its cluster: always the one of `executors.<name>.cluster`.
        host: Host = "host" or Host,
    }
    inert {
        "podStatusQueryDelay" => "pods are watched, not polled",
        "baseImage" => "Screwdriver does not use it either",
    }
    refused {
        "token" => "a token does not belong into the fleet file: put it into a kubeconfig and name that under clusters",
        "volumeMounts" => "no folder or device of the node is mounted into a build: use executors.<name>.volumes, which knows claims, secrets, config maps and empty folders",
    }
}

keys! {
    /// What builds may ask of an executor, by class.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Resources {
        /// Cores of each class.
        cpu: Sizes<Millicores> = "cpu" or Sizes::standard(),
        /// Memory of each class; a bare number is GiB.
        memory: Sizes<Bytes> = "memory" or Sizes::standard(),
        /// What Screwdriver knows of disks.
        disk: Disk = "disk",
    }
}

keys! {
    /// Labels of nodes by which Screwdriver chooses disks.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Disk {
        /// The label whose value must be the build's annotation `screwdriver.cd/disk`.
        space: Option<String> = "space",
        /// The label whose value must be the build's annotation `screwdriver.cd/diskSpeed`.
        speed: Option<String> = "speed",
    }
}

keys! {
    /// What the build's container runs after its start and before its stop, as Kubernetes has it.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct LifecycleHooks {
        /// Right after the start.
        post_start: Option<Hook> = "postStart",
        /// Before the container is told to stop.
        pre_stop: Option<Hook> = "preStop",
    }
}

keys! {
    /// One hook: exactly one of its keys.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Hook {
        /// A command.
        exec: Option<Exec> = "exec",
        /// An HTTP request to the container.
        http_get: Option<HttpGet> = "httpGet",
    }
}

keys! {
    /// A command of a hook.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Exec {
        /// Program and arguments; no shell.
        command: Vec<String> = "command",
    }
}

keys! {
    /// An HTTP request of a hook.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct HttpGet {
        /// The path.
        path: String = "path" or "/".to_owned(),
        /// The port.
        port: u32 = "port" or 80,
        /// The host, if it is not the pod.
        host: Option<String> = "host",
        /// `HTTP` or `HTTPS`.
        scheme: Option<String> = "scheme",
    }
}

keys! {
    /// A secret that every build sees as a variable. The spellings are Screwdriver's.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct SecretVariable {
        /// The variable.
        variable: String = "secret_env",
        /// The Secret.
        secret: String = "secret_name",
        /// The key in it.
        key: String = "secret_key",
    }
}

keys! {
    /// A secret that every build sees as files.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct SecretFile {
        /// The volume's name.
        name: String = "name",
        /// Where it is mounted.
        mount_path: String = "mountPath",
        /// The Secret.
        secret: String = "secretName",
        /// Whether it cannot be written; a Secret never can.
        read_only: bool = "readOnly" or true,
    }
}

keys! {
    /// A taint that the pods of an executor tolerate, as Kubernetes has it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Toleration {
        /// The taint's key; without one, every taint.
        key: Option<String> = "key",
        /// `Equal` or `Exists`.
        operator: TolerationOperator = "operator" or TolerationOperator::Equal,
        /// The taint's value, with `Equal`.
        value: Option<String> = "value",
        /// The taint's effect; without one, every effect.
        effect: Option<TaintEffect> = "effect",
        /// For how long, with `NoExecute`.
        toleration_seconds: Option<u32> = "tolerationSeconds",
    }
}

keys! {
    /// Something that every build of an executor finds at a path: exactly one of the last four keys.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Volume {
        /// The volume's name.
        name: String = "name",
        /// Where it is mounted.
        mount_path: String = "mountPath",
        /// Whether builds may not write there.
        read_only: bool = "readOnly" or false,
        /// An empty folder of at most this size.
        empty: Option<Bytes> = "empty",
        /// A persistent volume claim of the pods' namespace.
        claim: Option<String> = "claim",
        /// A Secret of the pods' namespace.
        secret: Option<String> = "secret",
        /// A config map of the pods' namespace.
        config_map: Option<String> = "configMap",
    }
}

keys! {
    /// Screwdriver's circuit breaker.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Fusebox {
        /// When the circuit breaks.
        breaker: Breaker = "breaker",
    }
    inert {
        "retry" => "calls are tried again as requestretry says",
    }
}

keys! {
    /// When calls to a cluster are given up for a while.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Breaker {
        /// How long one call may take, in milliseconds.
        timeout: Duration = "timeout" or Duration::from_secs(10),
        /// So many failures, one after the other, break the circuit.
        max_failures: u32 = "maxFailures" or 5,
        /// After this time one call is tried, in milliseconds. Screwdriver's own 50 ms is no pause at all.
        reset_timeout: Duration = "resetTimeout" or Duration::from_secs(30),
    }
}

keys! {
    /// Screwdriver's `requestretry`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RequestRetry {
        /// The pause between two tries, in milliseconds.
        retry_delay: Duration = "retryDelay" or Duration::from_secs(3),
        /// So many tries.
        max_attempts: u32 = "maxAttempts" or 5,
    }
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImagePullPolicy {
    /// For every build.
    #[default]
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// Not at all.
    Never,
}

words! { ImagePullPolicy { "Always" => Self::Always, "IfNotPresent" => Self::IfNotPresent, "Never" => Self::Never, } }

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

/// Which names a pod can resolve, as Kubernetes has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsPolicy(&'static str);

words! { DnsPolicy {
    "ClusterFirst" => Self("ClusterFirst"), "ClusterFirstWithHostNet" => Self("ClusterFirstWithHostNet"),
    "Default" => Self("Default"), "None" => Self("None"),
} }

impl DnsPolicy {
    /// As Kubernetes writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// How a toleration compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TolerationOperator {
    /// Key and value.
    Equal,
    /// The key alone.
    Exists,
}

words! { TolerationOperator { "Equal" => Self::Equal, "Exists" => Self::Exists, } }

impl TolerationOperator {
    /// As Kubernetes writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "Equal",
            Self::Exists => "Exists",
        }
    }
}

/// What a taint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaintEffect {
    /// Nothing new comes to the node.
    NoSchedule,
    /// Something new comes only if there is no other node.
    PreferNoSchedule,
    /// What is there must go.
    NoExecute,
}

words! { TaintEffect {
    "NoSchedule" => Self::NoSchedule, "PreferNoSchedule" => Self::PreferNoSchedule, "NoExecute" => Self::NoExecute,
} }

impl TaintEffect {
    /// As Kubernetes writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}

/// Screwdriver's `host`: the cluster that the executor is in is found without it, every other must be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host;

impl Word for Host {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" | "kubernetes.default" => Ok(Self),
            _ => Err("only kubernetes.default: name another cluster's kubeconfig under clusters".to_owned()),
        }
    }
}

impl<T: crate::size::Quantity + Word> Read for Sizes<T> {
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        let fields = Fields::of(node, at, &["micro", "low", "high", "turbo", "max"], problems)?;
        let [micro, low, high, turbo, max] = T::STANDARD;
        let mut size = |key, standard| fields.take(&[key], || Some(standard), problems);
        Some(Self {
            micro: size("micro", micro)?,
            low: size("low", low)?,
            high: size("high", high)?,
            turbo: size("turbo", turbo)?,
            max: size("max", max)?,
        })
    }

    fn schema() -> Value {
        let size = <T as Word>::schema();
        json!({"type": ["object", "null"], "additionalProperties": false,
            "properties": {"micro": size, "low": size, "high": size, "turbo": size, "max": size}})
    }
}

impl Hook {
    /// Whether it says exactly one thing.
    pub(crate) fn is_one(&self) -> bool {
        self.exec.as_ref().is_some_and(|exec| !exec.command.is_empty()) != self.http_get.is_some()
            && !(self.exec.is_some() && self.http_get.is_some())
    }
}

impl Volume {
    /// Whether it is exactly one thing.
    pub(crate) fn is_one(&self) -> bool {
        let given = [self.empty.is_some(), self.claim.is_some(), self.secret.is_some(), self.config_map.is_some()];
        given.into_iter().filter(|given| *given).count() == 1
    }

    /// Whether something of the node's own would be reached: what Kubernetes refuses of a mount path, and folders of ours.
    pub(crate) fn has_a_path(&self) -> bool {
        self.mount_path.starts_with('/') && !self.mount_path.contains(':') && !self.mount_path.split('/').any(|part| part == "..")
    }
}

impl Toleration {
    /// Whether Kubernetes would take it.
    pub(crate) fn is_whole(&self) -> bool {
        match self.operator {
            TolerationOperator::Equal => self.key.is_some(),
            TolerationOperator::Exists => self.value.is_none(),
        }
    }
}
