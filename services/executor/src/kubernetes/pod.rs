//! The pod of one attempt.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, EnvVar, Pod, PodSchedulingGate, PodSpec, ResourceRequirements, Toleration},
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use switchyard_events::{BuildSpec, InvalidBuild, Step};
use switchyard_fleet::{InvalidSize, KubernetesOptions, Resources};

use super::marks;
use crate::{Launch, script};

/// The container that runs the build.
pub(crate) const CONTAINER: &str = "build";

/// The kernel takes no longer argument or variable (`MAX_ARG_STRLEN`, with its closing zero).
const LONGEST_TEXT: usize = 128 * 1024 - 1;

/// A build of which no pod can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unlaunchable {
    #[error("cpu: {0}")]
    Cpu(InvalidSize),
    #[error("ram: {0}")]
    Memory(InvalidSize),
    #[error("{0} is longer than the {LONGEST_TEXT} bytes that Linux gives a process in one piece")]
    TooLong(String),
    #[error("secrets: this launcher cannot give a pod the secrets of a build yet")]
    Secrets,
    #[error(transparent)]
    Spec(#[from] InvalidBuild),
}

/// The pod of `launch`: gated, held, limited, and with nothing of the build's own in the place of ours.
pub(crate) fn pod(options: &KubernetesOptions, launch: &Launch) -> Result<Pod, Unlaunchable> {
    check_lengths(&launch.spec)?;
    let spec = PodSpec {
        scheduling_gates: Some(vec![PodSchedulingGate { name: marks::GATE.to_owned() }]),
        runtime_class_name: options.runtime_class.clone(),
        node_selector: (!options.node_selectors.is_empty()).then(|| options.node_selectors.clone()),
        tolerations: Some(options.node_selectors.iter().map(toleration).collect()),
        restart_policy: Some("Never".to_owned()),
        active_deadline_seconds: Some(deadline_seconds(launch)),
        termination_grace_period_seconds: Some(i64::from(options.termination_grace_period_seconds)),
        service_account_name: Some(options.service_account.clone()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        dns_policy: Some(options.dns_policy.as_str().to_owned()),
        containers: vec![container(options, launch)?],
        ..PodSpec::default()
    };
    Ok(Pod { metadata: metadata(options, launch), spec: Some(spec), status: None })
}

fn metadata(options: &KubernetesOptions, launch: &Launch) -> ObjectMeta {
    ObjectMeta {
        name: Some(marks::pod_name(&launch.build, launch.attempt)),
        labels: Some(labels(options, launch)),
        annotations: Some(annotations(options, launch)),
        finalizers: Some(vec![marks::FINALIZER.to_owned()]),
        ..ObjectMeta::default()
    }
}

/// The executor's labels, then ours over them: Screwdriver's three, by which its users find pods, and our own.
fn labels(options: &KubernetesOptions, launch: &Launch) -> BTreeMap<String, String> {
    let ours = [
        ("app", "screwdriver".to_owned()),
        ("tier", "builds".to_owned()),
        ("sdbuild", launch.build.to_string()),
        (marks::BUILD, launch.build.to_string()),
        (marks::ATTEMPT, launch.attempt.to_string()),
        (marks::EXECUTOR, launch.executor.clone()),
    ];
    let mut labels = foreign(&options.pod_labels);
    labels.extend(ours.map(|(key, value)| (key.to_owned(), value)));
    labels
}

/// The executor's annotations, the build's own over them, ours over both.
fn annotations(options: &KubernetesOptions, launch: &Launch) -> BTreeMap<String, String> {
    let limits = serde_json::to_string(&launch.limits).ok();
    let ours = [
        (marks::SOURCE, Some(launch.source.clone())),
        (marks::SUBJECT, Some(launch.subject.clone())),
        (marks::TENANT, Some(launch.tenant.clone())),
        (marks::PIPELINE, launch.pipeline.clone()),
        (marks::JOB, launch.job.clone()),
        (marks::LIMITS, limits),
        (marks::TRACEPARENT, Some(launch.traceparent.clone())),
    ];
    let mut annotations = foreign(&options.annotations);
    annotations.extend(launch.annotations.iter().filter(|(key, _)| !key.starts_with(marks::PREFIX)).cloned());
    annotations.extend(ours.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    annotations
}

fn foreign(given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    given.iter().filter(|(key, _)| !key.starts_with(marks::PREFIX)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// As Screwdriver has it: what a node must be labelled with, its taint of the same name keeps others away.
fn toleration((key, value): (&String, &String)) -> Toleration {
    Toleration {
        key: Some(key.clone()),
        operator: Some("Equal".to_owned()),
        value: Some(value.clone()),
        effect: Some("NoSchedule".to_owned()),
        ..Toleration::default()
    }
}

/// When the node itself ends the pod. It counts from the pod's start there, image pull included, and cannot be prolonged.
fn deadline_seconds(launch: &Launch) -> i64 {
    let limits = &launch.limits;
    [limits.pending, limits.running_max, limits.grace]
        .into_iter()
        .map(switchyard_events::TimeLimit::whole_seconds)
        .sum::<i64>()
        .max(1)
}

fn container(options: &KubernetesOptions, launch: &Launch) -> Result<Container, Unlaunchable> {
    let mut command = script::command(&launch.spec.steps).map(|words| words.iter().map(|word| literal(word)).collect::<Vec<_>>());
    Ok(Container {
        name: CONTAINER.to_owned(),
        image: Some(launch.spec.image.clone()),
        image_pull_policy: Some(options.image_pull_policy.as_str().to_owned()),
        args: command.as_mut().map(|words| words.split_off(SHELL)),
        command,
        env: Some(environment(launch)),
        resources: Some(resources(&options.resources, &launch.spec)?),
        ..Container::default()
    })
}

/// The words of the command that are the shell and its script; the steps come behind them.
const SHELL: usize = 4;

/// The build's variables, with ours over them.
fn environment(launch: &Launch) -> Vec<EnvVar> {
    let ours = [
        ("TRACEPARENT", launch.traceparent.clone()),
        ("SWITCHYARD_BUILD", launch.build.to_string()),
        ("SWITCHYARD_ATTEMPT", launch.attempt.to_string()),
    ];
    let mut variables = launch.spec.env.clone();
    variables.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    let variable = |(name, value): (String, String)| EnvVar { name, value: Some(literal(&value)), ..EnvVar::default() };
    variables.into_iter().map(variable).collect()
}

/// Kubernetes replaces `$(NAME)` in commands and variables and turns `$$` into `$`; a shell's text must arrive as it is.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// Always limits: Kata makes the virtual machine as large as they are.
fn resources(given: &Resources, spec: &BuildSpec) -> Result<ResourceRequirements, Unlaunchable> {
    let cpu = given.cpu.get(spec.cpu.as_deref().or(spec.screwdriver("cpu"))).map_err(Unlaunchable::Cpu)?;
    let memory = given.memory.get(spec.ram.as_deref().or(spec.screwdriver("ram"))).map_err(Unlaunchable::Memory)?;
    let limits = [("cpu", cpu.to_string()), ("memory", memory.to_string())];
    let limits = limits.map(|(name, size)| (name.to_owned(), Quantity(size)));
    Ok(ResourceRequirements { limits: Some(limits.into()), ..ResourceRequirements::default() })
}

fn check_lengths(spec: &BuildSpec) -> Result<(), Unlaunchable> {
    if !spec.secrets.is_empty() {
        return Err(Unlaunchable::Secrets);
    }
    let step = spec.steps.iter().position(|Step { run, .. }| run.len() > LONGEST_TEXT).map(|n| format!("steps[{n}].run"));
    let variable = spec.env.iter().find(|(name, value)| name.len() + 1 + value.len() > LONGEST_TEXT);
    match step.or_else(|| variable.map(|(name, _)| format!("env.{name}"))) {
        Some(text) => Err(Unlaunchable::TooLong(text)),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use switchyard_events::{BuildKey, Limits, TimeLimit};
    use switchyard_fleet::Fleet;

    use super::*;

    /// The pod of an attempt, as the API server would give it back.
    pub(crate) fn example(attempt: u32) -> Pod {
        let mut pod = pod(&options(""), &Launch { attempt, ..launch("image: node:20") }).unwrap();
        pod.metadata.uid = Some("uid-1".to_owned());
        pod.metadata.creation_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        pod
    }

    fn options(lines: &str) -> KubernetesOptions {
        let kubernetes = format!("{{runtimeClass: kata, nodeSelectors: {{dedicated: screwdriver-kata}}, {lines}}}");
        let yaml = format!("version: 1\nexecutor: {{plugin: k8s, k8s: {{options: {{kubernetes: {kubernetes}}}}}}}\n");
        Fleet::parse(&yaml).unwrap().default_executor().kubernetes.clone()
    }

    fn launch(spec: &str) -> Launch {
        Launch {
            build: BuildKey::of("/ci", "7", "1"),
            attempt: 1,
            again: false,
            executor: "k8s".to_owned(),
            tenant: "default".to_owned(),
            pipeline: Some("shop".to_owned()),
            job: None,
            source: "/ci".to_owned(),
            subject: "7".to_owned(),
            spec: serde_json::from_value(json_of(spec)).unwrap(),
            annotations: vec![("dev.switchyard/run-for".to_owned(), "1s".to_owned())],
            limits: Limits {
                queued: TimeLimit::minutes(10),
                pending: TimeLimit::minutes(2),
                running: TimeLimit::seconds(20),
                running_max: TimeLimit::minutes(120),
                teardown: TimeLimit::seconds(30),
                grace: "10s1ms".parse().unwrap(),
                linger: TimeLimit::seconds(2),
            },
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        }
    }

    /// `image: a, cpu: 2` as JSON.
    fn json_of(fields: &str) -> serde_json::Value {
        let fields = fields.split(", ").map(|field| field.split_once(": ").unwrap());
        fields.map(|(key, value)| (key.to_owned(), serde_json::Value::from(value))).collect()
    }

    fn spec_of(launch: &Launch) -> PodSpec {
        pod(&options(""), launch).unwrap().spec.unwrap()
    }

    fn limits(spec: &str) -> (String, String) {
        let limits = spec_of(&launch(spec)).containers.remove(0).resources.unwrap().limits.unwrap();
        (limits["cpu"].0.clone(), limits["memory"].0.clone())
    }

    #[test]
    fn a_pod_cannot_run_before_it_is_bound_and_stays_until_it_is_released() {
        let pod = example(2);
        assert_eq!(pod.spec.as_ref().unwrap().scheduling_gates.as_ref().unwrap()[0].name, "switchyard.dev/bound");
        assert_eq!(pod.metadata.finalizers.as_deref(), Some(&["switchyard.dev/reaper".to_owned()][..]));
        assert_eq!(pod.metadata.name, Some(format!("b-{}-2", BuildKey::of("/ci", "7", "1"))));
        assert_eq!(pod.metadata.labels.as_ref().unwrap()["switchyard.dev/attempt"], "2");
        assert_eq!(pod.metadata.labels.as_ref().unwrap()["sdbuild"], BuildKey::of("/ci", "7", "1").to_string());
    }

    #[test]
    fn a_pod_is_what_the_executor_says() {
        let spec = spec_of(&launch("image: node:20"));
        assert_eq!(spec.runtime_class_name.as_deref(), Some("kata"));
        assert_eq!(spec.node_selector.unwrap()["dedicated"], "screwdriver-kata");
        let toleration = &spec.tolerations.unwrap()[0];
        assert_eq!((toleration.key.as_deref(), toleration.effect.as_deref()), (Some("dedicated"), Some("NoSchedule")));
        assert_eq!(spec.restart_policy.as_deref(), Some("Never"));
        assert_eq!(spec.automount_service_account_token, Some(false));
        assert_eq!(spec.active_deadline_seconds, Some(2 * 60 + 120 * 60 + 11));
        assert_eq!(spec.termination_grace_period_seconds, Some(30));
        assert!(spec.volumes.is_none() && spec.host_network.is_none());
    }

    #[test]
    fn limits_are_always_set_and_never_beyond_the_maximum() {
        assert_eq!(limits("image: a"), ("2".into(), "2Gi".into()));
        assert_eq!(limits("image: a, cpu: HIGH, ram: 512Mi"), ("6".into(), "512Mi".into()));
        assert_eq!(limits("image: a, cpu: 500m, ram: 4"), ("500m".into(), "4Gi".into()));
        assert_eq!(limits("image: a, cpu: 99, ram: 99"), ("12".into(), "16Gi".into()));
        let refused = pod(&options(""), &launch("image: a, ram: 500m")).unwrap_err();
        assert!(refused.to_string().starts_with("ram: \"500m\" is not a size"), "{refused}");
    }

    #[test]
    fn screwdrivers_annotations_choose_the_size_where_the_build_does_not() {
        let mut launch = launch("image: a, ram: 1");
        for name in ["cpu", "ram"] {
            launch.spec.annotations.insert(format!("screwdriver.cd/{name}"), "TURBO".to_owned());
        }
        let limits = spec_of(&launch).containers.remove(0).resources.unwrap().limits.unwrap();
        assert_eq!((limits["cpu"].0.as_str(), limits["memory"].0.as_str()), ("12", "1Gi"));
    }

    #[test]
    fn nothing_of_the_builds_own_takes_the_place_of_ours() {
        let mut launch = launch("image: a");
        launch.annotations.push(("switchyard.dev/limits".to_owned(), "none".to_owned()));
        launch.annotations.push(("switchyard.dev/other".to_owned(), "x".to_owned()));
        launch.spec.env = [("TRACEPARENT", "mine"), ("SWITCHYARD_BUILD", "mine")].map(|(k, v)| (k.into(), v.into())).into();
        let labels =
            "podLabels: {app: other, switchyard.dev/build: x, team: a}, annotations: {switchyard.dev/tenant: x, note: b}";
        let pod = pod(&options(labels), &launch).unwrap();
        let annotations = pod.metadata.annotations.unwrap();
        assert_eq!(serde_json::from_str::<Limits>(&annotations["switchyard.dev/limits"]).unwrap(), launch.limits);
        assert_eq!(annotations["switchyard.dev/tenant"], "default");
        assert_eq!((annotations["note"].as_str(), annotations["dev.switchyard/run-for"].as_str()), ("b", "1s"));
        assert!(!annotations.contains_key("switchyard.dev/other"));
        let labels = pod.metadata.labels.unwrap();
        assert_eq!((labels["app"].as_str(), labels["team"].as_str()), ("screwdriver", "a"));
        assert_eq!(labels["switchyard.dev/build"], launch.build.to_string());
        let env = pod.spec.unwrap().containers.remove(0).env.unwrap();
        let values: Vec<_> = env.iter().filter(|e| e.name == "TRACEPARENT").map(|e| e.value.clone().unwrap()).collect();
        assert_eq!(values, [launch.traceparent]);
    }

    #[test]
    fn a_shells_text_arrives_as_it_is() {
        let mut launch = launch("image: a");
        launch.spec.steps = vec![Step { name: "x".into(), run: "echo $$ $(HOME) $1".into() }];
        launch.spec.env = [("PRICE".to_owned(), "$(CI)".to_owned())].into();
        let container = spec_of(&launch).containers.remove(0);
        assert_eq!(container.command.unwrap()[..2], ["/bin/sh", "-ec"]);
        assert_eq!(container.args.unwrap(), ["x", "echo $$$$ $$(HOME) $$1"]);
        assert_eq!(container.env.unwrap().iter().find(|e| e.name == "PRICE").unwrap().value.as_deref(), Some("$$(CI)"));
    }

    #[test]
    fn a_build_without_steps_runs_the_images_own_entry_point() {
        let container = spec_of(&launch("image: a")).containers.remove(0);
        assert_eq!((container.command, container.args), (None, None));
    }

    #[test]
    fn a_text_that_no_process_can_be_given_is_refused_by_name() {
        let mut launch = launch("image: a");
        launch.spec.steps = vec![Step { name: "x".into(), run: "x".repeat(LONGEST_TEXT + 1) }];
        assert!(pod(&options(""), &launch).unwrap_err().to_string().starts_with("steps[0].run is longer"));
    }
}
