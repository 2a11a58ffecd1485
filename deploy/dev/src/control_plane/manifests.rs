//! The objects that the control plane starts with, applied server-side, so that applying them again changes nothing.

use std::time::Duration;

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};

use crate::StartError;

const RUNTIME_CLASS: &str = include_str!("../../manifests/runtimeclass.yaml");
const NODES: &str = include_str!("../../manifests/nodes.yaml");
const CLUSTER: &str = include_str!("../../manifests/cluster.yaml");
const NAMESPACE: &str = include_str!("../../manifests/namespace.yaml");
/// The client has no time-out of its own.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// Applies what belongs to no namespace: runtime class, nodes, cluster roles.
pub(crate) async fn apply_cluster(client: &Client) -> Result<(), StartError> {
    for text in [RUNTIME_CLASS, NODES, CLUSTER] {
        apply(client, text).await?;
    }
    Ok(())
}

/// Applies a namespace with the roles of launcher and reaper in it.
pub(crate) async fn apply_namespace(client: Client, name: &str) -> Result<(), StartError> {
    apply(&client, &NAMESPACE.replace("NAMESPACE", name)).await
}

async fn apply(client: &Client, text: &str) -> Result<(), StartError> {
    let objects: Vec<DynamicObject> = serde_saphyr::from_multiple(text).map_err(StartError::control_plane("read a manifest"))?;
    for object in objects {
        let what = format!("apply {} {}", kind(&object), object.metadata.name.as_deref().unwrap_or_default());
        tokio::time::timeout(ANSWERS_WITHIN, apply_one(client, &object))
            .await
            .map_err(StartError::control_plane(&what))?
            .map_err(StartError::control_plane(&what))?;
    }
    Ok(())
}

async fn apply_one(client: &Client, object: &DynamicObject) -> Result<(), kube::Error> {
    let types = object.types.clone().unwrap_or_default();
    let (group, version) = types.api_version.rsplit_once('/').unwrap_or(("", &types.api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &types.kind));
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = object.metadata.name.as_deref().unwrap_or_default();
    api.patch(name, &PatchParams::apply("switchyard-dev").force(), &Patch::Apply(object)).await.map(drop)
}

fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("object", |types| &types.kind)
}
