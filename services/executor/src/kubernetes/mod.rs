//! The `kubernetes` plugin: an attempt is a pod with a scheduling gate and a finalizer.
//!
//! The gate keeps it from running until it is bound, the finalizer keeps it until its end is written down.

mod cause;
mod connect;
mod marks;
mod observe;
mod pod;
mod refusal;
mod watch;

use std::{future::Future, time::Duration};

use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::{Value, json};
use switchyard_events::BuildKey;
use switchyard_fleet::KubernetesOptions;
use tokio::{sync::Semaphore, time::timeout};

pub use connect::ConnectError;

use crate::{CreateError, Executor, Launch, Observed, Phase, Seen, Unreachable};
use observe::observe;
use refusal::Refusal;

/// How long one question to the API server may take: the client itself would wait for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// Questions asked at once: each is a connection of its own.
const AT_ONCE: usize = 32;

/// One executor of the fleet whose builds are pods.
#[derive(Debug)]
pub struct Kubernetes {
    name: String,
    options: KubernetesOptions,
    pods: Api<Pod>,
    events: Api<Event>,
    permits: Semaphore,
}

impl Kubernetes {
    /// Asks the API server one question, within [`PATIENCE`].
    async fn ask<T>(&self, question: impl Future<Output = kube::Result<T>> + Send) -> Result<T, Refusal> {
        let asked = async {
            let _permit = self.permits.acquire().await;
            question.await
        };
        match timeout(PATIENCE, asked).await {
            Ok(answer) => answer.map_err(Refusal::from),
            Err(_) => Err(Refusal::Silence(format!("no answer from the API server within {} s", PATIENCE.as_secs()))),
        }
    }

    /// The pod of that name, if it is one of ours.
    async fn ours(&self, build: &BuildKey, attempt: u32) -> Result<Option<Observed>, Refusal> {
        let pod = self.ask(self.pods.get_opt(&marks::pod_name(build, attempt))).await?;
        let Some(pod) = pod.filter(|pod| marks::is_of(pod, &self.name)) else { return Ok(None) };
        let observed = observe(&pod, &[]);
        match &observed {
            Some(seen) if seen.phase == Phase::Pending && seen.reason.is_none() => {
                Ok(observe(&pod, &self.said_of(&seen.uid).await))
            }
            _ => Ok(observed),
        }
    }

    /// What the cluster's events say of that uid. They only explain: where they cannot be read, nothing is explained.
    async fn said_of(&self, uid: &str) -> Vec<Event> {
        let params = ListParams::default().fields(&format!("involvedObject.uid={uid}")).limit(100);
        self.ask(self.events.list(&params)).await.map(|list| list.items).unwrap_or_default()
    }

    /// The uid of the pod that stands in the way of a new one, where it is the very one that was to be created.
    async fn existing(&self, launch: &Launch) -> Result<String, CreateError> {
        let name = marks::pod_name(&launch.build, launch.attempt);
        let pod = self.ask(self.pods.get_opt(&name)).await.map_err(Refusal::of_create)?;
        let Some(pod) = pod else { return Err(CreateError::Later(format!("pod {name} has just gone"))) };
        match observe(&pod, &[]).filter(|_| marks::is_for(&pod, launch)) {
            None => Err(CreateError::Rejected(format!("a pod {name} that is not of this build is in the way"))),
            Some(ours) if ours.deleting => Err(CreateError::Later(format!("pod {name} is going"))),
            Some(ours) => Ok(ours.uid),
        }
    }

    /// Changes that uid only. A precondition that fails means that there is another by now, or none.
    async fn patch(&self, build: &BuildKey, attempt: u32, uid: &str, mut change: Value) -> Result<(), Unreachable> {
        change["metadata"]["uid"] = json!(uid);
        let (name, params) = (marks::pod_name(build, attempt), PatchParams::default());
        match self.ask(self.pods.patch(&name, &params, &Patch::Strategic(change))).await {
            Ok(_) | Err(Refusal::NotFound(_)) => Ok(()),
            Err(refusal) => self.unless_replaced(build, attempt, uid, refusal).await,
        }
    }

    /// Forgives a refusal if that uid is no longer there to be changed.
    async fn unless_replaced(&self, build: &BuildKey, attempt: u32, uid: &str, refusal: Refusal) -> Result<(), Unreachable> {
        if !refusal.may_be_of_precondition() {
            return Err(refusal.into());
        }
        match self.ask(self.pods.get_opt(&marks::pod_name(build, attempt))).await? {
            Some(pod) if pod.uid().as_deref() == Some(uid) => Err(refusal.into()),
            Some(_) | None => Ok(()),
        }
    }
}

impl Executor for Kubernetes {
    fn name(&self) -> &str {
        &self.name
    }

    async fn create(&self, launch: &Launch) -> Result<String, CreateError> {
        let pod = pod::pod(&self.options, launch).map_err(|wrong| CreateError::Rejected(wrong.to_string()))?;
        match self.ask(self.pods.create(&PostParams::default(), &pod)).await {
            Ok(created) => created.uid().ok_or_else(|| CreateError::Later("the API server gave the pod no uid".to_owned())),
            Err(Refusal::AlreadyExists(_)) => self.existing(launch).await,
            Err(refusal) => Err(refusal.of_create()),
        }
    }

    async fn look(&self, build: &BuildKey, attempt: u32) -> Result<Option<Observed>, Unreachable> {
        Ok(self.ours(build, attempt).await?)
    }

    async fn ungate(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<(), Unreachable> {
        let change = json!({"spec": {"schedulingGates": [{"$patch": "delete", "name": marks::GATE}]}});
        self.patch(build, attempt, uid, change).await
    }

    async fn delete(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<(), Unreachable> {
        let only = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        let params = DeleteParams { preconditions: Some(only), ..DeleteParams::default() };
        match self.ask(self.pods.delete(&marks::pod_name(build, attempt), &params)).await {
            Ok(_) | Err(Refusal::NotFound(_)) => Ok(()),
            Err(refusal) => self.unless_replaced(build, attempt, uid, refusal).await,
        }
    }

    async fn release(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<(), Unreachable> {
        self.patch(build, attempt, uid, json!({"metadata": {"$deleteFromPrimitiveList/finalizers": [marks::FINALIZER]}})).await
    }

    fn watch(&self) -> BoxStream<'static, Result<Seen, Unreachable>> {
        watch::watch(self.pods.clone(), &self.name)
    }
}
