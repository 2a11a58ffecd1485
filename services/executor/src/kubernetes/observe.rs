//! What a pod says, in our words.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Event, Pod, PodStatus};
use kube::ResourceExt as _;
use switchyard_events::Reason;

use super::{
    cause::{self, Cause},
    marks,
    pod::CONTAINER,
};
use crate::{Observed, Phase, script};

/// What is known of the attempt that `pod` is for, from its status and what `events` say of it; `None` where it is none of ours.
pub(crate) fn observe(pod: &Pod, events: &[Event]) -> Option<Observed> {
    let (build, attempt) = marks::attempt_of(pod)?;
    let created_at = pod.creation_timestamp()?.0;
    let none = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&none);
    let state = container(status).and_then(|container| container.state.clone()).unwrap_or_default();
    let phase = phase(pod, status, &state);
    let deleting = pod.metadata.deletion_timestamp.is_some();
    let times = Times::of(status, &state);
    // A pod that is going is given to no node any more: the API server refuses the binding.
    let dead = phase.is_ended() || (deleting && node(pod).is_none());
    let told = dead && ended_by_deletion(pod, times.finished, exit(&state));
    // Without a start it is the runtime that speaks.
    let said = state.terminated.as_ref().filter(|_| times.started.is_some()).and_then(|end| end.message.as_deref());
    let said = script::told(said.unwrap_or_default());
    let Cause { reason, container, message } = match phase {
        Phase::Succeeded => Cause::default(),
        Phase::Failed => cause::of_failure(status, told),
        _ if dead => Cause { reason: Some(Reason::Deleted), ..Cause::default() },
        Phase::Pending => cause::of_waiting(status, events),
        Phase::Gated | Phase::Running => cause::lost(status).unwrap_or_default(),
    };
    Some(Observed {
        uid: pod.uid()?,
        since: times.since(phase, created_at, status),
        started_at: times.started,
        finished_at: times.finished.or_else(|| dead.then(|| deleted_at(pod)).flatten()),
        exit: exit(&state).filter(|code| *code != 0 || phase == Phase::Succeeded).or_else(|| cause::code(status)),
        result: Some(said.own.to_owned()).filter(|own| !own.is_empty()),
        steps: said.steps,
        forced: deleting && !dead && pod.metadata.deletion_grace_period_seconds == Some(0),
        held: pod.finalizers().iter().any(|name| name == marks::FINALIZER),
        installation: pod.labels().get(marks::INSTALLATION).cloned(),
        traceparent: pod.annotations().get(marks::TRACEPARENT).cloned(),
        node: node(pod),
        build,
        attempt,
        phase,
        created_at,
        reason,
        container,
        message,
        deleting,
        dead,
    })
}

/// The container that runs the build; others (sidecars that an admission plugin adds) do not count.
fn container(status: &PodStatus) -> Option<&ContainerStatus> {
    status.container_statuses.as_ref()?.iter().find(|container| container.name == CONTAINER)
}

fn phase(pod: &Pod, status: &PodStatus, state: &ContainerState) -> Phase {
    let gates = pod.spec.as_ref().and_then(|spec| spec.scheduling_gates.as_ref());
    match status.phase.as_deref() {
        Some("Succeeded") => Phase::Succeeded,
        Some("Failed") => Phase::Failed,
        _ if gates.is_some_and(|gates| gates.iter().any(|gate| gate.name == marks::GATE)) => Phase::Gated,
        // The pod's own phase is `Running` as soon as any container runs, also a sidecar.
        _ if state.running.is_some() || state.terminated.is_some() => Phase::Running,
        _ => Phase::Pending,
    }
}

fn node(pod: &Pod) -> Option<String> {
    pod.spec.as_ref()?.node_name.clone().filter(|name| !name.is_empty())
}

fn deleted_at(pod: &Pod) -> Option<Timestamp> {
    pod.metadata.deletion_timestamp.as_ref().map(|time| time.0)
}

/// When somebody first asked for the pod's end: what is written down is when the grace given with it is over.
fn asked_at(pod: &Pod) -> Option<Timestamp> {
    let grace = SignedDuration::from_secs(pod.metadata.deletion_grace_period_seconds.unwrap_or(0));
    deleted_at(pod)?.checked_sub(grace).ok()
}

/// How far a node's clock may be behind the API server's.
const SKEW: SignedDuration = SignedDuration::from_secs(5);

/// Whether the pod ended because it was deleted, and had not ended by itself before.
fn ended_by_deletion(pod: &Pod, finished: Option<Timestamp>, exit: Option<i32>) -> bool {
    match (asked_at(pod), finished) {
        (None, _) => false,
        (Some(_), None) => true,
        // SIGTERM and SIGKILL: what a deletion looks like. Another code in the same second is the build's own.
        (Some(asked), Some(finished)) if matches!(exit, None | Some(137 | 143)) => asked.duration_since(finished) <= SKEW,
        (Some(asked), Some(finished)) => finished > asked,
    }
}

/// When the build's container began and ended.
struct Times {
    started: Option<Timestamp>,
    finished: Option<Timestamp>,
}

impl Times {
    fn of(status: &PodStatus, state: &ContainerState) -> Self {
        let started = state.running.as_ref().and_then(|running| running.started_at.clone());
        let ended = state.terminated.as_ref();
        let finished = ended.and_then(|end| end.finished_at.clone()).map(|time| time.0).filter(is_real);
        // A pod that never ran its container (evicted on arrival, deadline while pulling) says when only in its conditions.
        let failed =
            || matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")).then(|| turned(status, "Ready")).flatten();
        Self {
            started: started.or_else(|| ended?.started_at.clone()).map(|time| time.0).filter(is_real).map(end_of_second),
            finished: finished.or_else(failed),
        }
    }

    fn since(&self, phase: Phase, created: Timestamp, status: &PodStatus) -> Timestamp {
        let known = match phase {
            Phase::Gated => None,
            Phase::Pending => turned(status, "PodScheduled"),
            Phase::Running => self.started,
            Phase::Succeeded | Phase::Failed => self.finished.or(self.started),
        };
        known.unwrap_or(created)
    }
}

/// The kubelet writes the epoch for a container whose end it did not see.
fn is_real(time: &Timestamp) -> bool {
    time.as_second() > 0
}

fn turned(status: &PodStatus, kind: &str) -> Option<Timestamp> {
    cause::condition(status, kind)?.last_transition_time.as_ref().map(|time| time.0)
}

/// The code, unless it was made up for a container that nobody saw end.
fn exit(state: &ContainerState) -> Option<i32> {
    let end = state.terminated.as_ref()?;
    (end.reason.as_deref() != Some("ContainerStatusUnknown")).then_some(end.exit_code)
}

/// Kubernetes cuts times to whole seconds. A start counts from the end of its second, so that no limit ever comes early.
fn end_of_second(time: Timestamp) -> Timestamp {
    time.saturating_add(SignedDuration::from_millis(999)).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use switchyard_events::StepEnd;

    use super::*;
    use crate::kubernetes::pod::tests::example;

    /// What is observed of our pod with this status, bound to a node and ungated.
    fn seen(status: Value) -> Observed {
        observe(&with(status), &[]).unwrap()
    }

    fn with(status: Value) -> Pod {
        let mut pod = example(1);
        pod.status = Some(serde_json::from_value(status).unwrap());
        let spec = pod.spec.as_mut().unwrap();
        spec.scheduling_gates = None;
        spec.node_name = Some("kata-0".to_owned());
        pod
    }

    /// The same pod, told to go, with so many seconds of grace.
    fn deleted(mut pod: Pod, grace: i64) -> Pod {
        pod.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:09Z")).unwrap();
        pod.metadata.deletion_grace_period_seconds = Some(grace);
        pod
    }

    /// A status whose build container is in this state.
    fn status(phase: &str, state: impl Into<Value>) -> Value {
        json!({"phase": phase, "containerStatuses": [
            {"name": "sidecar", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}},
            {"name": "build", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": state.into()}]})
    }

    fn ended(code: i32, reason: &str) -> Value {
        json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": at(1), "finishedAt": at(5), "message": "{\"auc\": 1}"}})
    }

    fn at(second: u8) -> String {
        format!("2026-01-01T00:00:0{second}Z")
    }

    fn time(second: u8) -> Option<Timestamp> {
        at(second).parse().ok()
    }

    #[test]
    fn a_new_pod_is_gated_and_held() {
        let observed = observe(&example(3), &[]).unwrap();
        assert_eq!((observed.phase, observed.attempt, observed.uid.as_str()), (Phase::Gated, 3, "uid-1"));
        assert!(observed.held && !observed.dead && !observed.deleting && observed.end().is_none());
        assert_eq!(observed.since, observed.created_at);
        assert!(observed.traceparent.unwrap().starts_with("00-0af7"));
    }

    #[test]
    fn a_pod_without_room_says_so() {
        let mut pod = with(json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/4 nodes are available", "lastTransitionTime": at(2)}]}));
        pod.spec.as_mut().unwrap().node_name = None;
        let observed = observe(&pod, &[]).unwrap();
        assert_eq!((observed.phase, observed.reason), (Phase::Pending, Some(Reason::Unschedulable)));
        assert_eq!((observed.message.as_deref(), Some(observed.since)), (Some("0/4 nodes are available"), time(2)));
        assert!(!observed.dead);
    }

    #[test]
    fn a_pod_whose_image_does_not_come_is_pending_with_the_reason() {
        let creating = seen(status("Pending", json!({"waiting": {"reason": "ContainerCreating"}})));
        assert_eq!((creating.phase, creating.reason), (Phase::Pending, None));
        let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": "not found"}});
        // A sidecar runs already: the pod's own phase is Running, the build's is not.
        let observed = seen(status("Running", waiting));
        assert_eq!((observed.phase, observed.reason), (Phase::Pending, Some(Reason::ImagePull)));
        assert_eq!(
            (observed.message.as_deref(), observed.container.as_deref()),
            (Some("ErrImagePull: not found"), Some("build"))
        );
    }

    #[test]
    fn a_running_pod_says_since_when_and_never_too_early() {
        let observed = seen(status("Running", json!({"running": {"startedAt": at(1)}})));
        let started = time(1).map(end_of_second);
        assert_eq!((observed.phase, observed.started_at, Some(observed.since)), (Phase::Running, started, started));
        assert_eq!(observed.node.as_deref(), Some("kata-0"));
    }

    #[test]
    fn a_pod_that_succeeded_hands_over_its_result() {
        let observed = seen(status("Succeeded", ended(0, "Completed")));
        assert_eq!((observed.phase, observed.exit, observed.finished_at), (Phase::Succeeded, Some(0), time(5)));
        assert_eq!((observed.result.as_deref(), observed.reason.clone()), (Some("{\"auc\": 1}"), None));
        assert!(observed.dead);
        assert_eq!(observed.end(), Some(Reason::Succeeded));
    }

    #[test]
    fn a_pod_that_failed_tells_its_code() {
        let observed = seen(status("Failed", ended(2, "Error")));
        assert_eq!((observed.phase, observed.reason.clone()), (Phase::Failed, None));
        assert_eq!(observed.end(), Some(Reason::ExitCode(2)));
    }

    #[test]
    fn an_evicted_pod_is_told_from_one_that_failed() {
        let mut by_node = status("Failed", ended(137, "Error"));
        by_node["reason"] = json!("Evicted");
        by_node["message"] = json!("The node was low on resource: memory.");
        let observed = seen(by_node);
        assert_eq!(observed.end(), Some(Reason::Evicted));
        assert_eq!(observed.message.as_deref(), Some("The node was low on resource: memory."));
        let mut by_preemption = status("Failed", ended(143, "Error"));
        by_preemption["conditions"] = json!([{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]);
        assert_eq!(observe(&deleted(with(by_preemption), 30), &[]).unwrap().end(), Some(Reason::Evicted));
    }

    #[test]
    fn the_nodes_own_deadline_is_told_also_where_the_build_never_started() {
        let unknown =
            json!({"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": null, "finishedAt": null}});
        let mut late = status("Failed", unknown);
        late["reason"] = json!("DeadlineExceeded");
        late["conditions"] = json!([{"type": "Ready", "status": "False", "lastTransitionTime": at(7)}]);
        let observed = seen(late);
        assert_eq!((observed.end(), observed.exit), (Some(Reason::DeadlineExceeded), None));
        assert_eq!((observed.started_at, observed.finished_at), (None, time(7)));
    }

    #[test]
    fn a_pod_that_used_too_much_memory_says_so() {
        let observed = seen(status("Failed", ended(137, "OOMKilled")));
        assert_eq!((observed.container.as_deref(), observed.exit), (Some("build"), Some(137)));
        assert_eq!(observed.end(), Some(Reason::OutOfMemory));
    }

    #[test]
    fn a_pod_deleted_before_it_had_a_node_is_dead_for_certain() {
        let observed = observe(&deleted(example(1), 0), &[]).unwrap();
        assert!(observed.dead && observed.deleting && !observed.forced && observed.held);
        assert_eq!((observed.end(), observed.finished_at), (Some(Reason::Deleted), time(9)));
    }

    #[test]
    fn a_pod_deleted_on_its_node_is_dead_only_once_it_has_ended() {
        let creating = status("Pending", json!({"waiting": {"reason": "ContainerCreating"}}));
        assert!(!observe(&deleted(with(creating), 30), &[]).unwrap().dead);
        let running = status("Running", json!({"running": {"startedAt": at(1)}}));
        let going = observe(&deleted(with(running.clone()), 30), &[]).unwrap();
        assert!(going.deleting && !going.dead && !going.forced);
        let forced = observe(&deleted(with(running), 0), &[]).unwrap();
        assert!(forced.forced && !forced.dead && forced.end().is_none(), "nobody saw it end");
        let stopped = observe(&deleted(with(status("Failed", ended(143, "Error"))), 0), &[]).unwrap();
        assert!(stopped.dead && !stopped.forced);
        assert_eq!(stopped.end(), Some(Reason::Deleted));
    }

    #[test]
    fn a_pod_that_had_ended_before_it_was_deleted_keeps_its_own_end() {
        let end = |code, grace| observe(&deleted(with(status("Failed", ended(code, "Error"))), grace), &[]).unwrap().end();
        // Ended in second 5, and deleted in second 9, or in second 4 with a grace of 5.
        assert_eq!(end(2, 0), Some(Reason::ExitCode(2)));
        assert_eq!(end(2, 5), Some(Reason::Deleted), "it minded SIGTERM in its own way");
        assert_eq!(end(143, 5), Some(Reason::Deleted));
        let succeeded = observe(&deleted(with(status("Succeeded", ended(0, "Completed"))), 5), &[]).unwrap();
        assert_eq!(succeeded.end(), Some(Reason::Succeeded));
    }

    #[test]
    fn a_pod_on_a_lost_node_is_not_dead() {
        let mut lost = status("Running", json!({"running": {"startedAt": at(1)}}));
        lost["reason"] = json!("NodeLost");
        let observed = seen(lost);
        assert_eq!((observed.phase, observed.reason, observed.dead), (Phase::Running, Some(Reason::NodeLost), false));
    }

    #[test]
    fn a_step_that_failed_is_named_and_leaves_the_result_as_it_was() {
        let mut end = ended(3, "Error");
        end["terminated"]["message"] = json!(concat!(
            "{\"auc\": 1}\n",
            "switchyard: steps [{\"name\":\"unit tests\",\"code\":3,\"ms\":1500}]\n\n",
            "switchyard: step \"unit tests\" failed with exit code 3\n"
        ));
        let observed = seen(status("Failed", end.clone()));
        assert_eq!(observed.end(), Some(Reason::StepFailed("unit tests".to_owned(), 3)));
        assert_eq!(observed.steps, [StepEnd { name: "unit tests".to_owned(), code: 3, ms: 1500 }]);
        assert_eq!((observed.result.as_deref(), observed.container.as_deref()), (Some("{\"auc\": 1}"), Some("build")));
        end["terminated"]["exitCode"] = json!(4);
        assert_eq!(seen(status("Failed", end)).end(), Some(Reason::ExitCode(4)), "a build that says another code than it has");
    }

    #[test]
    fn an_init_container_that_failed_is_named() {
        let waiting = json!({"waiting": {"reason": "PodInitializing"}});
        let mut failed = status("Failed", waiting);
        failed["initContainerStatuses"] = json!([
            {"name": "first", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": ended(0, "Completed")},
            {"name": "fetch", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": ended(5, "Error")}]);
        let observed = seen(failed.clone());
        assert_eq!((observed.end(), observed.container.as_deref()), (Some(Reason::ExitCode(5)), Some("fetch")));
        failed["initContainerStatuses"][1]["state"]["terminated"]["reason"] = json!("OOMKilled");
        assert_eq!(seen(failed).end(), Some(Reason::OutOfMemory));
        let mut pulling = status("Pending", json!({"waiting": {"reason": "PodInitializing"}}));
        pulling["initContainerStatuses"] = json!([{"name": "fetch", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "InvalidImageName", "message": "couldn't parse image name"}}}]);
        let observed = seen(pulling);
        assert_eq!((observed.reason, observed.container.as_deref()), (Some(Reason::InvalidImage), Some("fetch")));
    }

    #[test]
    fn that_a_virtual_machine_does_not_start_is_told_by_events_alone() {
        let pod = with(status("Pending", json!({"waiting": {"reason": "ContainerCreating"}})));
        let event = |reason: &str, second| -> Event {
            serde_json::from_value(json!({"metadata": {}, "involvedObject": {}, "type": "Warning", "reason": reason,
                "message": format!("{reason} in second {second}"), "lastTimestamp": at(second)}))
            .unwrap()
        };
        let told = |events: &[Event]| {
            let observed = observe(&pod, events).unwrap();
            (observed.reason, observed.message)
        };
        let sandbox = Some("FailedCreatePodSandBox in second 3".to_owned());
        let events = [event("FailedCreatePodSandBox", 2), event("FailedCreatePodSandBox", 3), event("FailedMount", 4)];
        assert_eq!(told(&events), (Some(Reason::SandboxFailed), sandbox));
        assert_eq!(told(&events[2..]), (None, Some("FailedMount: FailedMount in second 4".to_owned())));
        assert_eq!(told(&[]), (None, None));
    }

    #[test]
    fn a_node_that_had_no_room_after_all_is_not_the_builds_fault() {
        let failed = json!({"phase": "Failed", "reason": "OutOfcpu", "message": "Node didn't have enough resource: cpu"});
        let observed = seen(failed);
        assert_eq!((observed.end(), observed.exit), (Some(Reason::Unschedulable), None));
    }

    #[test]
    fn a_pod_of_somebody_else_is_not_observed() {
        let mut pod = example(1);
        pod.metadata.labels.as_mut().unwrap().remove(marks::BUILD);
        assert_eq!(observe(&pod, &[]), None);
    }
}
