//! What the proofs of the table are made of: builds, the pods that they get, and what is to be found in these.

use serde_json::{Value, json};
use switchyard_events::{BuildSpec, TimeLimit};
use switchyard_fleet::Fleet;

use super::super::{
    Unlaunchable, pod,
    tests::{launch, parsed},
};
use crate::{Launch, Token};

pub(super) const TOKEN: &str = "header.claims.signature";

pub(super) fn plain() -> Value {
    json!({"image": "a"})
}

pub(super) fn asks(annotation: &str, value: &str) -> Value {
    json!({"image": "a", "annotations": {format!("screwdriver.cd/{annotation}"): value}})
}

pub(super) fn screwdrivers() -> Value {
    json!({"image": "a", "screwdriver": {"id": "111", "api": "https://a", "store": "https://s", "ui": "https://u", "pipeline": "7"}})
}

pub(super) fn launched(build: &Value) -> Launch {
    let spec = BuildSpec::parse(&build.to_string()).unwrap();
    let annotations = spec.foreign_annotations().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Launch { annotations, job: spec.job.clone(), spec, token: Some(Token(TOKEN.to_owned())), ..launch("image: a") }
}

/// The pod of a build, on an executor with these options and these keys under `executors.k8s`.
pub(super) fn pod_of(options: &str, addition: &str, build: &Value) -> Result<Value, Unlaunchable> {
    pod(&parsed(options, addition).unwrap(), &launched(build)).map(|pod| serde_json::to_value(pod).unwrap())
}

pub(super) fn made(kubernetes: &str, build: &Value) -> Value {
    pod_of(&format!("kubernetes: {{{kubernetes}}}"), "", build).unwrap()
}

pub(super) fn refused(kubernetes: &str, build: &Value) -> Unlaunchable {
    pod_of(&format!("kubernetes: {{{kubernetes}}}"), "", build).unwrap_err()
}

pub(super) fn at(pod: &Value, pointer: &str) -> Value {
    pod.pointer(pointer).cloned().unwrap_or_default()
}

pub(super) fn gives(kubernetes: &str, build: &Value, pointer: &str, wanted: impl Into<Value>) {
    assert_eq!(at(&made(kubernetes, build), pointer), wanted.into(), "{kubernetes} {build}");
}

pub(super) fn adds(addition: &str, build: &Value, pointer: &str, wanted: impl Into<Value>) {
    assert_eq!(at(&pod_of("", addition, build).unwrap(), pointer), wanted.into(), "{addition} {build}");
}

pub(super) fn launcher(options: &str, pointer: &str, wanted: impl Into<Value>) {
    assert_eq!(at(&pod_of(options, "", &screwdrivers()).unwrap(), pointer), wanted.into(), "{options}");
}

pub(super) fn limit(resource: &str) -> String {
    format!("/spec/containers/0/resources/limits/{resource}")
}

pub(super) fn limits(kubernetes: &str, build: &Value, resource: &str, wanted: &str) {
    gives(kubernetes, build, &limit(resource), wanted);
}

/// What a build gets that asks for this much, by annotation or by a field of its own; and that it must be a size.
pub(super) fn sizes(resource: &str, cases: &[(&str, &str)]) {
    let field = if resource == "cpu" { "cpu" } else { "ram" };
    for (asked, wanted) in cases {
        limits("", &asks(field, asked), resource, wanted);
        limits("", &json!({"image": "a", field: asked}), resource, wanted);
    }
    limits("", &json!({"image": "a", field: 4}), resource, if resource == "cpu" { "4" } else { "4Gi" });
    assert!(BuildSpec::parse(&asks(field, "toString").to_string()).is_err(), "what is no size is refused");
}

pub(super) fn needs_a_node_with(label: &str, build: &Value, value: &str) {
    let options = format!("resources: {{disk: {{{label}: {label}.example}}}}");
    let terms =
        "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchExpressions/0";
    gives(&options, build, terms, json!({"key": format!("{label}.example"), "operator": "In", "values": [value]}));
    gives(&options, build, "/spec/tolerations/0/key", format!("{label}.example"));
}

/// How long a build may run, as the router decides it.
pub(super) fn runs_for(build: &Value) -> Result<TimeLimit, String> {
    let yaml = "version: 1\nexecutor: {plugin: k8s, k8s: {options: {kubernetes: {buildTimeout: 30, maxBuildTimeout: 45}}}}\n";
    let fleet = Fleet::parse(yaml).unwrap();
    let spec = BuildSpec::parse(&build.to_string()).map_err(|error| error.to_string())?;
    Ok(fleet.limits(fleet.default_executor(), spec.view().asked_timeout().unwrap(), spec.clocks).running)
}

pub(super) fn variable(pod: &Value, name: &str) -> Value {
    let env = pod["spec"]["containers"][0]["env"].as_array().unwrap();
    env.iter().find(|variable| variable["name"] == name).cloned().unwrap_or_default()
}

pub(super) fn tells(kubernetes: &str, build: &Value, name: &str, value: &str) {
    assert_eq!(variable(&made(kubernetes, build), name)["value"], value);
}

pub(super) fn launcher_tells(options: &str, name: &str, value: &str) {
    assert_eq!(variable(&pod_of(options, "", &screwdrivers()).unwrap(), name)["value"], value);
}

pub(super) fn from(name: &str, source: &str) -> Value {
    variable(&made("", &plain()), name)["valueFrom"][source].clone()
}

/// The volume that a Screwdriver build finds at a path.
pub(super) fn mounted(path: &str) -> Value {
    let pod = made("", &screwdrivers());
    let found =
        |list: &Value, key: &str, wanted: &Value| list.as_array().unwrap().iter().find(|one| one[key] == *wanted).cloned();
    let mount = found(&pod["spec"]["containers"][0]["volumeMounts"], "mountPath", &json!(path)).unwrap();
    found(&pod["spec"]["volumes"], "name", &mount["name"]).unwrap()
}

pub(super) fn sidecar(kubernetes: &str, enabled: &str, annotation: &str, resource: &str, wanted: &str) {
    let mut build = asks(enabled, "true");
    build["annotations"][format!("screwdriver.cd/{annotation}")] = json!("HIGH");
    gives(kubernetes, &build, &format!("/spec/initContainers/0/resources/limits/{resource}"), wanted);
}

/// The fleet file is refused where it alone shows that there is no virtual machine, else the build.
pub(super) fn no_virtual_machine(kubernetes: &str, build: &Value) {
    let Ok(executor) = parsed(&format!("kubernetes: {{{kubernetes}}}"), "") else { return };
    assert!(matches!(pod(&executor, &launched(build)), Err(Unlaunchable::NotIsolated(..))), "{kubernetes} {build}");
}

pub(super) fn no_fleet(options: &str, remedy: &str) {
    let error = parsed(options, "").unwrap_err().to_string();
    assert!(error.contains(remedy), "{error}");
}

pub(super) fn warned_of(options: &str, path: &str) {
    let yaml = format!("version: 1\nexecutor: {{plugin: k8s, k8s: {{options: {{{options}}}}}}}\n");
    let fleet = Fleet::parse(&yaml).unwrap();
    assert!(fleet.warnings().iter().any(|warning| warning.path == path), "{:?}", fleet.warnings());
}
