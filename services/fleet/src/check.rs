//! What no key alone can say: names with something behind them, limits that are limits, exactly one of several.

use std::collections::BTreeMap;

use switchyard_events::TimeLimit;
use switchyard_file::{Desk, Node, Problems, Read, no_such};

use crate::{
    Clocks, Cluster, Executor, ExecutorClocks, Glob, Kubeconfig, Plugin, ProcessOptions, Screwdriver, Stickiness, Tenant,
    file::{Addition, Entry, ExecutorBlock, File},
};

/// A file whose parts fit together, as far as `problems` has nothing to say.
pub(crate) struct Checked {
    pub(crate) executors: Vec<Executor>,
    pub(crate) default: Option<usize>,
    pub(crate) stickiness: Stickiness,
    pub(crate) clocks: Clocks,
    pub(crate) tenants: BTreeMap<String, Tenant>,
}

impl Checked {
    pub(crate) fn of(file: File, tree: &Node, problems: &mut Problems) -> Self {
        let mut desk = Desk::new(tree, problems);
        let File { executor: block, clusters, executors: mut additions, stickiness, clocks, tenants, .. } = file;
        let names: Vec<String> = block.executors.iter().map(|(name, ..)| name.clone()).collect();
        let default = default_of(&block, &names, &additions, &mut desk);
        let mut executors = Vec::with_capacity(names.len());
        for (name, _, entry) in block.executors {
            let addition = additions.remove(&name);
            executors.extend(executor(name, entry, addition, &clusters, &mut desk));
        }
        for name in additions.keys() {
            desk.add(&["executors", name], no_such("executor", name, &names, " under `executor`"));
        }
        check_clocks(&clocks, &mut desk);
        check_tenants(&tenants, &names, &mut desk);
        Self { executors, default, stickiness, clocks, tenants }
    }
}

fn default_of(
    block: &ExecutorBlock,
    names: &[String],
    additions: &BTreeMap<String, Addition>,
    desk: &mut Desk<'_>,
) -> Option<usize> {
    let Some((name, line)) = &block.default else {
        desk.add_at(&["executor", "plugin"], block.line, "the default executor is missing");
        return None;
    };
    let found = names.iter().position(|known| known == name);
    if found.is_none() && *line > 0 {
        desk.add(&["executor", "plugin"], no_such("executor", name, names, ""));
    }
    if additions.get(name).is_some_and(|addition| addition.opt_in) {
        let rule = "the default executor takes builds that do not name it: it cannot be optIn";
        desk.add(&["executors", name, "optIn"], rule);
    }
    found
}

fn executor(
    name: String,
    entry: Entry,
    addition: Option<Addition>,
    clusters: &BTreeMap<String, Cluster>,
    desk: &mut Desk<'_>,
) -> Option<Executor> {
    if !is_name(&name) {
        let rule = "a name is 1 to 40 of a-z, A-Z, 0-9, - and _, and begins and ends with a letter or digit";
        desk.add(&["executor", &name], rule);
    }
    let plugin = Plugin::named(entry.plugin.as_deref().unwrap_or(&name));
    if plugin.is_none() {
        let keys = ["executor", &name, "pluginName"];
        let keys = if entry.plugin.is_some() { &keys[..] } else { &keys[..2] };
        desk.add(keys, "must be kubernetes (or k8s…) or process; a name that begins with k8s needs none");
    }
    check_options(&name, &entry, desk);
    let addition = addition.or_else(<Addition as Read>::absent)?;
    let cluster = cluster_of(&name, &addition, clusters, desk);
    check_addition(&name, plugin, &addition, desk);
    plugin.map(|plugin| assembled(name, plugin, entry, addition, cluster))
}

fn cluster_of(name: &str, addition: &Addition, clusters: &BTreeMap<String, Cluster>, desk: &mut Desk<'_>) -> Cluster {
    let Some(wanted) = &addition.cluster else { return Cluster::default() };
    if addition.kubeconfig.is_some() {
        desk.add(&["executors", name, "kubeconfig"], "the cluster has one already: keep one of cluster and kubeconfig");
    }
    let found = clusters.get(wanted).cloned();
    if found.is_none() {
        let known: Vec<String> = clusters.keys().cloned().collect();
        desk.add(&["executors", name, "cluster"], no_such("cluster", wanted, &known, " under `clusters`"));
    }
    found.unwrap_or_default()
}

fn check_options(name: &str, entry: &Entry, desk: &mut Desk<'_>) {
    let kubernetes = &entry.options.kubernetes;
    for (key, limit) in [("buildTimeout", kubernetes.build_timeout), ("maxBuildTimeout", kubernetes.max_build_timeout)] {
        if limit == TimeLimit::ZERO {
            desk.add(&["executor", name, "options", "kubernetes", key], "must be more than 0");
        }
    }
    let hooks = [("postStart", &kubernetes.lifecycle_hooks.post_start), ("preStop", &kubernetes.lifecycle_hooks.pre_stop)];
    for (key, hook) in hooks {
        if hook.as_ref().is_some_and(|hook| !hook.is_one()) {
            let path = ["executor", name, "options", "kubernetes", "lifecycleHooks", key];
            desk.add(&path, "must be exactly one of exec (with a command) and httpGet");
        }
    }
}

fn check_addition(name: &str, plugin: Option<Plugin>, addition: &Addition, desk: &mut Desk<'_>) {
    if addition.logs.as_ref().is_some_and(|logs| !(logs.starts_with("https://") || logs.starts_with("http://"))) {
        desk.add(&["executors", name, "logs"], "must be an address that begins with https:// or http://");
    }
    let ExecutorClocks { queued, pending, teardown, .. } = addition.clocks;
    for (key, limit) in [("queued", queued), ("pending", pending), ("teardown", teardown)] {
        if limit == Some(TimeLimit::ZERO) {
            desk.add(&["executors", name, "clocks", key], "must be more than 0");
        }
    }
    for (key, plugin) in plugin.iter().flat_map(|plugin| Addition::misplaced(*plugin).iter().map(move |key| (key, plugin))) {
        if desk.find(&["executors", name, key]).is_some() {
            desk.add(&["executors", name, key], format!("has no effect on an executor of plugin {plugin}: take it out"));
        }
    }
    for (n, volume) in addition.volumes.iter().enumerate() {
        let mut tell = |rule| desk.add(&["executors", name, "volumes"], format!("[{n}] ({}): {rule}", volume.name));
        if !volume.is_one() {
            tell("must be exactly one of empty, claim, secret and configMap");
        }
        if !volume.has_a_path() {
            tell("mountPath must begin with / and hold neither : nor ..");
        }
    }
    for (n, toleration) in addition.tolerations.iter().enumerate() {
        if !toleration.is_whole() {
            let rule = format!("[{n}]: Exists has no value and may be without a key, Equal has a key");
            desk.add(&["executors", name, "tolerations"], rule);
        }
    }
}

fn assembled(name: String, plugin: Plugin, entry: Entry, addition: Addition, cluster: Cluster) -> Executor {
    let Entry { weightage, exclusions, options, .. } = entry;
    let mut kubernetes = options.kubernetes;
    if let Some(namespace) = addition.namespace.or(cluster.namespace) {
        kubernetes.namespace = namespace;
    }
    let kubeconfig: Option<Kubeconfig> = addition.kubeconfig.or(cluster.kubeconfig);
    Executor {
        name,
        plugin,
        weightage,
        opt_in: addition.opt_in,
        draining: addition.drain,
        exclusions,
        slots: addition.slots,
        kubeconfig,
        tolerations: addition.tolerations,
        image_pull_secrets: kubernetes.image_pull_secret.iter().cloned().chain(addition.image_pull_secrets).collect(),
        disk: addition.disk,
        volumes: addition.volumes,
        process: ProcessOptions {
            ignore_image: addition.ignore_image,
            folder: addition.folder,
            slots: addition.slots,
            termination_grace: addition.termination_grace,
            limits: addition.limits,
        },
        logs: addition.logs,
        clocks: addition.clocks,
        build_timeout: kubernetes.build_timeout,
        max_build_timeout: kubernetes.max_build_timeout,
        kubernetes,
        screwdriver: Screwdriver {
            launch_image: options.launch_image,
            launch_version: options.launch_version,
            prefix: options.prefix.unwrap_or_default(),
            hab_enabled: options.sd_hab_enabled,
        },
        fusebox: options.fusebox,
        request_retry: options.request_retry,
    }
}

fn is_name(name: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    name.len() <= 40
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && edge(name.bytes().next())
        && edge(name.bytes().last())
}

fn check_clocks(clocks: &Clocks, desk: &mut Desk<'_>) {
    let Clocks { queued, reroute_after, pending, teardown, .. } = *clocks;
    for (key, limit) in [("queued", queued), ("rerouteAfter", reroute_after), ("pending", pending), ("teardown", teardown)] {
        if limit == TimeLimit::ZERO {
            desk.add(&["clocks", key], "must be more than 0");
        }
    }
}

fn check_tenants(tenants: &BTreeMap<String, Tenant>, names: &[String], desk: &mut Desk<'_>) {
    for (name, tenant) in tenants {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            desk.add(&["tenants", name], "a tenant is a token of subjects: a-z, A-Z, 0-9, - and _");
        }
        for unknown in tenant.executors.iter().flatten().filter(|executor| !names.contains(executor)) {
            desk.add(&["tenants", name, "executors"], no_such("executor", unknown, names, ""));
        }
        for pattern in tenant.annotations.iter().map(Glob::as_str).filter(|pattern| !is_annotation(pattern)) {
            let rule = format!("{pattern:?} is neither an annotation's key nor a beginning such as prefix/*");
            desk.add(&["tenants", name, "annotations"], rule);
        }
        desk.warn(&["tenants", name, "running"], "has no effect yet: builds of one tenant are not counted");
    }
}

/// Whether a pattern of annotations opens some of them, and not every one there is.
fn is_annotation(pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => prefix.ends_with(['/', '.']) && !prefix.contains('*'),
        None => !pattern.contains('*'),
    }
}
