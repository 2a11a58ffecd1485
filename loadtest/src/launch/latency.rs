//! How soon a routed build's pod is ungated, at a steady rate: from when the routed event was due until a watch of the pods shows
//! the pod without its gate.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    runtime::watcher::{self, Event},
};
use switchyard_bus::{Bus, Events as _};
use switchyard_dev::{ClusterUser, ControlPlane};
use tokio::task::JoinSet;

use super::{Place, bare, builds, running::Running};

/// The seconds that are not counted: connections, caches and memory are new.
const WARM_UP: u32 = 2;
/// How long the last may be on its way.
const LAST_WITHIN: Duration = Duration::from_secs(30);

/// How many builds a second, for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) rate: u32,
    pub(super) seconds: u32,
}

impl Load {
    fn builds(self) -> u32 {
        self.rate * (WARM_UP + self.seconds)
    }
}

/// With our launcher at work: one latency per build of the counted seconds, sorted.
pub(super) async fn of_ours(place: &Place, load: Load, at_once: usize) -> anyhow::Result<Vec<Duration>> {
    let running = Running::start(place, at_once).await?;
    let bus = Bus::new(place.stack.nats().connect("loadtest").await?);
    let begin = move |n| {
        let bus = bus.clone();
        async move {
            bus.publish(builds::routed("steady", n).outgoing()?).await?;
            Ok(())
        }
    };
    let latencies = measure(place, load, "steady", begin).await?;
    running.stop().await?;
    Ok(latencies)
}

/// The same with the loop that only creates and ungates.
pub(super) async fn of_bare(place: &Place, load: Load) -> anyhow::Result<Vec<Duration>> {
    let bare = bare::Bare::of(place).await?;
    let begin = move |n| {
        let bare = bare.clone();
        async move { bare.launch(&builds::key("least", n)).await }
    };
    measure(place, load, "least", begin).await
}

async fn measure<B, F>(place: &Place, load: Load, series: &str, begin: B) -> anyhow::Result<Vec<Duration>>
where
    B: Fn(u32) -> F,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let all = load.builds();
    let numbers: HashMap<_, _> = (0..all).map(|n| (bare::name(&builds::key(series, n)), n)).collect();
    let mut ungated = ungated(place).await?;
    let start = Instant::now() + Duration::from_millis(200);
    let due = |n: u32| start + Duration::from_secs(1) * n / load.rate;
    let mut launches = JoinSet::new();
    for n in 0..all {
        let (beginning, due) = (begin(n), due(n));
        launches.spawn(async move {
            tokio::time::sleep_until(due.into()).await;
            beginning.await
        });
    }
    let mut latencies = HashMap::new();
    while latencies.len() < numbers.len() {
        let next = tokio::time::timeout(LAST_WITHIN, ungated.next()).await;
        let name = next
            .with_context(|| format!("only {} of {all} pods were ungated", latencies.len()))?
            .context("the watch ended")??;
        if let Some(n) = numbers.get(&name) {
            latencies.entry(*n).or_insert_with(|| Instant::now().saturating_duration_since(due(*n)));
        }
    }
    while let Some(done) = launches.join_next().await {
        done??;
    }
    let mut counted: Vec<_> =
        latencies.into_iter().filter(|(n, _)| *n >= load.rate * WARM_UP).map(|(_, latency)| latency).collect();
    ensure!(!counted.is_empty(), "nothing was counted");
    counted.sort_unstable();
    Ok(counted)
}

/// The names of pods that have no gate, as they are seen; those that are there already have been told when this returns.
async fn ungated(place: &Place) -> anyhow::Result<BoxStream<'static, anyhow::Result<String>>> {
    let pods: Api<Pod> = Api::namespaced(place.plane()?.client(ClusterUser::Admin)?, ControlPlane::NAMESPACE);
    let mut events = kube::runtime::watcher(pods, watcher::Config::default()).boxed();
    while !matches!(events.try_next().await?, Some(Event::InitDone) | None) {}
    let names = events.try_filter_map(async |event| {
        let Event::Apply(pod) = event else { return Ok(None) };
        let gated = pod.spec.as_ref().is_some_and(|spec| spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()));
        Ok((!gated).then(|| pod.name_any()))
    });
    Ok(names.map_err(anyhow::Error::from).boxed())
}
