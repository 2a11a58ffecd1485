//! The `kubernetes` plugin: an attempt is a pod with a scheduling gate and a finalizer.
//!
//! The gate keeps it from running until it is bound, the finalizer keeps it until its end is written down.

mod ask;
mod attend;
mod breaker;
mod cause;
mod connect;
mod examine;
mod log;
mod marks;
mod observe;
mod pod;
mod pressure;
mod question;
mod quota;
mod refusal;
mod token;
mod watch;

use std::{collections::BTreeMap, fmt, sync::Arc};

use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{Event, Node, Pod, Secret};
use kube::{
    Api, Client, Resource as _, ResourceExt as _,
    api::{DeleteParams, GetParams, ListParams, ObjectList, PostParams, Preconditions},
    core::Request,
};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use switchyard_events::BuildKey;
use switchyard_fleet::Executor as Place;
use tokio::{sync::Semaphore, time::Instant};
use tracing::warn;

pub use connect::ConnectError;
pub use examine::{Class, Machine};

use crate::{Condition, CreateError, Executor, Launch, Observed, Phase, Seen, Unreachable};
use ask::Question;
use observe::observe;
use pressure::Pressure;
use question::Created;
use refusal::{Kind, Refusal};

/// Questions asked at once: each is a connection of its own.
const AT_ONCE: usize = 32;

/// One executor of the fleet whose builds are pods.
pub struct Kubernetes {
    place: Place,
    client: Client,
    installation: Option<String>,
    permits: Semaphore,
    pressure: Arc<Pressure>,
}

impl fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kubernetes").field("name", &self.place.name).finish_non_exhaustive()
    }
}

impl Kubernetes {
    fn namespace(&self) -> &str {
        &self.place.kubernetes.namespace
    }

    fn pods(&self) -> Request {
        Request::new(Pod::url_path(&(), Some(self.namespace())))
    }

    async fn get(&self, name: &str) -> Result<Option<Pod>, Refusal> {
        self.ask_for(self.pods().get(name, &GetParams::default())).await
    }

    /// The pod of that name, if it is one of ours.
    async fn ours(&self, build: &BuildKey, attempt: u32) -> Result<Option<Observed>, Refusal> {
        let Some(mut pod) = self.get(&marks::pod_name(build, attempt)).await? else { return Ok(None) };
        if marks::has_lost_labels(&pod, build, attempt, &self.place.name) {
            self.label_again(&mut pod, build, attempt).await?;
        }
        let Some(pod) = Some(pod).filter(|pod| marks::is_of(pod, &self.place.name)) else { return Ok(None) };
        let observed = observe(&pod, &[]);
        match &observed {
            Some(seen) if seen.phase == Phase::Pending && seen.reason.is_none() => {
                Ok(observe(&pod, &self.said_of(&seen.uid).await))
            }
            _ => Ok(observed),
        }
    }

    /// Puts back what somebody has taken off or changed: by its labels a watch knows the pod, and would take it for gone.
    async fn label_again(&self, pod: &mut Pod, build: &BuildKey, attempt: u32) -> Result<(), Refusal> {
        let labels: BTreeMap<_, _> = marks::labels(build, attempt, &self.place.name).into();
        let change = json!({"metadata": {"uid": pod.uid(), "labels": labels}});
        let question = question::change(self.namespace(), &pod.name_any(), &change);
        self.ask::<IgnoredAny>(question).await?;
        warn!(pod = pod.name_any(), "somebody had taken off or changed labels of ours: they are as they were");
        pod.labels_mut().extend(labels);
        Ok(())
    }

    /// What the cluster's events say of that uid. They only explain: where they cannot be read, nothing is explained.
    async fn said_of(&self, uid: &str) -> Vec<Event> {
        let events = Request::new(Event::url_path(&(), Some(self.namespace())));
        let params = ListParams::default().fields(&format!("involvedObject.uid={uid}")).limit(100);
        self.ask::<ObjectList<Event>>(events.list(&params)).await.map(|list| list.items).unwrap_or_default()
    }

    /// The uid of the pod that is there already, where it is the very one that was to be created.
    async fn existing(&self, launch: &Launch) -> Result<Option<String>, CreateError> {
        let name = marks::pod_name(&launch.build, launch.attempt);
        let Some(pod) = self.get(&name).await.map_err(Refusal::of_create)? else { return Ok(None) };
        match observe(&pod, &[]).filter(|_| marks::is_for(&pod, launch)) {
            None => Err(CreateError::Rejected(format!("a pod {name} that is not of this build is in the way"))),
            Some(ours) if ours.deleting => Err(CreateError::Later(format!("pod {name} is going"))),
            Some(ours) => {
                self.hand_over(launch, &pod, &ours.uid).await?;
                Ok(Some(ours.uid))
            }
        }
    }

    /// Puts the attempt's token, if it has one, into a Secret that goes with the pod of that uid. The pod is gated: it cannot miss it.
    async fn hand_over(&self, launch: &Launch, pod: &Pod, uid: &str) -> Result<(), CreateError> {
        let Some(secret) = token::secret(launch, pod, uid) else { return Ok(()) };
        let body = serde_json::to_vec(&secret).map_err(|error| CreateError::Rejected(error.to_string()))?;
        let secrets = Request::new(Secret::url_path(&(), Some(self.namespace())));
        match self.ask::<IgnoredAny>(secrets.create(&PostParams::default(), body)).await {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.kind == Kind::AlreadyExists => Ok(()),
            Err(refusal) => Err(refusal.of_create()),
        }
    }

    /// Changes that uid only. A precondition that fails means that there is another by now, or none.
    async fn patch(&self, build: &BuildKey, attempt: u32, uid: &str, mut change: Value) -> Result<(), Unreachable> {
        change["metadata"]["uid"] = json!(uid);
        let question = question::change(self.namespace(), &marks::pod_name(build, attempt), &change);
        self.change(build, attempt, uid, question).await
    }

    async fn change(&self, build: &BuildKey, attempt: u32, uid: &str, question: Question) -> Result<(), Unreachable> {
        match self.ask::<IgnoredAny>(question).await {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.kind == Kind::NotFound => Ok(()),
            Err(refusal) => self.unless_replaced(build, attempt, uid, refusal).await,
        }
    }

    /// Deletes that uid only.
    async fn delete_with(&self, build: &BuildKey, attempt: u32, uid: &str, how: DeleteParams) -> Result<(), Unreachable> {
        let only = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        let params = DeleteParams { preconditions: Some(only), ..how };
        let question = self.pods().delete(&marks::pod_name(build, attempt), &params);
        self.change(build, attempt, uid, question).await
    }

    /// Forgives a refusal if that uid is no longer there to be changed.
    async fn unless_replaced(&self, build: &BuildKey, attempt: u32, uid: &str, refusal: Refusal) -> Result<(), Unreachable> {
        if !refusal.may_be_of_precondition() {
            return Err(refusal.into());
        }
        match self.get(&marks::pod_name(build, attempt)).await? {
            Some(pod) if pod.uid().as_deref() == Some(uid) => Err(refusal.into()),
            Some(_) | None => Ok(()),
        }
    }
}

impl Executor for Kubernetes {
    fn name(&self) -> &str {
        &self.place.name
    }

    async fn create(&self, launch: &Launch) -> Result<String, CreateError> {
        let mut pod = pod::pod(&self.place, launch).map_err(|wrong| CreateError::Rejected(wrong.to_string()))?;
        // An answer may have been lost: what was created then is the one to bind.
        if launch.again
            && let Some(uid) = self.existing(launch).await?
        {
            return Ok(uid);
        }
        if let Some(why) = self.class_is_missing().await {
            return Err(CreateError::Rejected(why));
        }
        if let Some(installation) = &self.installation {
            pod.labels_mut().insert(marks::INSTALLATION.to_owned(), installation.clone());
        }
        match self.ask::<Created>(question::creation(self.namespace(), &pod)).await {
            Ok(created) => {
                let uid = created.uid().ok_or_else(|| CreateError::Later("the API server gave the pod no uid".to_owned()))?;
                self.pressure.created(&uid);
                self.hand_over(launch, &pod, &uid).await?;
                Ok(uid)
            }
            Err(refusal) if refusal.kind == Kind::AlreadyExists => {
                let gone = || CreateError::Later(format!("pod {} has just gone", pod.name_any()));
                self.existing(launch).await?.ok_or_else(gone)
            }
            Err(refusal) => Err(refusal.of_create()),
        }
    }

    async fn look(&self, build: &BuildKey, attempt: u32) -> Result<Option<Observed>, Unreachable> {
        Ok(self.ours(build, attempt).await?)
    }

    async fn ungate(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<(), Unreachable> {
        // An empty entry tells the API server to keep no account of who has set which field. Nobody applies fields to a build's pod,
        // and keeping it is a large part of the cost of every change to come, of the kubelet's too.
        let change = json!({
            "metadata": {"managedFields": [{}]},
            "spec": {"schedulingGates": [{"$patch": "delete", "name": marks::GATE}]},
        });
        self.patch(build, attempt, uid, change).await
    }

    async fn delete(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<(), Unreachable> {
        self.delete_with(build, attempt, uid, DeleteParams::default()).await
    }

    async fn list(&self) -> Result<Vec<Observed>, Unreachable> {
        let params = ListParams::default().labels(&format!("{}={}", marks::EXECUTOR, self.place.name));
        let found: ObjectList<Pod> = self.ask(self.pods().list(&params)).await?;
        let ours = found.items.iter().filter(|pod| marks::is_of(pod, &self.place.name));
        Ok(ours.filter_map(|pod| observe(pod, &[])).collect())
    }

    async fn is_gone(&self, node: &str) -> Result<bool, Unreachable> {
        let nodes = Request::new(Node::url_path(&(), None));
        Ok(self.ask_for::<Node>(nodes.get(node, &GetParams::default())).await?.is_none())
    }

    async fn force(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<(), Unreachable> {
        self.delete_with(build, attempt, uid, DeleteParams::default().grace_period(0)).await
    }

    async fn release(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<(), Unreachable> {
        self.patch(build, attempt, uid, json!({"metadata": {"$deleteFromPrimitiveList/finalizers": [marks::FINALIZER]}})).await
    }

    async fn log(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<Option<Vec<u8>>, Unreachable> {
        self.log_of(&marks::pod_name(build, attempt), uid).await
    }

    fn condition(&self) -> Condition {
        self.pressure.condition(Instant::now())
    }

    async fn attend(&self) {
        self.keep_attending().await;
    }

    fn watch(&self) -> BoxStream<'static, Result<Seen, Unreachable>> {
        let pods = Api::namespaced(self.client.clone(), self.namespace());
        watch::watch(pods, &self.place.name, self.pressure.clone())
    }
}
