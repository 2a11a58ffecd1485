//! The table of `docs/launcher.md`, held to what becomes of each option: every name in its first column has a proof here.

mod proof;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use switchyard_events::TimeLimit;
use switchyard_fleet::Fleet;

use super::{Unlaunchable, tests::parsed};
use Proof::{Has, Refuses};
use proof::{
    TOKEN, adds, asks, from, gives, launcher, launcher_tells, limit, limits, made, mounted, needs_a_node_with, no_fleet,
    no_virtual_machine, plain, refused, runs_for, screwdrivers, sidecar, sizes, tells, variable, warned_of,
};

const PAGE: &str = include_str!("../../../../../docs/launcher.md");

/// What shows that a row is right.
enum Proof {
    /// It has its effect.
    Has(fn()),
    /// Who sets it is told that it cannot be had.
    Refuses(fn()),
}

const PROOFS: &[(&str, Proof)] = &[
    ("runtimeClass", Has(|| gives("runtimeClass: kata-qemu", &plain(), "/spec/runtimeClassName", "kata-qemu"))),
    ("resources.cpu", Has(|| limits("resources: {cpu: {low: 500m}}", &plain(), "cpu", "500m"))),
    ("resources.memory", Has(|| limits("resources: {memory: {low: 3}}", &plain(), "memory", "3Gi"))),
    ("screwdriver.cd/cpu", Has(|| sizes("cpu", &[("MICRO", "500m"), ("high", "6"), ("8", "8"), ("250m", "250m"), ("99", "12")]))),
    (
        "screwdriver.cd/ram",
        Has(|| sizes("memory", &[("Low", "2Gi"), ("TURBO", "16Gi"), ("MAX", "16Gi"), ("4Gi", "4Gi"), ("4", "4Gi")])),
    ),
    ("executors.NAME.disk", Has(|| adds("disk: {low: 20Gi, max: 60Gi}", &plain(), &limit("ephemeral-storage"), "20Gi"))),
    (
        "screwdriver.cd/disk",
        Has(|| adds("disk: {high: 50Gi, max: 60Gi}", &asks("disk", "HIGH"), &limit("ephemeral-storage"), "50Gi")),
    ),
    ("resources.disk.space", Has(|| needs_a_node_with("space", &asks("disk", "HIGH"), "high"))),
    ("resources.disk.speed", Has(|| needs_a_node_with("speed", &asks("diskSpeed", "FAST"), "fast"))),
    ("screwdriver.cd/diskSpeed", Has(|| needs_a_node_with("speed", &asks("diskSpeed", "slow"), "slow"))),
    ("buildTimeout", Has(|| assert_eq!(runs_for(&plain()), Ok(TimeLimit::minutes(30))))),
    ("maxBuildTimeout", Has(|| assert_eq!(runs_for(&asks("timeout", "600")), Ok(TimeLimit::minutes(45))))),
    (
        "screwdriver.cd/timeout",
        Has(|| {
            assert_eq!(runs_for(&asks("timeout", "20")), Ok(TimeLimit::minutes(20)));
            assert!(runs_for(&asks("timeout", "abc")).unwrap_err().contains("annotations.screwdriver.cd/timeout"));
            gives("", &plain(), "/spec/activeDeadlineSeconds", json!(2 * 60 + 120 * 60 + 11));
        }),
    ),
    (
        "terminationGracePeriodSeconds",
        Has(|| gives("terminationGracePeriodSeconds: 90", &asks(GRACE, "60"), "/spec/terminationGracePeriodSeconds", 90)),
    ),
    (
        "screwdriver.cd/terminationGracePeriodSeconds",
        Has(|| gives("", &asks(GRACE, "9999"), "/spec/terminationGracePeriodSeconds", 120)),
    ),
    (
        "nodeSelectors",
        Has(|| {
            let tolerated = json!({"key": "dedicated", "operator": "Equal", "value": "x", "effect": "NoSchedule"});
            gives("nodeSelectors: {dedicated: x}", &plain(), "/spec/nodeSelector/dedicated", "x");
            gives("nodeSelectors: {dedicated: x}", &plain(), "/spec/tolerations/0", tolerated);
        }),
    ),
    (
        "preferredNodeSelectors",
        Has(|| gives("preferredNodeSelectors: {zone: a}", &plain(), &format!("{PREFERRED}/0/weight"), 100)),
    ),
    (
        "executors.NAME.tolerations",
        Has(|| {
            adds(
                "tolerations: [{key: spot, operator: Exists}]",
                &plain(),
                "/spec/tolerations/0",
                json!({"key": "spot", "operator": "Exists"}),
            );
        }),
    ),
    (
        "podLabels",
        Has(|| {
            gives("podLabels: {team: a, app: mine}", &plain(), "/metadata/labels/team", "a");
            gives("podLabels: {team: a, app: mine}", &plain(), "/metadata/labels/app", "screwdriver");
        }),
    ),
    (
        "annotations",
        Has(|| {
            gives("annotations: {note: b}", &plain(), "/metadata/annotations/note", "b");
            gives("annotations: {switchyard.dev/tenant: b}", &plain(), "/metadata/annotations/switchyard.dev~1tenant", "default");
        }),
    ),
    ("app", Has(|| gives("", &plain(), "/metadata/labels/app", "screwdriver"))),
    ("tier", Has(|| gives("", &plain(), "/metadata/labels/tier", "builds"))),
    ("sdbuild", Has(|| gives("", &screwdrivers(), "/metadata/labels/sdbuild", "111"))),
    ("screwdriver.cd/pipeline", Has(|| gives("", &plain(), "/metadata/labels/screwdriver.cd~1pipeline", "shop"))),
    (
        "screwdriver.cd/job",
        Has(|| gives("", &json!({"image": "a", "job": "main"}), "/metadata/labels/screwdriver.cd~1job", "main")),
    ),
    (
        "io.katacontainers.*",
        Refuses(|| {
            let build = json!({"image": "a", "annotations": {"io.katacontainers.config.hypervisor.kernel": "/vmlinuz"}});
            assert!(matches!(refused(KATA, &build), Unlaunchable::Annotation(key) if key.ends_with("kernel")));
        }),
    ),
    (
        "lifecycleHooks",
        Has(|| {
            gives(
                "lifecycleHooks: {preStop: {exec: {command: [/bye]}}}",
                &plain(),
                "/spec/containers/0/lifecycle/preStop/exec/command/0",
                "/bye",
            );
            gives(
                "lifecycleHooks: {postStart: {httpGet: {port: 80}}}",
                &plain(),
                "/spec/containers/0/lifecycle/postStart/httpGet/port",
                80,
            );
        }),
    ),
    (
        "volumeMounts",
        Refuses(|| no_fleet("kubernetes: {volumeMounts: [{name: kvm, mountPath: /dev/kvm}]}", "use executors.<name>.volumes")),
    ),
    (
        "executors.NAME.volumes",
        Has(|| {
            adds(
                "volumes: [{name: a, mountPath: /a, claim: cache}]",
                &plain(),
                "/spec/volumes/0/persistentVolumeClaim/claimName",
                "cache",
            );
        }),
    ),
    ("imagePullSecretName", Has(|| gives("imagePullSecretName: hub", &plain(), "/spec/imagePullSecrets/0/name", "hub"))),
    (
        "executors.NAME.imagePullSecrets",
        Has(|| adds("imagePullSecrets: [hub, quay]", &plain(), "/spec/imagePullSecrets/1/name", "quay")),
    ),
    ("imagePullPolicy", Has(|| gives("imagePullPolicy: Never", &plain(), "/spec/containers/0/imagePullPolicy", "Never"))),
    ("dnsPolicy", Has(|| gives("dnsPolicy: Default", &plain(), "/spec/dnsPolicy", "Default"))),
    ("serviceAccount", Has(|| gives("serviceAccount: builder", &plain(), "/spec/serviceAccountName", "builder"))),
    ("jobsNamespace", Has(|| assert_eq!(parsed("kubernetes: {jobsNamespace: jobs}", "").unwrap().kubernetes.namespace, "jobs"))),
    (
        "automountServiceAccountToken",
        Has(|| {
            gives("", &plain(), "/spec/automountServiceAccountToken", false);
            gives("automountServiceAccountToken: true", &plain(), "/spec/automountServiceAccountToken", true);
        }),
    ),
    (
        "buildSecrets",
        Has(|| {
            let pod = made("buildSecrets: [{secret_env: NPM, secret_name: npm, secret_key: token}]", &plain());
            assert_eq!(variable(&pod, "NPM")["valueFrom"]["secretKeyRef"], json!({"name": "npm", "key": "token"}));
        }),
    ),
    (
        "buildSecretsFile",
        Has(|| {
            gives(
                "buildSecretsFile: [{name: ca, mountPath: /ca, secretName: sd}]",
                &plain(),
                "/spec/volumes/0/secret/secretName",
                "sd",
            );
        }),
    ),
    (
        "buildSecretFile",
        Has(|| {
            gives(
                "buildSecretFile: [{name: ca, mountPath: /ca, secretName: sd}]",
                &plain(),
                "/spec/containers/0/volumeMounts/0",
                json!({"name": "secret-ca", "mountPath": "/ca", "readOnly": true}),
            );
        }),
    ),
    (
        "secrets",
        Has(|| {
            let secrets = json!([{"name": "npm", "key": "token", "env": "NPM"}, {"name": "ca", "path": "/run/ca"}]);
            let pod = made("", &json!({"image": "a", "secrets": secrets}));
            assert_eq!(variable(&pod, "NPM")["valueFrom"]["secretKeyRef"]["name"], "npm");
            assert_eq!(pod["spec"]["volumes"][0]["projected"]["sources"][0]["secret"]["name"], "ca");
        }),
    ),
    (
        "privileged",
        Has(|| {
            gives("runtimeClass: kata, privileged: true", &plain(), "/spec/containers/0/securityContext/privileged", true);
            for other in ["privileged: true", "runtimeClass: katana, privileged: true"] {
                no_virtual_machine(other, &plain());
            }
        }),
    ),
    (
        "dockerFeatureEnabled",
        Has(|| assert!(matches!(refused(KATA, &asks("dockerEnabled", "true")), Unlaunchable::NotEnabled(..)))),
    ),
    (
        "screwdriver.cd/dockerEnabled",
        Has(|| {
            gives(DOCKER, &asks("dockerEnabled", "true"), "/spec/initContainers/0/restartPolicy", "Always");
            gives(DOCKER, &asks("dockerEnabled", "true"), "/spec/initContainers/0/name", "dind");
            no_virtual_machine("dockerFeatureEnabled: true", &asks("dockerEnabled", "true"));
        }),
    ),
    ("screwdriver.cd/dockerCpu", Has(|| sidecar(DOCKER, "dockerEnabled", "dockerCpu", "cpu", "6"))),
    ("screwdriver.cd/dockerRam", Has(|| sidecar(DOCKER, "dockerEnabled", "dockerRam", "memory", "12Gi"))),
    ("DOCKER_HOST", Has(|| tells(DOCKER, &asks("dockerEnabled", "true"), "DOCKER_HOST", "tcp://localhost:2376"))),
    ("SD_DIND_SHARE_PATH", Has(|| tells(DOCKER, &asks("dockerEnabled", "true"), "SD_DIND_SHARE_PATH", "/opt/sd_dind_share"))),
    (
        "rootlessBuildkitFeatureEnabled",
        Has(|| {
            let closed = "runtimeClass: kata, rootlessBuildkitFeatureEnabled: false";
            assert!(matches!(refused(closed, &asks("rootlessBuildkitEnabled", "true")), Unlaunchable::NotEnabled(..)));
        }),
    ),
    (
        "screwdriver.cd/rootlessBuildkitEnabled",
        Has(|| {
            gives(KATA, &asks("rootlessBuildkitEnabled", "true"), "/spec/initContainers/0/restartPolicy", "Always");
            gives(KATA, &asks("rootlessBuildkitEnabled", "true"), "/spec/initContainers/0/securityContext/privileged", false);
            no_virtual_machine("", &asks("rootlessBuildkitEnabled", "true"));
        }),
    ),
    ("screwdriver.cd/buildkitCpu", Has(|| sidecar(KATA, "rootlessBuildkitEnabled", "buildkitCpu", "cpu", "6"))),
    ("screwdriver.cd/buildkitRam", Has(|| sidecar(KATA, "rootlessBuildkitEnabled", "buildkitRam", "memory", "12Gi"))),
    ("launchImage", Has(|| launcher("launchImage: reg/launcher", "/spec/initContainers/0/image", "reg/launcher:stable"))),
    (
        "launchVersion",
        Has(|| {
            launcher("launchVersion: v6", "/spec/initContainers/0/image", "screwdrivercd/launcher:v6");
            launcher("", "/spec/volumes/0", json!({"name": "sd-launcher", "emptyDir": {}}));
        }),
    ),
    ("prefix", Has(|| launcher("prefix: beta-", "/metadata/labels/sdbuild", "beta-111"))),
    ("SD_BUILD_PREFIX", Has(|| launcher_tells("prefix: beta-", "SD_BUILD_PREFIX", "beta-"))),
    ("sdHabEnabled", Has(|| launcher_tells("sdHabEnabled: false", "SD_HAB_ENABLED", "false"))),
    ("SD_HAB_ENABLED", Has(|| launcher_tells("", "SD_HAB_ENABLED", "true"))),
    ("SD_RUNTIME_CLASS", Has(|| tells(KATA, &screwdrivers(), "SD_RUNTIME_CLASS", "kata"))),
    ("SD_PIPELINE_ID", Has(|| launcher_tells("", "SD_PIPELINE_ID", "7"))),
    ("SD_BASE_COMMAND_PATH", Has(|| launcher_tells("", "SD_BASE_COMMAND_PATH", "/sd/commands/"))),
    ("SD_TEMP", Has(|| launcher_tells("", "SD_TEMP", "/opt/sd_tmp"))),
    ("/etc/podinfo", Has(|| assert_eq!(mounted("/etc/podinfo")["downwardAPI"]["items"][0]["path"], "labels"))),
    ("/workspace", Has(|| assert_eq!(mounted("/workspace")["emptyDir"], json!({})))),
    ("CONTAINER_IMAGE", Has(|| tells("", &json!({"image": "node:20"}), "CONTAINER_IMAGE", "node:20"))),
    ("CONTAINER_CPU_LIMIT", Has(|| assert_eq!(from("CONTAINER_CPU_LIMIT", "resourceFieldRef")["resource"], "limits.cpu"))),
    (
        "CONTAINER_MEMORY_LIMIT",
        Has(|| assert_eq!(from("CONTAINER_MEMORY_LIMIT", "resourceFieldRef")["resource"], "limits.memory")),
    ),
    ("NODE_ID", Has(|| assert_eq!(from("NODE_ID", "fieldRef")["fieldPath"], "spec.nodeName"))),
    ("SD_TERMINATION_GRACE_PERIOD_SECONDS", Has(|| tells("", &asks(GRACE, "60"), "SD_TERMINATION_GRACE_PERIOD_SECONDS", "60"))),
    ("SD_PUSHGATEWAY_URL", Refuses(|| assert_eq!(variable(&made("", &screwdrivers()), "SD_PUSHGATEWAY_URL"), Value::Null))),
    ("ecosystem", Refuses(|| warned_of("ecosystem: {pushgatewayUrl: 'https://push'}", "executor.k8s.options.ecosystem"))),
    (
        "the build's token in the container's arguments",
        Refuses(|| {
            let pod = made("", &screwdrivers());
            assert!(!pod.to_string().contains(TOKEN) && pod.to_string().contains("$$(cat /run/switchyard/screwdriver/token)"));
        }),
    ),
    ("token", Refuses(|| no_fleet("kubernetes: {token: abc}", "put it into a kubeconfig"))),
    (
        "host",
        Refuses(|| {
            no_fleet("kubernetes: {host: other.example}", "name another cluster's kubeconfig under clusters");
            parsed("kubernetes: {host: kubernetes.default}", "").unwrap();
        }),
    ),
    (
        "podStatusQueryDelay",
        Has(|| warned_of("kubernetes: {podStatusQueryDelay: 500}", "executor.k8s.options.kubernetes.podStatusQueryDelay")),
    ),
    ("baseImage", Has(|| warned_of("kubernetes: {baseImage: ubuntu}", "executor.k8s.options.kubernetes.baseImage"))),
    (
        "fusebox",
        Has(|| {
            let breaker =
                parsed("fusebox: {breaker: {timeout: 5000, maxFailures: 2, resetTimeout: 1s}}", "").unwrap().fusebox.breaker;
            let read = (breaker.timeout.as_millis(), breaker.max_failures, breaker.reset_timeout.as_millis());
            assert_eq!(read, (5000, 2, 1000));
        }),
    ),
    (
        "requestretry",
        Has(|| {
            let retry = parsed("requestretry: {retryDelay: 250, maxAttempts: 2}", "").unwrap().request_retry;
            assert_eq!((retry.retry_delay.as_millis(), retry.max_attempts), (250, 2));
        }),
    ),
];

const KATA: &str = "runtimeClass: kata";
const DOCKER: &str = "runtimeClass: kata, dockerFeatureEnabled: true";
const GRACE: &str = "terminationGracePeriodSeconds";
const PREFERRED: &str = "/spec/affinity/nodeAffinity/preferredDuringSchedulingIgnoredDuringExecution";

/// A row: the names in its first column, and its standing.
fn rows() -> Vec<(Vec<&'static str>, &'static str)> {
    let section = PAGE.split("### Options of Screwdriver's").nth(1).unwrap().split("\n#").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    let row = |line: &'static str| {
        let mut cells = line.split(" | ");
        let first = cells.next().unwrap().trim_start_matches("| ");
        let names: Vec<_> = first.split('`').skip(1).step_by(2).collect();
        (if names.is_empty() { vec![first] } else { names }, cells.next().unwrap().trim())
    };
    rows.map(row).collect()
}

#[test]
fn every_row_of_the_table_is_so() {
    for (names, standing) in rows() {
        assert!(["same", "better", "refused"].contains(&standing), "{names:?} is {standing}");
        for name in names {
            let mut proofs = PROOFS.iter().filter(|(of, _)| *of == name).map(|(_, proof)| proof);
            let proof = proofs.next().unwrap_or_else(|| panic!("{name} is in the table and has no proof"));
            println!("{name}: {standing}");
            match (proof, standing) {
                (Refuses(proof), "refused") | (Has(proof), "same" | "better") => proof(),
                (Refuses(_) | Has(_), _) => panic!("{name} is {standing} in the table, and its proof says otherwise"),
            }
        }
    }
}

#[test]
fn the_table_has_every_option_that_has_a_proof_and_every_one_that_the_fleet_file_reads() {
    let told: BTreeSet<&str> = rows().into_iter().flat_map(|(names, _)| names).collect();
    let missing: Vec<_> = PROOFS.iter().map(|(name, _)| *name).filter(|name| !told.contains(name)).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
    let schema = Fleet::schema();
    let options = &schema["properties"]["executor"]["additionalProperties"]["properties"]["options"]["properties"];
    let nested = options["kubernetes"]["properties"].as_object().unwrap().keys();
    let all = options.as_object().unwrap().keys().filter(|key| *key != "kubernetes").chain(nested);
    let is_told = |option: &str| told.iter().any(|name| *name == option || name.starts_with(&format!("{option}.")));
    let untold: Vec<_> = all.filter(|option| !is_told(option)).collect();
    assert!(untold.is_empty(), "read by the fleet file and not in the table: {untold:?}");
}
