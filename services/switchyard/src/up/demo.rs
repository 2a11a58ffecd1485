//! The demo: six events, shaped like those that Jenkins, Tekton and Screwdriver send, each with the end that it must have.

use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use switchyard_bus::{Bus, DeadLetter};
use switchyard_dev::{ClusterUser, ControlPlane, Nats, Stack};
use switchyard_events::{BuildKey, ClockKind, Outcome, Reason, Record, decode};
use tokio::process::Command;

use super::{Traces, Up};

/// A sample event and how its build must end; `None`: it is no event, and must end among the dead letters.
struct Sample {
    name: &'static str,
    bytes: &'static str,
    event_type: &'static str,
    end: Option<(Outcome, Reason)>,
    /// Where it must have run, on the cluster and on this machine.
    executor: Option<[&'static str; 2]>,
}

macro_rules! sample {
    ($name:literal, $type:literal, $end:expr, $executor:expr) => {
        Sample {
            name: $name,
            bytes: include_str!(concat!("../../../../deploy/samples/", $name, ".json")),
            event_type: $type,
            end: $end,
            executor: $executor,
        }
    };
}

fn samples() -> [Sample; 6] {
    let build = |outcome, reason| Some((outcome, reason));
    [
        sample!("1-jenkins-succeeds", "dev.cdevents.pipelinerun.queued.0.3.0", build(Outcome::Success, Reason::Succeeded), None),
        sample!(
            "2-tekton-fails",
            "dev.cdevents.build.queued.0.3.0",
            build(Outcome::Failure, Reason::StepFailed("unit-test".into(), 2)),
            None
        ),
        sample!(
            "3-screwdriver-rhel6",
            "dev.cdevents.build.queued.0.3.0",
            build(Outcome::Success, Reason::Succeeded),
            Some(["k8s-vm", "local-b"])
        ),
        sample!(
            "4-screwdriver-overruns",
            "dev.cdevents.build.queued.0.3.0",
            build(Outcome::Error, Reason::TimedOut(ClockKind::Running)),
            None
        ),
        sample!("5-screwdriver-unroutable", "dev.cdevents.build.queued.0.3.0", build(Outcome::Error, Reason::Refused), None),
        sample!("6-jenkins-malformed", "dev.cdevents.pipelinerun.queued.0.1.0", None, None),
    ]
}

/// Publishes the samples as a CI system's own publisher would: with `switchyard publish`, as the tenant `default`.
pub(super) async fn publish(stack: &Stack, traces: &Traces) -> anyhow::Result<()> {
    let folder = stack.folder().join("samples");
    std::fs::create_dir_all(&folder)?;
    for sample in samples() {
        let file = format!("{}.json", sample.name);
        std::fs::write(folder.join(&file), sample.bytes)?;
        let credentials = stack.nats().credentials(&Nats::publisher("default"))?;
        let mut publish = Command::new(std::env::current_exe()?);
        publish.arg("publish").arg(&file).current_dir(&folder).env("NATS_URL", stack.nats().url());
        publish.env("NATS_USER", &credentials.user).env("NATS_PASSWORD", &credentials.password);
        if traces.is_there() {
            publish.env("OTEL_EXPORTER_OTLP_ENDPOINT", traces.otlp_url());
        }
        if sample.end.is_none() {
            publish.args(["--raw", "--type", sample.event_type]);
        }
        let status = publish.status().await.context("switchyard publish")?;
        anyhow::ensure!(status.success(), "switchyard publish {file}: {status}");
    }
    Ok(())
}

/// Waits until every sample has ended, one way or the other; gives up after two minutes.
pub(super) async fn settled(bus: &Bus) {
    let ended = async {
        loop {
            let builds = samples().iter().filter_map(key).collect::<Vec<_>>();
            let records = bus.records().await.unwrap_or_default();
            let closed = records.iter().filter(|(build, record)| builds.contains(build) && record.is_closed()).count();
            let dead = dead_letters(bus).await.unwrap_or_default().len();
            if closed == builds.len() && dead >= samples().len() - builds.len() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_mins(2), ended).await;
}

/// Holds what became of the samples against what should have.
pub(super) async fn judge(bus: &Bus) -> anyhow::Result<bool> {
    let records = bus.records().await?;
    let dead = dead_letters(bus).await?;
    let mut wrong = 0;
    println!("\n{:26} {:12} {:10} {:8} reason", "sample", "as it should", "executor", "outcome");
    for sample in samples() {
        let (right, row) = match &sample.end {
            Some(end) => judge_build(&sample, end, &records),
            None => judge_dead(&sample, &dead),
        };
        wrong += usize::from(!right);
        println!("{:26} {:12} {row}", sample.name, if right { "yes" } else { "NO" });
    }
    Ok(wrong == 0)
}

/// Whether everything that ran is gone.
pub(super) async fn nothing_left(up: &Up) -> anyhow::Result<bool> {
    let left = left(up).await?;
    println!("\n{} left: {left}", if up.stack.control_plane().is_some() { "pods" } else { "processes" });
    Ok(left == 0)
}

fn judge_build(sample: &Sample, (outcome, reason): &(Outcome, Reason), records: &[(BuildKey, Record)]) -> (bool, String) {
    let Some(build) = key(sample) else { return (false, "the sample cannot be read".into()) };
    let found = records.iter().find(|(other, _)| *other == build).and_then(|(_, record)| record.latest());
    let Some((attempt, decided)) = found.and_then(|attempt| Some((attempt, attempt.decided.as_ref()?))) else {
        return (false, "not ended".into());
    };
    let executor = attempt.executor.as_deref().unwrap_or("-");
    let right = attempt.closed
        && decided.outcome == *outcome
        && decided.reason == *reason
        && sample.executor.is_none_or(|names| names.contains(&executor));
    let message = decided.message.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
    (right, format!("{executor:10} {:8} {}{message}", decided.outcome.name(), decided.reason))
}

fn judge_dead(sample: &Sample, dead: &[DeadLetter]) -> (bool, String) {
    match dead.iter().find(|letter| letter.payload == sample.bytes.as_bytes()) {
        Some(letter) => (true, format!("{:10} {:8} {}", "-", "dead", letter.reason)),
        None => (false, "not among the dead letters".into()),
    }
}

fn key(sample: &Sample) -> Option<BuildKey> {
    use cloudevents::AttributesReader as _;
    let event = decode([], sample.bytes.as_bytes()).ok()?.event;
    Some(BuildKey::of(event.source(), event.subject()?, event.id()))
}

async fn dead_letters(bus: &Bus) -> anyhow::Result<Vec<DeadLetter>> {
    let stream = bus.jetstream().get_stream("DEAD").await?;
    let state = &stream.cached_info().state;
    let letters = futures::stream::iter(state.first_sequence..=state.last_sequence)
        .then(|sequence| stream.get_raw_message(sequence))
        .filter_map(async |message| message.ok().and_then(|message| DeadLetter::of(message.headers, message.payload)));
    Ok(letters.collect().await)
}

/// Waits a moment for the last pods, or processes of builds, to go; answers how many stay.
async fn left(up: &Up) -> anyhow::Result<usize> {
    let pods = up.stack.control_plane().map(|cluster| cluster.client(ClusterUser::Admin)).transpose()?;
    let pods: Option<Api<Pod>> = pods.map(|client| Api::namespaced(client, ControlPlane::NAMESPACE));
    for _ in 0..60 {
        if count(pods.as_ref(), up).await? == 0 {
            return Ok(0);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    count(pods.as_ref(), up).await
}

async fn count(pods: Option<&Api<Pod>>, up: &Up) -> anyhow::Result<usize> {
    let pods = match pods {
        Some(pods) => pods.list(&ListParams::default()).await.context("list pods")?.items.len(),
        None => 0,
    };
    Ok(pods + up.local.running())
}
