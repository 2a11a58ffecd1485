//! What somebody who doubts an executor asks its cluster.

use k8s_openapi::api::{core::v1::Node, node::v1::RuntimeClass};
use kube::{Resource as _, ResourceExt as _, api::GetParams, core::Request};

use super::Kubernetes;
use crate::Unreachable;

/// A machine of the cluster, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// The release of its kernel.
    pub kernel: String,
    /// Which start of its kernel this is.
    pub boot_id: String,
    /// Whether nothing really runs on it.
    pub simulated: bool,
}

/// A runtime class of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// What the nodes call its runtime.
    pub handler: String,
    /// What each pod takes beside its own limits: `cpu 250m, memory 320Mi`; empty for nothing.
    pub overhead: String,
}

impl Kubernetes {
    /// The machine of that name, if it is there.
    ///
    /// # Errors
    /// When the API server does not answer, or does not permit to ask.
    pub async fn machine(&self, name: &str) -> Result<Option<Machine>, Unreachable> {
        let nodes = Request::new(Node::url_path(&(), None));
        let node: Option<Node> = self.ask_for(nodes.get(name, &GetParams::default())).await?;
        Ok(node.map(|node| machine(&node)))
    }

    /// The executor's runtime class; `Some(None)` where it names one that is not there.
    ///
    /// # Errors
    /// When the API server does not answer, or does not permit to ask.
    pub async fn class(&self) -> Result<Option<Option<Class>>, Unreachable> {
        let Some(name) = self.place.kubernetes.runtime_class.as_deref() else { return Ok(None) };
        let classes = Request::new(RuntimeClass::url_path(&(), None));
        let found: Option<RuntimeClass> = self.ask_for(classes.get(name, &GetParams::default())).await?;
        Ok(Some(found.map(|class| {
            let sizes = class.overhead.as_ref().and_then(|overhead| overhead.pod_fixed.as_ref());
            let sizes: Vec<_> = sizes.into_iter().flatten().map(|(name, size)| format!("{name} {}", size.0)).collect();
            Class { name: class.name_any(), handler: class.handler, overhead: sizes.join(", ") }
        })))
    }
}

fn machine(node: &Node) -> Machine {
    let info = node.status.as_ref().and_then(|status| status.node_info.clone()).unwrap_or_default();
    // What kwok says of itself; a machine without a kernel is none.
    let simulated = node.labels().get("type").is_some_and(|kind| kind == "kwok")
        || node.annotations().contains_key("kwok.x-k8s.io/node")
        || info.kernel_version.is_empty()
        || info.boot_id.is_empty();
    Machine { name: node.name_any(), kernel: info.kernel_version, boot_id: info.boot_id, simulated }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_machine_that_kwok_plays_is_told_from_one_that_runs() {
        let node = |labels: serde_json::Value, kernel: &str| {
            let info = json!({"kernelVersion": kernel, "bootID": "b", "machineID": "", "systemUUID": "", "osImage": "",
                "containerRuntimeVersion": "", "kubeletVersion": "", "kubeProxyVersion": "", "operatingSystem": "", "architecture": ""});
            let node = json!({"metadata": {"name": "n", "labels": labels}, "status": {"nodeInfo": info}});
            machine(&serde_json::from_value(node).unwrap())
        };
        assert!(!node(json!({}), "6.1.0").simulated);
        assert!(node(json!({"type": "kwok"}), "6.1.0").simulated);
        assert!(node(json!({}), "").simulated);
    }
}
