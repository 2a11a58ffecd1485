//! The most that this API server can do: the same pod, created gated and ungated, by a loop that does nothing else.

use anyhow::Context as _;
use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;
use switchyard_dev::{ClusterUser, ControlPlane};
use switchyard_events::BuildKey;
use switchyard_executor::{Executor as _, Kubernetes, Launch};

use super::{
    Place, builds,
    pass::{Begun, Pass},
};

/// What one loop creates.
#[derive(Clone)]
pub(super) struct Bare {
    pods: Api<Pod>,
    template: Pod,
}

impl Bare {
    /// With a pod of our launcher's as the template: one is made, read back, and cleaned of what the API server has added.
    pub(super) async fn of(place: &Place) -> anyhow::Result<Self> {
        let kubeconfig = Kubeconfig::read_from(place.plane()?.kubeconfig(ClusterUser::Launcher))?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        config.default_retry = false;
        config.proxy_url = None;
        let pods: Api<Pod> = Api::namespaced(Client::try_from(config)?, ControlPlane::NAMESPACE);
        let executor = Kubernetes::connect(place.fleet.default_executor()).await?;
        let launch = launch("template", 0);
        executor.create(&launch).await?;
        let mut template = pods.get(&name(&launch.build)).await.context("the template")?;
        template.status = None;
        let metadata = &mut template.metadata;
        (metadata.uid, metadata.resource_version, metadata.creation_timestamp, metadata.managed_fields) =
            (None, None, None, None);
        Ok(Self { pods, template })
    }

    /// Creates the pod gated, under the name that a build of that key has, and takes the gate off.
    pub(super) async fn launch(&self, build: &BuildKey) -> anyhow::Result<()> {
        let mut pod = self.template.clone();
        let name = name(build);
        pod.metadata.name = Some(name.clone());
        self.pods.create(&PostParams::default(), &pod).await?;
        let ungated = json!({"spec": {"schedulingGates": [{"$patch": "delete", "name": "switchyard.dev/bound"}]}});
        self.pods.patch(&name, &PatchParams::default(), &Patch::Strategic(ungated)).await?;
        Ok(())
    }
}

pub(super) fn name(build: &BuildKey) -> String {
    format!("b-{build}-1")
}

fn launch(series: &str, n: u32) -> Launch {
    let routed = builds::routed(series, n);
    Launch {
        build: routed.build,
        attempt: 1,
        again: false,
        executor: routed.executor,
        tenant: routed.tenant,
        pipeline: routed.spec.pipeline.clone(),
        job: routed.spec.job.clone(),
        source: routed.request.source,
        subject: routed.request.subject,
        spec: routed.spec,
        annotations: Vec::new(),
        limits: routed.limits,
        token: None,
        traceparent: routed.request.trace,
    }
}

/// So many pods, created and ungated.
pub(super) async fn throughput(place: &Place, series: &str, count: u32, at_once: usize) -> anyhow::Result<Pass> {
    let bare = Bare::of(place).await?;
    let begun = Begun::now(place)?;
    let mut launched = stream::iter(0..count).map(async |n| bare.launch(&builds::key(series, n)).await).buffer_unordered(at_once);
    while let Some(done) = launched.next().await {
        done?;
    }
    begun.ended(count)
}
