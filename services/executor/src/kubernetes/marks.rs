//! What our pods carry: their names, labels and annotations, and how one is told from another's.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use switchyard_events::BuildKey;

use crate::Launch;

/// All that is ours begins so; builds may not set such annotations.
pub(crate) const PREFIX: &str = "switchyard.dev/";
/// Until it is taken off, the pod is not scheduled.
pub(crate) const GATE: &str = "switchyard.dev/bound";
/// Until it is taken off, the deleted pod stays.
pub(crate) const FINALIZER: &str = "switchyard.dev/reaper";

pub(crate) const BUILD: &str = "switchyard.dev/build";
pub(crate) const ATTEMPT: &str = "switchyard.dev/attempt";
pub(crate) const EXECUTOR: &str = "switchyard.dev/executor";
/// Whose it is, where several installations share a namespace.
pub(crate) const INSTALLATION: &str = "switchyard.dev/installation";

pub(crate) const SOURCE: &str = "switchyard.dev/source";
pub(crate) const SUBJECT: &str = "switchyard.dev/subject";
pub(crate) const TENANT: &str = "switchyard.dev/tenant";
pub(crate) const PIPELINE: &str = "switchyard.dev/pipeline";
pub(crate) const JOB: &str = "switchyard.dev/job";
pub(crate) const LIMITS: &str = "switchyard.dev/limits";
pub(crate) const TRACEPARENT: &str = "switchyard.dev/traceparent";

/// The pod of an attempt.
pub(crate) fn pod_name(build: &BuildKey, attempt: u32) -> String {
    format!("b-{build}-{attempt}")
}

/// Which attempt the pod is for, if it is one of ours.
pub(crate) fn attempt_of(pod: &Pod) -> Option<(BuildKey, u32)> {
    let label = |name: &str| pod.labels().get(name);
    Some((label(BUILD)?.parse().ok()?, label(ATTEMPT)?.parse().ok()?))
}

/// By what a watch knows the pod of an attempt.
pub(crate) fn labels(build: &BuildKey, attempt: u32, executor: &str) -> [(String, String); 3] {
    [(BUILD, build.to_string()), (ATTEMPT, attempt.to_string()), (EXECUTOR, executor.to_owned())]
        .map(|(name, value)| (name.to_owned(), value))
}

/// Whether the pod of that attempt's name is ours, but somebody has taken off or changed a label by which it is known.
pub(crate) fn has_lost_labels(pod: &Pod, build: &BuildKey, attempt: u32, executor: &str) -> bool {
    let ours = pod.finalizers().iter().any(|finalizer| finalizer == FINALIZER) && pod.annotations().contains_key(LIMITS);
    let foreign = made_by(pod).is_some_and(|maker| maker != executor);
    let whole = labels(build, attempt, executor).iter().all(|(name, value)| pod.labels().get(name) == Some(value));
    ours && !foreign && !whole
}

/// The executor that the pod was made for. A label is easily changed, by hand or by what tidies labels up, so its annotation says
/// it too, and counts; pods of an earlier release have the label alone.
fn made_by(pod: &Pod) -> Option<&String> {
    pod.annotations().get(EXECUTOR).or_else(|| pod.labels().get(EXECUTOR))
}

/// Whether the pod belongs to that executor, and says so.
pub(crate) fn is_of(pod: &Pod, executor: &str) -> bool {
    pod.labels().get(EXECUTOR).is_some_and(|label| label == executor) && made_by(pod).is_some_and(|maker| maker == executor)
}

/// Whether the pod is the one that this launch makes.
pub(crate) fn is_for(pod: &Pod, launch: &Launch) -> bool {
    is_of(pod, &launch.executor)
        && attempt_of(pod) == Some((launch.build.clone(), launch.attempt))
        && pod.annotations().get(SOURCE) == Some(&launch.source)
}
