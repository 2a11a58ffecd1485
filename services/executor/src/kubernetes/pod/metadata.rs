//! What the pod is called and carries.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use switchyard_fleet::Executor;

use super::{Unlaunchable, resources};
use crate::{Launch, kubernetes::marks};

/// The annotations of Kata that a build may set, where its tenant may too. The others choose files of the node (kernels, images,
/// daemons), or make the virtual machine larger than the pod's limits.
pub(super) const KATA: [&str; 4] = [
    "io.katacontainers.config.hypervisor.enable_iommu",
    "io.katacontainers.config.hypervisor.kernel_params",
    "io.katacontainers.config.hypervisor.kernel_verity_params",
    "io.katacontainers.config.runtime.create_container_timeout",
];

pub(super) fn of(executor: &Executor, launch: &Launch) -> Result<ObjectMeta, Unlaunchable> {
    Ok(ObjectMeta {
        name: Some(marks::pod_name(&launch.build, launch.attempt)),
        labels: Some(labels(executor, launch)?),
        annotations: Some(annotations(executor, launch)?),
        finalizers: Some(vec![marks::FINALIZER.to_owned()]),
        ..ObjectMeta::default()
    })
}

/// The executor's labels, then ours over them: Screwdriver's, by which its users find pods, and our own.
fn labels(executor: &Executor, launch: &Launch) -> Result<BTreeMap<String, String>, Unlaunchable> {
    let id = launch.spec.screwdriver_build.as_ref().map_or_else(|| launch.build.to_string(), |build| build.id.clone());
    let size = resources::of(executor, &launch.spec)?;
    let ours = [
        ("app", Some("screwdriver".to_owned())),
        ("tier", Some("builds".to_owned())),
        ("sdbuild", Some(format!("{}{id}", executor.screwdriver.prefix))),
        ("screwdriver.cd/pipeline", launch.pipeline.clone()),
        ("screwdriver.cd/job", launch.job.clone()),
        ("screwdriver.cd/cpu", Some(units(size.cpu.count(), 1000))),
        ("screwdriver.cd/memory", Some(units(size.memory.count(), 1 << 30))),
        ("screwdriver.cd/disk", launch.spec.screwdriver("disk").map(str::to_owned)),
        (marks::BUILD, Some(launch.build.to_string())),
        (marks::ATTEMPT, Some(launch.attempt.to_string())),
        (marks::EXECUTOR, Some(launch.executor.clone())),
    ];
    let mut labels = foreign(&executor.kubernetes.pod_labels);
    labels.extend(ours.into_iter().filter_map(|(key, value)| Some((key.to_owned(), label(&value?)?))));
    Ok(labels)
}

/// Cores and GiB as Screwdriver's labels have them: `6`, `0.5`.
fn units(count: u64, unit: u64) -> String {
    let thousandths = u128::from(count) * 1000 / u128::from(unit);
    let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// As much of a text as a label's value can hold; `None` where that is nothing.
fn label(text: &str) -> Option<String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let text: String = text.chars().map(plain).collect();
    let cut = &text[..text.len().min(63)];
    let edges = |c: char| !c.is_ascii_alphanumeric();
    Some(cut.trim_matches(edges).to_owned()).filter(|label| !label.is_empty())
}

/// The executor's annotations, the build's own over them, ours over both.
fn annotations(executor: &Executor, launch: &Launch) -> Result<BTreeMap<String, String>, Unlaunchable> {
    let not_for_builds = |key: &str| key.starts_with("io.katacontainers.") && !KATA.contains(&key);
    if let Some((key, _)) = launch.annotations.iter().find(|(key, _)| not_for_builds(key)) {
        return Err(Unlaunchable::Annotation(key.clone()));
    }
    let limits = serde_json::to_string(&launch.limits).ok();
    let ours = [
        (marks::EXECUTOR, Some(launch.executor.clone())),
        (marks::SOURCE, Some(launch.source.clone())),
        (marks::SUBJECT, Some(launch.subject.clone())),
        (marks::TENANT, Some(launch.tenant.clone())),
        (marks::PIPELINE, launch.pipeline.clone()),
        (marks::JOB, launch.job.clone()),
        (marks::LIMITS, limits),
        (marks::TRACEPARENT, Some(launch.traceparent.clone())),
    ];
    let mut annotations = foreign(&executor.kubernetes.annotations);
    annotations.extend(launch.annotations.iter().filter(|(key, _)| !key.starts_with(marks::PREFIX)).cloned());
    annotations.extend(ours.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    Ok(annotations)
}

fn foreign(given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    given.iter().filter(|(key, _)| !key.starts_with(marks::PREFIX)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use switchyard_events::Limits;

    use super::*;
    use crate::kubernetes::pod::{
        pod,
        tests::{executor, launch},
    };

    #[test]
    fn nothing_of_the_builds_own_takes_the_place_of_ours() {
        let mut launch = launch("image: a");
        launch.annotations.push(("switchyard.dev/limits".to_owned(), "none".to_owned()));
        launch.annotations.push(("switchyard.dev/other".to_owned(), "x".to_owned()));
        launch.spec.env = [("TRACEPARENT", "mine"), ("SWITCHYARD_BUILD", "mine")].map(|(k, v)| (k.into(), v.into())).into();
        let labels =
            "podLabels: {app: other, switchyard.dev/build: x, team: a}, annotations: {switchyard.dev/tenant: x, note: b}";
        let pod = pod(&executor(labels), &launch).unwrap();
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
    fn a_pod_is_found_by_the_labels_that_screwdriver_gives() {
        let mut launch = launch("image: a, cpu: high");
        launch.pipeline = Some("my org/shop (main)".to_owned());
        launch.job = Some("-é-".to_owned());
        launch.spec.annotations = [("screwdriver.cd/disk".to_owned(), "HIGH".to_owned())].into();
        let labels = of(&executor(""), &launch).unwrap().labels.unwrap();
        let wanted = [("app", "screwdriver"), ("tier", "builds"), ("screwdriver.cd/pipeline", "my_org_shop__main")];
        for (key, value) in wanted.into_iter().chain([("screwdriver.cd/cpu", "6"), ("screwdriver.cd/memory", "2")]) {
            assert_eq!(labels[key], value);
        }
        assert_eq!((labels["screwdriver.cd/disk"].as_str(), labels.get("screwdriver.cd/job")), ("HIGH", None));
        assert_eq!(labels["sdbuild"], launch.build.to_string());
        assert_eq!(label(&"x".repeat(80)).unwrap().len(), 63);
        assert_eq!([units(500, 1000), units(512 << 20, 1 << 30), units(12 << 30, 1 << 30)], ["0.5", "0.5", "12"]);
    }

    #[test]
    fn of_katas_annotations_a_build_sets_only_those_that_reach_no_file_of_the_node() {
        let mut launch = launch("image: a");
        launch.annotations = vec![(KATA[3].to_owned(), "300".to_owned())];
        assert_eq!(of(&executor(""), &launch).unwrap().annotations.unwrap()[KATA[3]], "300");
        for key in ["kernel", "path", "virtio_fs_daemon", "default_memory"] {
            launch.annotations = vec![(format!("io.katacontainers.config.hypervisor.{key}"), "x".to_owned())];
            let refused = of(&executor(""), &launch).unwrap_err().to_string();
            assert!(refused.contains(key) && refused.contains("create_container_timeout"), "{refused}");
        }
    }
}
