//! Keeps what is known of the executor true: its pods and its runtime class by a watch, its quota by asking now and then.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt as _, future};
use k8s_openapi::{
    api::{core::v1::ResourceQuota, node::v1::RuntimeClass},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{
    Api, Resource as _, ResourceExt as _,
    api::{GetParams, ListParams, ObjectList},
    core::Request,
    runtime::watcher::{Config, Event, watcher},
};
use tokio::sync::Mutex;
use tracing::{debug, info, warn};

use super::{
    Kubernetes,
    quota::{Need, room},
    refusal::{Kind, with_causes},
};
use crate::Executor as _;

/// How often the quota is read: it also tells that the API server answers where no build asks it anything.
const QUOTA_EVERY: Duration = Duration::from_secs(5);

/// After a watch has failed.
const PAUSE: Duration = Duration::from_secs(2);

/// How long one watch request lasts, in seconds.
const REQUEST: u32 = 30;

/// What the virtual machine of a pod takes beside the pod's own limits.
type Overhead = BTreeMap<String, Quantity>;

impl Kubernetes {
    pub(crate) async fn keep_attending(&self) {
        let overhead = Mutex::new(None);
        future::join3(self.see_pods(), self.see_class(&overhead), self.see_quota(&overhead)).await;
    }

    /// Every pod is read for this, so only where they are counted.
    async fn see_pods(&self) {
        if self.place.slots.is_none() {
            return;
        }
        let mut seen = self.watch();
        while let Some(seen) = seen.next().await {
            if let Ok(seen) = seen {
                self.pressure.see(&seen);
            }
        }
    }

    /// The runtime class must be there: nothing ever takes its place.
    async fn see_class(&self, overhead: &Mutex<Option<Overhead>>) {
        let Some(name) = self.place.kubernetes.runtime_class.as_deref() else { return };
        let api: Api<RuntimeClass> = Api::all(self.client.clone());
        let config = Config::default().fields(&format!("metadata.name={name}")).timeout(REQUEST);
        let mut found = None;
        let mut listing = false;
        let mut events = watcher(api, config).boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => (found, listing) = (None, true),
                Ok(Event::InitApply(class) | Event::Apply(class)) => {
                    found = Some(class.overhead.and_then(|overhead| overhead.pod_fixed).unwrap_or_default());
                }
                Ok(Event::InitDone) => listing = false,
                Ok(Event::Delete(_)) => found = None,
                Err(error) => {
                    debug!(executor = self.place.name, error = with_causes(&error), "the runtime class cannot be watched");
                    tokio::time::sleep(PAUSE).await;
                }
            }
            if !listing {
                self.say_class(name, found.is_some());
                (*overhead.lock().await).clone_from(&found);
            }
        }
    }

    fn say_class(&self, name: &str, found: bool) {
        match (found, self.pressure.lacks_class()) {
            (false, false) => warn!(executor = self.place.name, class = name, "the runtime class is missing: no build can run"),
            (true, true) => info!(executor = self.place.name, class = name, "the runtime class is there"),
            _ => {}
        }
        self.pressure.missing_class((!found).then_some(name));
    }

    async fn see_quota(&self, overhead: &Mutex<Option<Overhead>>) {
        let mut allowed = true;
        loop {
            let quotas = Request::new(ResourceQuota::url_path(&(), Some(self.namespace())));
            match self.ask::<ObjectList<ResourceQuota>>(quotas.list(&ListParams::default())).await {
                Ok(quotas) => {
                    let need = Need::of_usual(&self.place.kubernetes, overhead.lock().await.as_ref());
                    self.pressure.room(room(&quotas.items, &need));
                    allowed = true;
                }
                Err(refusal) if refusal.kind == Kind::Denied && allowed => {
                    warn!(
                        executor = self.place.name,
                        error = refusal.said,
                        "the quota cannot be read; a full one is met at create"
                    );
                    allowed = false;
                }
                Err(_) => {}
            }
            tokio::time::sleep(QUOTA_EVERY).await;
        }
    }

    /// Whether the runtime class is really missing, where the watch says so: it may have been made this moment.
    pub(crate) async fn class_is_missing(&self) -> Option<String> {
        let name = self.place.kubernetes.runtime_class.as_deref().filter(|_| self.pressure.lacks_class())?;
        let class = Request::new(RuntimeClass::url_path(&(), None)).get(name, &GetParams::default());
        match self.ask_for::<RuntimeClass>(class).await {
            Ok(None) => Some(format!("there is no runtime class {name:?} in the cluster")),
            Ok(Some(class)) => {
                self.say_class(&class.name_any(), true);
                None
            }
            Err(_) => None,
        }
    }
}
