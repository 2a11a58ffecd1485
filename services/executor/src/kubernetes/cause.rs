//! Why a pod waits or has ended: Kubernetes' many words for it, in ours.

use k8s_openapi::api::core::v1::{ContainerStatus, Event, PodCondition, PodStatus};
use switchyard_events::Reason;

use super::pod::CONTAINER;
use crate::script::failed_step;

/// Why, which container that is about, and the cluster's own sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) reason: Option<Reason>,
    pub(crate) container: Option<String>,
    pub(crate) message: Option<String>,
}

impl Cause {
    fn of(reason: Reason, message: Option<&str>) -> Self {
        Self { reason: Some(reason), container: None, message: worth(message) }
    }
}

fn worth(message: Option<&str>) -> Option<String> {
    message.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Why a pod failed: the pod's own word, a disruption, or the container that did not return 0. Whether it only obeyed is `told`.
pub(crate) fn of_failure(status: &PodStatus, told: bool) -> Cause {
    if let Some(cause) = of_pod(status) {
        return cause;
    }
    let Some(container) = culprit(status) else {
        return Cause { reason: told.then_some(Reason::Deleted), message: worth(status.message.as_deref()), container: None };
    };
    let end = container.state.as_ref().and_then(|state| state.terminated.as_ref());
    let word = end.and_then(|end| end.reason.as_deref());
    let step = end.and_then(|end| Some((failed_step(end.message.as_deref()?).1?, end.exit_code)));
    let reason = match (word, step) {
        (Some("OOMKilled"), _) => Some(Reason::OutOfMemory),
        _ if told => Some(Reason::Deleted),
        (_, Some(((step, code), exit))) if code == exit => Some(Reason::StepFailed(step.to_owned(), code)),
        _ => None,
    };
    // What the build's own container says is its result; what another says, or the runtime in its place, is why it failed.
    let speaks = container.name != CONTAINER || matches!(word, Some("StartError" | "ContainerCannotRun"));
    let said = end.filter(|_| speaks).and_then(|end| end.message.as_deref());
    let container = (reason != Some(Reason::Deleted)).then(|| container.name.clone());
    Cause { reason, container, message: worth(said).or_else(|| worth(status.message.as_deref())) }
}

/// What the pod says of itself: the node, or whoever disrupted it, has had the last word.
fn of_pod(status: &PodStatus) -> Option<Cause> {
    let message = status.message.as_deref();
    match status.reason.as_deref() {
        Some("Evicted" | "Preempting" | "Terminated" | "NodeShutdown" | "Shutdown") => Some(Cause::of(Reason::Evicted, message)),
        Some("DeadlineExceeded") => Some(Cause::of(Reason::DeadlineExceeded, message)),
        Some("NodeLost") => Some(Cause::of(Reason::NodeLost, message)),
        // The node had no room after all, or does not fit: nothing of the pod was ever begun.
        Some("NodeAffinity" | "UnexpectedAdmissionError") => Some(Cause::of(Reason::Unschedulable, message)),
        Some(word) if word.starts_with("OutOf") => Some(Cause::of(Reason::Unschedulable, message)),
        _ => disruption(status),
    }
}

fn disruption(status: &PodStatus) -> Option<Cause> {
    let found = condition(status, "DisruptionTarget").filter(|found| found.status == "True")?;
    // By the API, by a preemption or by a taint: to the build it is the same as an eviction by the node.
    let gone = matches!(found.reason.as_deref(), Some("DeletionByPodGC"));
    let reason = if gone { Reason::NodeLost } else { Reason::Evicted };
    Some(Cause::of(reason, found.message.as_deref().or(status.message.as_deref())))
}

/// The code that the pod failed with, where a container tells one.
pub(crate) fn code(status: &PodStatus) -> Option<i32> {
    (status.phase.as_deref() == Some("Failed"))
        .then(|| culprit(status))
        .flatten()?
        .state
        .as_ref()?
        .terminated
        .as_ref()
        .map(|end| end.exit_code)
}

/// The container that did not return 0: an init container before the build's, the build's before a sidecar.
fn culprit(status: &PodStatus) -> Option<&ContainerStatus> {
    let failed = |container: &&ContainerStatus| {
        let end = container.state.as_ref().and_then(|state| state.terminated.as_ref());
        // Of a container that nobody saw end the code is made up.
        end.is_some_and(|end| end.exit_code != 0 && end.reason.as_deref() != Some("ContainerStatusUnknown"))
    };
    let init = status.init_container_statuses.iter().flatten().find(failed);
    let ours = status.container_statuses.iter().flatten();
    init.or_else(|| ours.clone().filter(|container| container.name == CONTAINER).find(failed))
        .or_else(|| ours.clone().find(failed))
}

fn all(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
}

/// Why a pod that may run does not run yet, or is not heard of any more.
pub(crate) fn of_waiting(status: &PodStatus, events: &[Event]) -> Cause {
    let unschedulable = || {
        let found = condition(status, "PodScheduled").filter(|found| found.status == "False")?;
        let reason = (found.reason.as_deref() == Some("Unschedulable")).then_some(Reason::Unschedulable);
        reason.map(|reason| Cause::of(reason, found.message.as_deref()))
    };
    let image = || all(status).find_map(of_container);
    lost(status).or_else(image).or_else(unschedulable).or_else(|| of_events(events)).unwrap_or_default()
}

/// That its node does not answer is said of a pod that runs, too.
pub(crate) fn lost(status: &PodStatus) -> Option<Cause> {
    let said = of_pod(status)?;
    (said.reason == Some(Reason::NodeLost)).then_some(said)
}

fn of_container(container: &ContainerStatus) -> Option<Cause> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let word = waiting.reason.as_deref()?;
    let reason = match word {
        "" | "ContainerCreating" | "PodInitializing" => return None,
        "InvalidImageName" => Some(Reason::InvalidImage),
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => Some(Reason::ImagePull),
        _ => None,
    };
    let message = worth(waiting.message.as_deref()).map_or_else(|| word.to_owned(), |said| format!("{word}: {said}"));
    Some(Cause { reason, container: Some(container.name.clone()), message: Some(message) })
}

/// What no status tells: the latest warning about the pod. That its virtual machine does not start is said nowhere else.
fn of_events(events: &[Event]) -> Option<Cause> {
    let warnings = events.iter().filter(|event| event.type_.as_deref() == Some("Warning"));
    let sandbox = |event: &&Event| matches!(event.reason.as_deref(), Some("FailedCreatePodSandBox" | "FailedPodSandBoxStatus"));
    if let Some(event) = warnings.clone().filter(sandbox).max_by_key(|event| said_at(event)) {
        return Some(Cause::of(Reason::SandboxFailed, event.message.as_deref()));
    }
    let event = warnings.max_by_key(|event| said_at(event))?;
    let word = event.reason.as_deref().unwrap_or_default();
    let message = Some(format!("{word}: {}", event.message.as_deref().unwrap_or_default()));
    Some(Cause { message, ..Cause::default() })
}

fn said_at(event: &Event) -> Option<jiff::Timestamp> {
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    last.or_else(|| event.event_time.as_ref().map(|time| time.0))
        .or_else(|| event.metadata.creation_timestamp.as_ref().map(|t| t.0))
}

pub(crate) fn condition<'a>(status: &'a PodStatus, kind: &str) -> Option<&'a PodCondition> {
    status.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}
