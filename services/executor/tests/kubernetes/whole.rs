//! One pod with everything set, as the real API server takes it; and what the configuration that Screwdriver published gives.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;
use switchyard_dev::ClusterUser;
use switchyard_events::{BuildClocks, BuildSpec, TimeLimit};
use switchyard_executor::{CreateError, Executor as _, Kubernetes, Launch, Token};
use switchyard_fleet::Fleet;

use crate::yard::{connect, launch, name, plane};

const EVERYTHING: &str = r"
version: 1
executor:
  plugin: k8s
  k8s:
    exclusion: ['rhel6']
    options:
      kubernetes:
        runtimeClass: kata
        nodeSelectors: {dedicated: screwdriver-kata}
        preferredNodeSelectors: {zone: a, generation: new}
        resources:
          cpu: {micro: 0.5, low: 2, high: 6, turbo: 12, max: 12}
          memory: {micro: 1, low: 2, high: 12, turbo: 16, max: 16}
          disk: {space: screwdriver.cd/disk, speed: screwdriver.cd/diskSpeed}
        terminationGracePeriodSeconds: 60
        serviceAccount: builder
        automountServiceAccountToken: true
        imagePullPolicy: IfNotPresent
        imagePullSecretName: hub
        dnsPolicy: Default
        podLabels: {team: builds}
        annotations: {example.com/note: all of it}
        lifecycleHooks:
          postStart: {exec: {command: [/bin/true]}}
          preStop: {httpGet: {path: /stop, port: 8080}}
        privileged: true
        dockerFeatureEnabled: true
        rootlessBuildkitFeatureEnabled: true
        buildSecrets: [{secret_env: NPM, secret_name: npm, secret_key: token}]
        buildSecretsFile: [{name: ca, mountPath: /etc/ca, secretName: authority}]
      launchImage: registry.example/launcher
      launchVersion: v6
      prefix: beta
executors:
  k8s:
    kubeconfig: 'KUBECONFIG'
    namespace: whole
    tolerations: [{key: spot, operator: Exists, effect: NoExecute, tolerationSeconds: 60}]
    imagePullSecrets: [quay]
    disk: {micro: 5Gi, low: 20Gi, high: 50Gi, turbo: 100Gi, max: 100Gi}
    volumes:
    - {name: scratch, mountPath: /scratch, empty: 1Gi}
    - {name: cache, mountPath: /cache, claim: cache, readOnly: true}
    - {name: settings, mountPath: /settings, configMap: settings}
";

const BUILD: &str = r#"{"image": "node:20", "cpu": "8", "ram": "4Gi", "env": {"CI": "true", "PRICE": "$(CI)"},
    "annotations": {"screwdriver.cd/disk": "HIGH", "screwdriver.cd/diskSpeed": "fast", "screwdriver.cd/dockerEnabled": true,
        "screwdriver.cd/dockerCpu": "HIGH", "screwdriver.cd/rootlessBuildkitEnabled": true,
        "screwdriver.cd/terminationGracePeriodSeconds": 90},
    "secrets": [{"name": "npm", "key": "token", "env": "NPM_TOKEN"}, {"name": "npm", "key": "rc", "path": "/run/npm/npmrc"},
        {"name": "all", "path": "/run/all"}],
    "screwdriver": {"id": 111, "api": "https://api.example", "store": "https://store.example", "ui": "https://ui.example",
        "pipeline": 7, "job": 8, "event": 9}}"#;

const TOKEN: &str = "header.claims.signature";

async fn executor(yaml: &str) -> Kubernetes {
    let kubeconfig = plane().await.kubeconfig(ClusterUser::Launcher);
    let yaml = yaml.replace("KUBECONFIG", &kubeconfig.display().to_string());
    connect(Fleet::parse(&yaml).unwrap().default_executor()).await
}

#[tokio::test]
async fn a_pod_with_everything_set_is_taken_strictly_and_its_runtime_class_is_merged() {
    plane().await.create_namespace("whole").await.unwrap();
    let admin = plane().await.client(ClusterUser::Admin).unwrap();
    let whole = Launch {
        spec: BuildSpec::parse(BUILD).unwrap(),
        annotations: vec![("io.katacontainers.config.runtime.create_container_timeout".into(), "300".into())],
        token: Some(Token(TOKEN.into())),
        ..launch(1)
    };
    let executor = executor(EVERYTHING).await;
    let uid = executor.create(&whole).await.unwrap();
    let pod = Api::<Pod>::namespaced(admin.clone(), "whole").get(&name(&whole)).await.unwrap();
    let text = serde_json::to_string(&pod).unwrap();
    assert!(!text.contains(TOKEN) && !text.contains("hostPath"), "{text}");
    let wanted = secret_of(&pod);
    let spec = pod.spec.unwrap();
    assert_eq!(spec.overhead.as_ref().unwrap()["cpu"].0, "250m");
    let keys: Vec<_> = spec.tolerations.iter().flatten().filter_map(|toleration| toleration.key.as_deref()).collect();
    assert!(["dedicated", "spot", "screwdriver.cd/disk"].iter().all(|key| keys.contains(key)), "{keys:?}");
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let limited =
        |name: &str| containers.clone().all(|c| c.resources.as_ref().unwrap().limits.as_ref().unwrap().contains_key(name));
    assert!(limited("cpu") && limited("memory"), "Kata makes the virtual machine as large as the limits are together");
    let names: Vec<_> = containers.clone().map(|container| container.name.as_str()).collect();
    assert_eq!(names, ["launcher", "dind", "buildkitd", "build"]);
    let limits = spec.containers[0].resources.as_ref().unwrap().limits.clone().unwrap();
    let limits: Vec<_> = limits.iter().map(|(name, size)| (name.as_str(), size.0.as_str())).collect();
    assert_eq!(limits, [("cpu", "8"), ("ephemeral-storage", "50Gi"), ("memory", "4Gi")]);

    // The token: in a Secret that the pod owns, made again without harm.
    let again = Launch { again: true, ..whole.clone() };
    assert_eq!(executor.create(&again).await.unwrap(), uid);
    let secret = Api::<Secret>::namespaced(admin, "whole").get(&wanted).await.unwrap();
    assert_eq!(secret.metadata.owner_references.unwrap()[0].uid, uid);
    assert_eq!(secret.data.unwrap()["token"].0, TOKEN.as_bytes());
    assert_eq!(secret.immutable, Some(true));
}

#[tokio::test]
async fn a_pod_in_the_place_of_one_that_was_deleted_by_hand_has_a_token_of_its_own() {
    plane().await.create_namespace("successor").await.unwrap();
    let admin = plane().await.client(ClusterUser::Admin).unwrap();
    let pods: Api<Pod> = Api::namespaced(admin.clone(), "successor");
    let secrets: Api<Secret> = Api::namespaced(admin, "successor");
    let executor = executor(&SEED.replace("jobsNamespace: seed", "jobsNamespace: successor")).await;
    let text = r#"{"image": "a", "screwdriver": {"id": 1, "api": "https://a", "store": "https://s", "ui": "https://u"}}"#;
    let of = |token: &str, again| Launch {
        spec: BuildSpec::parse(text).unwrap(),
        token: Some(Token(token.into())),
        again,
        ..launch(3)
    };
    let first = executor.create(&of("header.claims.first", false)).await.unwrap();
    pods.delete(&name(&launch(3)), &DeleteParams::default()).await.unwrap();
    let without = json!({"metadata": {"finalizers": null}});
    pods.patch(&name(&launch(3)), &PatchParams::default(), &Patch::Merge(without)).await.unwrap();

    // The first one's Secret is still there: it goes when the garbage is collected.
    let second = executor.create(&of("header.claims.second", true)).await.unwrap();
    assert_ne!(first, second);
    // Created by one launcher, found by another that made a token of its own meanwhile.
    assert_eq!(executor.create(&of("header.claims.third", true)).await.unwrap(), second);
    let secret = secrets.get(&secret_of(&pods.get(&name(&launch(3))).await.unwrap())).await.unwrap();
    assert_eq!(secret.metadata.owner_references.unwrap()[0].uid, second);
    assert_eq!(secret.data.unwrap()["token"].0, b"header.claims.second");
    assert_eq!(secrets.list(&ListParams::default()).await.unwrap().items.len(), 2);
}

/// The Secret that a pod of Screwdriver's waits for.
fn secret_of(pod: &Pod) -> String {
    let mut volumes = pod.spec.as_ref().unwrap().volumes.iter().flatten();
    volumes.find(|volume| volume.name == "sd-token").unwrap().secret.as_ref().unwrap().secret_name.clone().unwrap()
}

/// As it stands in the article that made Screwdriver's Kata executors known, but for the addresses.
const SEED: &str = r"
version: 1
executor:
  plugin: k8s
  k8s:
    exclusion: ['rhel6']
    weightage: 0
    options:
      kubernetes:
        runtimeClass: kata
        jobsNamespace: seed
        nodeSelectors: {dedicated: screwdriver-kata}
        resources:
          cpu: {micro: 0.5, low: 2, high: 6, turbo: 12}
          memory: {micro: 1, low: 2, high: 12, turbo: 16}
        buildTimeout: 90
        maxBuildTimeout: 120
      launchVersion: stable
      fusebox: {breaker: {timeout: 10000}}
      requestretry: {retryDelay: 3000, maxAttempts: 5}
executors: {k8s: {kubeconfig: 'KUBECONFIG'}}
clocks: {pending: 10m, grace: 60s}
";

#[tokio::test]
async fn the_published_kata_configuration_gives_the_pods_that_it_promises() {
    plane().await.create_namespace("seed").await.unwrap();
    let fleet = Fleet::parse(SEED).unwrap();
    let place = fleet.default_executor();
    assert_eq!(fleet.limits(place, None, BuildClocks::default()).running, TimeLimit::minutes(90));
    let most = fleet.limits(place, Some(TimeLimit::minutes(600)), BuildClocks::default());
    assert_eq!(most.running, TimeLimit::minutes(120));
    let executor = executor(SEED).await;
    let pods: Api<Pod> = Api::namespaced(plane().await.client(ClusterUser::Admin).unwrap(), "seed");
    let classes = [("LOW", "2", "2Gi"), ("MICRO", "500m", "1Gi"), ("HIGH", "6", "12Gi"), ("TURBO", "12", "16Gi")];
    for (n, (class, cpu, memory)) in (1..).zip(classes) {
        let sized: BTreeMap<_, _> =
            ["cpu", "ram"].map(|name| (format!("screwdriver.cd/{name}"), class.to_owned())).into_iter().collect();
        // LOW is what a build gets that asks for nothing.
        let annotations = if class == "LOW" { BTreeMap::new() } else { sized };
        let launch = Launch { limits: most, ..launch(n) };
        let launch = Launch { spec: BuildSpec { annotations, ..launch.spec.clone() }, ..launch };
        executor.create(&launch).await.unwrap();
        let spec = pods.get(&name(&launch)).await.unwrap().spec.unwrap();
        let limits = spec.containers[0].resources.as_ref().unwrap().limits.clone().unwrap();
        assert_eq!((limits["cpu"].0.as_str(), limits["memory"].0.as_str()), (cpu, memory), "{class}");
        assert_eq!(spec.runtime_class_name.as_deref(), Some("kata"));
        assert_eq!(spec.node_selector.unwrap()["dedicated"], "screwdriver-kata");
        assert_eq!(spec.automount_service_account_token, Some(false));
        assert_eq!(spec.containers[0].security_context.as_ref().unwrap().privileged, Some(false));
        assert_eq!(spec.active_deadline_seconds, Some((10 + 120 + 1) * 60));
    }
}

#[tokio::test]
async fn a_build_of_screwdrivers_without_a_key_for_its_token_ends() {
    let executor = executor(SEED).await;
    let text = r#"{"image": "a", "screwdriver": {"id": 1, "api": "https://a", "store": "https://s", "ui": "https://u"}}"#;
    let without = Launch { spec: BuildSpec::parse(text).unwrap(), ..launch(9) };
    let refused = executor.create(&without).await.unwrap_err();
    assert!(matches!(&refused, CreateError::Rejected(why) if why.contains("--screwdriver-key")), "{refused}");
}
