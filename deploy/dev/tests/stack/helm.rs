//! The chart: rendered by the real Helm, applied strictly to the real API server, and held against what all tests run under.

use std::{fs, path::PathBuf, process::Output};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams, ValidationDirective};
use serde_json::{Value, json};
use switchyard_dev::{ClusterUser, ControlPlane, Tool, Tools, nats_permissions};
use tokio::process::Command;

fn deploy() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

async fn helm(arguments: &[&str]) -> Output {
    let tools = Tools::ready(&[Tool::Helm]).await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(tools.path(Tool::Helm))
        .args(arguments)
        .env("HELM_CACHE_HOME", home.path())
        .env("HELM_CONFIG_HOME", home.path())
        .env("HELM_DATA_HOME", home.path())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Everything switched on, and two executors more: one elsewhere, one that makes no pods.
const VALUES: &str = r"
fleet:
  version: 1
  executor:
    plugin: k8s
    k8s: {options: {kubernetes: {runtimeClass: kata, jobsNamespace: builds}}}
    K8s_east: {pluginName: kubernetes, weightage: 1}
    local: {plugin: process, weightage: 0}
  clusters: {east: {kubeconfig: {secret: east}, namespace: far}}
  executors: {K8s_east: {cluster: east}}
  tenants: {acme: {}, default: {}, trainer: {}}
nats: {ca: nats-ca}
image: {pullSecrets: [hub]}
runtimeClass: {create: true, name: kata-extra}
screwdriver: {key: screwdriver}
traces: {endpoint: 'http://collector:4318'}
nodeSelector: {pool: services}
tolerations: [{key: services, operator: Exists}]
podAnnotations: {example.com/note: 'yes'}
";

async fn rendered(values: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml");
    fs::write(&file, values).unwrap();
    let (chart, file) = (deploy().join("helm"), file.display().to_string());
    let chart = chart.to_str().unwrap();
    helm(&["lint", "--strict", chart, "--values", &file]).await;
    let arguments = ["template", "yard", chart, "--namespace", "switchyard", "--kube-version", "1.37.2", "--values", &file];
    let text = String::from_utf8(helm(&arguments).await.stdout).unwrap();
    serde_saphyr::from_multiple(&text).unwrap()
}

fn named<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
    objects.iter().find(is).unwrap_or_else(|| panic!("no {kind} {name}"))
}

async fn apply(client: &kube::Client, object: &Value) {
    let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    let types = object.types.clone().unwrap();
    let (group, version) = types.api_version.rsplit_once('/').unwrap_or(("", &types.api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &types.kind));
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = object.metadata.name.clone().unwrap();
    let strictly = PatchParams { field_validation: Some(ValidationDirective::Strict), ..PatchParams::apply("helm").force() };
    if let Err(error) = api.patch(&name, &strictly, &Patch::Apply(&object)).await {
        panic!("{} {name}: {error}", types.kind);
    }
}

#[tokio::test]
async fn the_chart_is_taken_by_the_api_server_and_holds_what_its_values_say() {
    let objects = rendered(VALUES).await;
    let tools = Tools::ready(&[Tool::Etcd, Tool::KubeApiserver, Tool::KubeScheduler, Tool::Kwok]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(&tools, folder.path()).await.unwrap();
    let client = plane.client(ClusterUser::Admin).unwrap();
    apply(&client, &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "switchyard"}})).await;
    let (first, second): (Vec<_>, Vec<_>) = objects.iter().partition(|object| object["kind"] == "Namespace");
    for object in first.into_iter().chain(second) {
        apply(&client, object).await;
    }

    let kinds = |kind: &str| {
        let mut names: Vec<_> = objects
            .iter()
            .filter(|object| object["kind"] == kind)
            .map(|object| object["metadata"]["name"].as_str().unwrap())
            .collect();
        names.sort_unstable();
        names
    };
    let deployments =
        ["yard-launcher-k8s", "yard-launcher-k8s-east", "yard-reaper-k8s", "yard-reaper-k8s-east", "yard-router", "yard-trainer"];
    assert_eq!(kinds("Deployment"), deployments, "one launcher and one reaper for each executor that makes pods");
    assert_eq!(kinds("RuntimeClass"), ["kata-extra"]);
    let pod = &named(&objects, "Deployment", "yard-launcher-k8s-east")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let env = container["env"].as_array().unwrap();
    let value =
        |name: &str| env.iter().find(|variable| variable["name"] == name).map(|variable| variable["value"].as_str().unwrap());
    assert_eq!(value("SWITCHYARD_EXECUTOR"), Some("K8s_east"));
    assert_eq!(value("SWITCHYARD_SCREWDRIVER_KEY"), Some("/run/switchyard/screwdriver/private-key.pem"));
    let mounted = container["volumeMounts"].as_array().unwrap();
    assert!(mounted.iter().any(|mount| mount["mountPath"] == "/etc/switchyard/secrets/east"), "{mounted:?}");
    each_pod_is_restricted_and_limited(&client, &objects).await;
    assert_eq!(named(&objects, "Deployment", "yard-router")["spec"]["template"]["spec"]["automountServiceAccountToken"], false);
    let roles =
        objects.iter().filter(|object| object["kind"] == "Role").map(|role| role["metadata"]["namespace"].as_str().unwrap());
    assert!(roles.clone().all(|namespace| namespace == "builds"), "nothing is made for a cluster elsewhere");
    plane.stop().await;
}

/// Every pod of the chart is one that Kubernetes' strictest profile takes (not root, no capability, nothing of the node), has its
/// resources, and is asked how it is.
async fn each_pod_is_restricted_and_limited(client: &kube::Client, objects: &[Value]) {
    let strict = json!({"name": "strict", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}});
    apply(client, &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": strict})).await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "strict");
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let of_pod = |spec: &Value| serde_json::from_value(json!({"metadata": {"name": "a"}, "spec": spec})).unwrap();
    let privileged = json!({"containers": [{"name": "a", "image": "a", "securityContext": {"privileged": true}}]});
    assert!(pods.create(&dry, &of_pod(&privileged)).await.unwrap_err().to_string().contains("PodSecurity"));
    let services = objects.iter().filter(|object| object["spec"]["template"].is_object());
    assert_eq!(services.clone().count(), 7, "six Deployments and a Job");
    for service in services {
        let (name, spec) = (&service["metadata"]["name"], &service["spec"]["template"]["spec"]);
        pods.create(&dry, &of_pod(spec)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(spec["containers"].as_array().unwrap().len(), 1);
        let container = &spec["containers"][0];
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true, "{name}");
        let sizes = ["/requests/cpu", "/requests/memory", "/limits/memory"].map(|size| container["resources"].pointer(size));
        assert!(sizes.iter().all(Option::is_some), "{name}: {sizes:?}");
        let asked = ["livenessProbe", "readinessProbe"].map(|probe| container[probe]["httpGet"]["path"].as_str());
        let wanted = if service["kind"] == "Job" { [None, None] } else { [Some("/livez"), Some("/readyz")] };
        assert_eq!(asked, wanted, "{name}");
    }
}

#[tokio::test]
async fn the_chart_gives_the_permissions_that_all_tests_run_under() {
    let objects = rendered("{}").await;
    assert!(!objects.iter().any(|object| object["kind"] == "RuntimeClass"), "kata-deploy's own is better");
    let text = |file: &str| fs::read_to_string(deploy().join("dev/manifests").join(file)).unwrap();
    let manifests: Vec<Value> = ["namespace.yaml", "cluster.yaml"]
        .iter()
        .flat_map(|file| serde_saphyr::from_multiple::<Value>(&text(file)).unwrap())
        .collect();
    for service in ["launcher", "reaper"] {
        let ours = |kind| &named(&manifests, kind, &format!("switchyard-{service}"))["rules"];
        assert_eq!(&named(&objects, "Role", &format!("yard-{service}"))["rules"], ours("Role"), "{service}");
        let of_cluster = named(&objects, "ClusterRole", &format!("switchyard-yard-{service}"));
        assert_eq!(&of_cluster["rules"], ours("ClusterRole"), "{service}");
    }
}

#[test]
fn the_charts_table_of_nats_permissions_is_the_codes() {
    let file = deploy().join("helm/files/nats-permissions.json");
    let wanted = format!("{:#}\n", nats_permissions(&["EXECUTOR".to_owned()], &["TENANT".to_owned()]));
    if std::env::var_os("SWITCHYARD_WRITE_CHART").is_some() {
        fs::write(&file, &wanted).unwrap();
    }
    assert!(fs::read_to_string(&file).unwrap() == wanted, "{} is old: SWITCHYARD_WRITE_CHART=1 writes it anew", file.display());
}

#[tokio::test]
async fn nats_takes_the_users_of_the_chart() {
    let objects = rendered(VALUES).await;
    let users = named(&objects, "ConfigMap", "yard-nats-users")["data"]["switchyard-users.conf"].as_str().unwrap();
    for wanted in ["publisher-acme", "$JS.API.CONSUMER.MSG.NEXT.YARD.launcher-K8s_east", "ci.acme.>"] {
        assert!(users.contains(wanted), "{wanted} is missing:\n{users}");
    }
    assert!(!users.contains("publisher-trainer"), "nobody publishes as the trainer");
    assert!(!users.contains("EXECUTOR") && !users.contains("TENANT"));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("switchyard-users.conf"), users).unwrap();
    fs::write(folder.path().join("nats.conf"), "authorization { include switchyard-users.conf }\n").unwrap();
    let tools = Tools::ready(&[Tool::NatsServer]).await.unwrap();
    let mut check = Command::new(tools.path(Tool::NatsServer));
    check.arg("-t").arg("-c").arg(folder.path().join("nats.conf"));
    for line in users.lines().filter_map(|line| line.split_once("password: $")) {
        check.env(line.1.split(',').next().unwrap(), "secret");
    }
    let output = check.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
