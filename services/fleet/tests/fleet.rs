//! The fleet file through the public API: the examples of the documentation load, and what is wrong is named.

#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::{fmt::Write as _, num::NonZeroU16, path::Path, time::Duration};

use switchyard_events::{BuildClocks, Texts, TimeLimit};
use switchyard_fleet::{
    Executor, Fleet, ImagePullPolicy, Kubeconfig, Plugin, Stickiness, TaintEffect, TolerationOperator, Wanted,
};

const DEV: &str = include_str!("../../../deploy/config/dev.yaml");

/// The block that Kata Containers in Screwdriver was introduced with, unchanged.
const SCREWDRIVER: &str = "
version: 1
executor:
  plugin: k8s
  k8s:
    exclusion:
      - 'rhel6'
    weightage: 0
    options:
      kubernetes:
        runtimeClass: kata
        resources:
          cpu: {micro: '0.5', low: 2, high: 6, turbo: 12}
          memory: {micro: 1, low: 2, high: 12, turbo: 16}
          disk: {space: '', speed: ''}
        buildTimeout: 90
        maxBuildTimeout: 120
      launchImage: screwdrivercd/launcher
      launchVersion: stable
      prefix: ''
      fusebox: {breaker: {timeout: 10000}}
      requestretry: {retryDelay: 3000, maxAttempts: 5}
  k8s-vm:
    weightage: 0
";

/// Every block that a file may have.
const WHOLE: &str = "
version: 1
executor:
  plugin: k8s
  k8s: {exclusion: ['rhel6'], weightage: 0, options: {kubernetes: {runtimeClass: kata, jobsNamespace: builds,
    nodeSelectors: {dedicated: screwdriver-kata}, buildTimeout: 90, maxBuildTimeout: 120,
    terminationGracePeriodSeconds: 60, serviceAccount: builder, imagePullPolicy: IfNotPresent, dnsPolicy: Default,
    podLabels: {team: a}, annotations: {note: 1}, preferredNodeSelectors: {disk: ssd}, privileged: true, host: kubernetes.default,
    automountServiceAccountToken: 'true', imagePullSecretName: hub, dockerFeatureEnabled: true, rootlessBuildkitFeatureEnabled: false,
    lifecycleHooks: {preStop: {exec: {command: [/bin/sync]}}},
    buildSecrets: [{secret_env: SSHCA, secret_name: sd-secret, secret_key: private}],
    buildSecretsFile: [{name: ca, mountPath: /run/ca, secretName: sd-secret, readOnly: true}],
    resources: {cpu: {micro: 0.5, low: 2, high: 6, turbo: 12, max: 12}, memory: {micro: 1, low: 2, high: 12, turbo: 16, max: 16},
      disk: {space: screwdriver.cd/disk, speed: screwdriver.cd/diskSpeed}}},
    launchImage: reg/launcher, launchVersion: v6, prefix: beta, sdHabEnabled: false,
    fusebox: {breaker: {timeout: 5000, maxFailures: 3, resetTimeout: 1m}},
    requestretry: {retryDelay: 250, maxAttempts: 2}}}
  k8s-vm: {weightage: '80'}
  laptop: {pluginName: process, weightage: 0.5}
clusters:
  east: {kubeconfig: {secret: east}, namespace: east-builds}
executors:
  k8s: {kubeconfig: /etc/kubeconfig, namespace: elsewhere, imagePullSecrets: [acme]}
  k8s-vm: {cluster: east, slots: 50, optIn: true, tolerations: [{key: gpu, operator: Exists, effect: NoExecute, tolerationSeconds: 60}],
    disk: {micro: 10Gi, low: 20Gi, high: 50Gi, turbo: 100Gi, max: 100Gi},
    volumes: [{name: cache, mountPath: /cache, claim: cache}, {name: scratch, mountPath: /scratch, empty: 1Gi}]}
  laptop: {ignoreImage: true, folder: /var/builds, slots: 3, terminationGrace: 5s, limits: {fileSize: 1Gi, openFiles: 512}}
stickiness: job
clocks: {queued: 8h, rerouteAfter: 2m, pending: 10m, teardown: 5m, grace: 60s, linger: 10m}
tenants:
  default: {executors: [k8s], images: ['registry.acme/*'], secrets: [npm], annotations: ['dev.switchyard/*', 'io.katacontainers.*'], running: 50}
";

/// What the executor says against an image, if anything.
fn against(executor: &Executor, image: &str) -> Option<String> {
    let wanted = Wanted { image, labels: &Texts::default(), source: "/ci", event_type: "x", pipeline: None, job: None };
    executor.excludes(&wanted).map(ToString::to_string)
}

fn error(yaml: &str) -> String {
    Fleet::parse(yaml).unwrap_err().to_string()
}

/// A file whose only executor has these lines in its block.
fn with(lines: &[&str]) -> String {
    let mut yaml = "version: 1\nexecutor:\n  plugin: k8s\n  k8s:\n    weightage: 1\n".to_owned();
    for line in lines {
        writeln!(yaml, "    {line}").unwrap();
    }
    yaml
}

#[test]
fn the_development_fleet_loads() {
    let fleet = Fleet::parse(DEV).unwrap();
    let names: Vec<_> = fleet.executors().iter().map(|executor| (executor.name.as_str(), executor.weightage.value())).collect();
    assert_eq!(names, [("k8s", 60.0), ("k8s-vm", 40.0)]);
    for executor in fleet.executors() {
        assert_eq!(executor.plugin, Plugin::Kubernetes);
        assert_eq!(executor.kubernetes.runtime_class.as_deref(), Some("kata"));
        assert_eq!(executor.kubernetes.namespace, "builds");
        assert_eq!(executor.kubernetes.node_selectors["dedicated"], "screwdriver-kata");
    }
    assert_eq!(fleet.default_executor().name, "k8s");
    assert_eq!(against(fleet.executor("k8s").unwrap(), "registry/arya-RHEL6:latest").as_deref(), Some("\"rhel6\""));
    assert_eq!(against(fleet.executor("k8s-vm").unwrap(), "registry/arya-rhel6:latest"), None);
    assert_eq!(fleet.clocks().linger, TimeLimit::seconds(2));
    assert!(fleet.allows_annotation("default", "dev.switchyard/run-for"));
}

#[test]
fn every_option_reaches_its_executor() {
    let fleet = Fleet::parse(WHOLE).unwrap();
    let executor = fleet.executor("k8s").unwrap();
    let k8s = &executor.kubernetes;
    assert_eq!(executor.kubeconfig, Some(Kubeconfig::File("/etc/kubeconfig".into())));
    assert_eq!(
        (k8s.namespace.as_str(), k8s.service_account.as_str(), k8s.dns_policy.as_str()),
        ("elsewhere", "builder", "Default")
    );
    assert_eq!((k8s.termination_grace_period_seconds, k8s.image_pull_policy), (60, ImagePullPolicy::IfNotPresent));
    assert_eq!((k8s.pod_labels["team"].as_str(), k8s.annotations["note"].as_str()), ("a", "1"));
    assert_eq!(k8s.preferred_node_selectors["disk"], "ssd");
    assert!(k8s.privileged && k8s.docker_feature_enabled && k8s.automount_service_account_token);
    assert!(!k8s.rootless_buildkit_feature_enabled);
    assert_eq!(k8s.lifecycle_hooks.pre_stop.as_ref().unwrap().exec.as_ref().unwrap().command, ["/bin/sync"]);
    assert_eq!((k8s.build_secrets[0].variable.as_str(), k8s.build_secrets_file[0].mount_path.as_str()), ("SSHCA", "/run/ca"));
    assert_eq!(executor.image_pull_secrets, ["hub", "acme"]);
    assert_eq!(executor.screwdriver.launch_image, "reg/launcher");
    assert_eq!(executor.fusebox.breaker.timeout, Duration::from_secs(5));
    assert_eq!((executor.request_retry.retry_delay, executor.request_retry.max_attempts), (Duration::from_millis(250), 2));
    let laptop = fleet.executor("laptop").unwrap();
    assert_eq!((laptop.plugin, laptop.weightage.to_string()), (Plugin::Process, "0.5".to_owned()));
    let process = &laptop.process;
    assert_eq!((process.ignore_image, process.folder.as_deref()), (true, Some(Path::new("/var/builds"))));
    assert_eq!((process.slots.unwrap().get(), process.termination_grace), (3, TimeLimit::seconds(5)));
    assert_eq!((process.limits.file_size.unwrap().count(), process.limits.open_files.unwrap().get()), (1 << 30, 512));
    assert_eq!(fleet.executor("k8s-vm").unwrap().weightage.to_string(), "80");
    assert_eq!(*fleet.clocks(), Fleet::parse(SCREWDRIVER).unwrap().clocks().to_owned(), "these are the defaults");
}

#[test]
fn what_has_no_effect_on_an_executors_plugin_is_refused() {
    let with = |keys: &str| {
        format!("version: 1\nexecutor: {{plugin: k8s, k8s: {{}}, laptop: {{plugin: process}}}}\nexecutors: {{{keys}}}\n")
    };
    for (keys, wanted) in [
        ("k8s: {ignoreImage: true}", "executors.k8s.ignoreImage: has no effect on an executor of plugin kubernetes"),
        ("k8s: {limits: {}}", "executors.k8s.limits: has no effect"),
        ("laptop: {namespace: builds}", "executors.laptop.namespace: has no effect on an executor of plugin process"),
        ("laptop: {slots: 0}", "executors.laptop.slots"),
        ("laptop: {limits: {filesize: 1}}", "unknown key \"filesize\": did you mean \"fileSize\"?"),
    ] {
        let error = error(&with(keys));
        assert!(error.contains(wanted), "{error}");
    }
    let standard = Fleet::parse(&with("")).unwrap().executor("laptop").unwrap().process.clone();
    assert!(!standard.ignore_image && standard.slots.is_none() && standard.folder.is_none());
}

#[test]
fn what_switchyard_adds_reaches_its_executor() {
    let fleet = Fleet::parse(WHOLE).unwrap();
    let vm = fleet.executor("k8s-vm").unwrap();
    assert_eq!((vm.slots.map(NonZeroU16::get), vm.opt_in, fleet.stickiness()), (Some(50), true, Stickiness::Job));
    assert_eq!(
        (vm.kubeconfig.clone(), vm.kubernetes.namespace.as_str()),
        (Some(Kubeconfig::Secret("east".into())), "east-builds")
    );
    assert_eq!(
        (vm.tolerations[0].operator, vm.tolerations[0].effect),
        (TolerationOperator::Exists, Some(TaintEffect::NoExecute))
    );
    assert_eq!(vm.disk.unwrap().get(Some("HIGH")).unwrap().to_string(), "50Gi");
    assert_eq!(vm.volumes[0].claim.as_deref(), Some("cache"));
    let tenant = fleet.tenant("default").unwrap();
    assert_eq!(tenant.executors.as_deref(), Some(&["k8s".to_owned()][..]));
    assert!(tenant.images.as_ref().unwrap()[0].matches("registry.acme/a") && tenant.secrets[0].matches("npm"));
    assert_eq!(tenant.running, Some(50));
}

#[test]
fn screwdrivers_own_block_loads_as_it_is() {
    let fleet = Fleet::parse(SCREWDRIVER).unwrap();
    let k8s = fleet.default_executor();
    assert!(k8s.weightage.is_zero());
    assert_eq!(against(k8s, "rhel6").as_deref(), Some("\"rhel6\""));
    assert_eq!(k8s.kubernetes.resources.cpu.get(Some("micro")).unwrap().to_string(), "500m");
    assert_eq!(k8s.kubernetes.resources.cpu.max.to_string(), "12", "what is left out is Screwdriver's default");
    assert_eq!((k8s.screwdriver.launch_version.as_str(), k8s.request_retry.max_attempts), ("stable", 5));
    assert_eq!(fleet.executor("k8s-vm").unwrap().build_timeout, TimeLimit::minutes(90));
    assert_eq!(fleet.clocks().queued, TimeLimit::minutes(480));
    assert_eq!(fleet.warnings(), []);
}

#[test]
fn what_has_no_effect_is_warned_of_and_what_is_empty_is_not() {
    let yaml = with(&["options: {ecosystem: {cache: {strategy: s3}}, kubernetes: {podStatusQueryDelay: 500, volumeMounts: {}}}"]);
    let fleet = Fleet::parse(&yaml).unwrap();
    let warned: Vec<_> = fleet.warnings().iter().map(|warning| warning.path.as_str()).collect();
    assert_eq!(warned, ["executor.k8s.options.ecosystem", "executor.k8s.options.kubernetes.podStatusQueryDelay"]);
    assert!(fleet.warnings()[0].to_string().contains("line 6"), "{}", fleet.warnings()[0]);
}

#[test]
fn what_would_make_a_build_less_safe_is_refused_with_the_remedy() {
    for (option, remedy) in [
        ("token: abc", "put it into a kubeconfig"),
        ("volumeMounts: [{name: kvm, mountPath: /dev/kvm, path: /dev/kvm, type: File}]", "use executors.<name>.volumes"),
        ("host: other.example", "name another cluster's kubeconfig under clusters"),
    ] {
        let error = error(&with(&[&format!("options: {{kubernetes: {{{option}}}}}")]));
        assert!(error.contains(remedy), "{error}");
        assert!(!error.contains("abc"), "a token is not repeated: {error}");
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once_in_the_files_order() {
    let yaml = "version: 2\nexecutor:\n  plugin: k9s\n  k8s:\n    weigthage: 1\n    exclusion: ['a(b', {tga: x}]\n    options: {kubernetes: {buildTimeout: soon, token: x}}\n\
                executors:\n  k8x: {}\n  k8s: {cluster: west, slots: 0}\nclocks: {queued: 0}\ntenants: {a: {executors: [k8z], annotations: ['*']}}\n";
    let paths: Vec<_> = Fleet::parse(yaml).unwrap_err().problems.into_iter().map(|problem| problem.path).collect();
    assert_eq!(
        paths,
        [
            "version",
            "executor.plugin",
            "executor.k8s.weigthage",
            "executor.k8s.exclusion[0]",
            "executor.k8s.exclusion[1].tga",
            "executor.k8s.exclusion[1]",
            "executor.k8s.options.kubernetes.token",
            "executor.k8s.options.kubernetes.buildTimeout",
            "executors.k8x",
            "executors.k8s.slots",
            "executors.k8s.cluster",
            "clocks.queued",
            "tenants.a.executors",
            "tenants.a.annotations",
        ]
    );
}

#[test]
fn both_spellings_of_exclusions_and_of_the_plugin_are_read() {
    for (exclusions, plugin) in [("exclusion", "plugin"), ("exclusions", "pluginName")] {
        let yaml = with(&[&format!("{exclusions}: [rhel6, centos.6]"), &format!("{plugin}: kubernetes")]);
        let fleet = Fleet::parse(&yaml).unwrap();
        let exclusions: Vec<_> = fleet.default_executor().exclusions.iter().map(ToString::to_string).collect();
        assert_eq!(exclusions, ["\"rhel6\"", "\"centos.6\""]);
    }
    assert!(error(&with(&["exclusion: []", "exclusions: []"])).contains("two spellings of one key"));
}

#[test]
fn the_default_cannot_be_opt_in() {
    let yaml = format!("{}executors: {{k8s: {{optIn: true}}}}\n", with(&[]));
    assert!(
        error(&yaml).contains("executors.k8s.optIn: the default executor takes builds that do not name it"),
        "{}",
        error(&yaml)
    );
}

#[test]
fn a_limit_is_what_the_build_asks_for_within_the_maximum() {
    let fleet = Fleet::parse(DEV).unwrap();
    let running = |asked| fleet.limits(fleet.default_executor(), asked, BuildClocks::default()).running;
    assert_eq!(running(None), TimeLimit::minutes(90));
    assert_eq!(running(Some(TimeLimit::seconds(20))), TimeLimit::seconds(20));
    assert_eq!(running(Some(TimeLimit::minutes(600))), TimeLimit::minutes(120));
    let limits = fleet.limits(fleet.default_executor(), Some(TimeLimit::seconds(20)), BuildClocks::default());
    assert_eq!((limits.running_max, limits.pending), (TimeLimit::minutes(120), TimeLimit::minutes(2)));
}

#[test]
fn an_executor_has_limits_of_its_own_and_a_build_may_only_ask_for_shorter_ones() {
    let own = format!("{}executors: {{k8s: {{clocks: {{queued: 5m, teardown: 40s, linger: 7s}}}}}}\n", with(&[]));
    let fleet = Fleet::parse(&own).unwrap();
    let limits = |asked: Option<TimeLimit>| {
        let clocks = BuildClocks { queued: asked, pending: asked, teardown: asked };
        let limits = fleet.limits(fleet.default_executor(), None, clocks);
        assert_eq!(limits.linger, TimeLimit::seconds(7));
        [limits.queued, limits.pending, limits.teardown]
    };
    let all = [TimeLimit::minutes(5), fleet.clocks().pending, TimeLimit::seconds(40)];
    assert_eq!(limits(None), all);
    assert_eq!(limits(Some(TimeLimit::seconds(20))), [TimeLimit::seconds(20); 3]);
    assert_eq!(limits(Some(TimeLimit::minutes(6000))), all);
    let moment: TimeLimit = "1ms".parse().unwrap();
    assert_eq!(
        limits(Some(moment)),
        [moment, moment, TimeLimit::seconds(1)],
        "a pod is not told to go a thousand times a second"
    );
    let logs = format!("{}executors: {{k8s: {{logs: 'ftp://x'}}}}\n", with(&[]));
    assert!(error(&logs).contains("executors.k8s.logs: must be an address"), "{}", error(&logs));
    let zero = format!("{}executors: {{k8s: {{clocks: {{pending: 0}}}}}}\n", with(&[]));
    assert!(error(&zero).contains("executors.k8s.clocks.pending: must be more than 0"), "{}", error(&zero));
}

#[test]
fn an_unknown_key_names_its_path_its_line_and_the_nearest_known_key() {
    assert_eq!(
        error(&with(&["exlcusion: [rhel6]"])),
        "fleet file, line 6, executor.k8s.exlcusion: unknown key \"exlcusion\": did you mean \"exclusion\"?"
    );
    let deep = with(&["options: {kubernetes: {runtimeclass: kata}}"]);
    assert!(error(&deep).ends_with("unknown key \"runtimeclass\": did you mean \"runtimeClass\"?"), "{}", error(&deep));
    let top = format!("{}clock: {{}}\n", with(&[]));
    assert!(error(&top).ends_with("unknown key \"clock\": did you mean \"clocks\"?"), "{}", error(&top));
}

#[test]
fn a_wrong_value_names_its_path_line_and_rule() {
    for (line, wanted) in [
        ("exclusion: ['a(b']", "line 6, executor.k8s.exclusion[0]: \"a(b\" is not a regular expression: unclosed group"),
        (
            "options: {kubernetes: {buildTimeout: soon}}",
            "executor.k8s.options.kubernetes.buildTimeout: \"soon\" is not a time limit",
        ),
        ("options: {kubernetes: {buildTimeout: 0}}", "executor.k8s.options.kubernetes.buildTimeout: must be more than 0"),
        ("options: {kubernetes: {resources: {cpu: {low: lots}}}}", "resources.cpu.low: \"lots\" is not a quantity such as 2"),
        (
            "options: {kubernetes: {imagePullPolicy: Sometimes}}",
            "imagePullPolicy: \"Sometimes\" is none of Always, IfNotPresent, Never",
        ),
        ("pluginName: docker", "executor.k8s.pluginName: must be kubernetes"),
    ] {
        let error = error(&with(&[line]));
        assert!(error.contains(wanted), "{error}");
    }
    let negative = with(&[]).replace("weightage: 1", "weightage: -1");
    assert!(error(&negative).contains("line 5, executor.k8s.weightage: \"-1\" is not a weight"), "{}", error(&negative));
}

#[test]
fn a_name_with_nothing_behind_it_is_an_error() {
    let default = with(&[]).replace("plugin: k8s", "plugin: k8s-vm");
    assert!(
        error(&default).contains("executor.plugin: there is no executor \"k8s-vm\": did you mean \"k8s\"?"),
        "{}",
        error(&default)
    );
    let missing = with(&[]).replace("  plugin: k8s\n", "");
    assert!(error(&missing).contains("executor.plugin: the default executor is missing"), "{}", error(&missing));
    let addition = format!("{}executors: {{k8x: {{}}}}\n", with(&[]));
    assert!(
        error(&addition).contains("executors.k8x: there is no executor \"k8x\" under `executor`: did you mean \"k8s\"?"),
        "{}",
        error(&addition)
    );
}

#[test]
fn a_file_that_is_no_fleet_says_so_in_a_line_each() {
    for (yaml, wanted) in [
        ("", "fleet file"),
        ("[]", "fleet file"),
        ("version: 2\nexecutor: {plugin: a}", "version 2 is not known here"),
        ("version: 1", "\"executor\" is missing"),
        ("version: 1\nversion: 1", "\"version\" is given twice"),
        ("a: [", "fleet file"),
    ] {
        let error = error(yaml);
        assert!(error.contains(wanted) && error.lines().all(|line| line.starts_with("fleet file")), "{error}");
    }
    let name = with(&[]).replace("k8s", "k8s.eu");
    assert!(error(&name).contains("a name is 1 to 40"), "{}", error(&name));
    let clocks = format!("{}clocks: {{pending: 0}}\n", with(&[]));
    assert!(error(&clocks).contains("clocks.pending: must be more than 0"), "{}", error(&clocks));
}

#[test]
fn a_tenant_sets_only_the_annotations_that_are_opened_to_it() {
    let fleet =
        Fleet::parse(&format!("{}tenants: {{acme: {{annotations: [a.b/*, exact, switchyard.dev/*]}}}}\n", with(&[]))).unwrap();
    assert!(fleet.allows_annotation("acme", "a.b/c") && fleet.allows_annotation("acme", "exact"));
    for key in ["a.bc/d", "exactly", "switchyard.dev/build"] {
        assert!(!fleet.allows_annotation("acme", key), "{key}");
    }
    assert!(!fleet.allows_annotation("default", "a.b/c"));
    let everything = format!("{}tenants: {{acme: {{annotations: ['*']}}}}\n", with(&[]));
    assert!(error(&everything).contains("tenants.acme.annotations"), "{}", error(&everything));
}

#[test]
fn the_revision_is_of_the_content_and_not_of_the_layout() {
    let fleet = |yaml: &str| Fleet::parse(yaml).unwrap().revision().to_owned();
    let yaml = "version: 1\nexecutor: {plugin: k8s, k8s: {weightage: 1, exclusion: [a]}}\n";
    let moved = "# the same\nexecutor:\n  k8s:\n    exclusion: ['a']\n    weightage: 1\n  plugin: k8s\nversion: 1\n";
    assert_eq!(fleet(yaml), fleet(moved));
    assert_ne!(fleet(yaml), fleet(&yaml.replace("weightage: 1", "weightage: 2")));
    assert_eq!(fleet(yaml).len(), 16);
}
