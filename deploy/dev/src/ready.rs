//! When a server counts as ready.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, ListParams};
use kube::{Client, Config};

use crate::control_plane::access;

/// A condition that can be looked at from outside.
#[derive(Clone, Debug)]
pub(crate) enum Ready {
    /// A GET of this plain HTTP address answers with success.
    Http(String),
    /// A GET of this path of a Kubernetes server, which signed its certificate itself, answers with success.
    Https { server: String, path: &'static str },
    /// There are nodes, and all are ready.
    Nodes { kubeconfig: PathBuf },
}

impl Ready {
    /// Looks once; the error says what is missing.
    pub(crate) async fn look(&self) -> Result<(), String> {
        match self {
            Self::Http(url) => get(url).await.map_err(|error| error.to_string()),
            Self::Https { server, path } => get_unverified(server, path).await,
            Self::Nodes { kubeconfig } => nodes(access::client(kubeconfig)?).await,
        }
    }
}

/// Has TLS done by ring in this process, wherever nobody says otherwise.
///
/// Cargo builds HTTP clients with the features that any crate of the workspace asks for: together with the program that runs
/// trainings they can do TLS, and then none can be made before somebody has chosen who does it.
pub fn choose_cryptography() {
    let _already = rustls::crypto::ring::default_provider().install_default();
}

async fn get(url: &str) -> Result<(), reqwest::Error> {
    choose_cryptography();
    let client = reqwest::Client::builder().no_proxy().build()?;
    client.get(url).send().await?.error_for_status().map(drop)
}

async fn get_unverified(server: &str, path: &str) -> Result<(), String> {
    let mut config = Config::new(server.parse().map_err(|error| format!("{server}: {error}"))?);
    config.accept_invalid_certs = true;
    let client = Client::try_from(config).map_err(|error| error.to_string())?;
    let request = http::Request::get(path).body(Vec::new()).map_err(|error| error.to_string())?;
    client.request_text(request).await.map(drop).map_err(|error| error.to_string())
}

async fn nodes(client: Client) -> Result<(), String> {
    let nodes = Api::<Node>::all(client).list(&ListParams::default()).await.map_err(|error| error.to_string())?;
    let waiting = nodes.items.iter().filter(|node| !is_ready(node)).count();
    match nodes.items.len() {
        0 => Err("no nodes".to_owned()),
        _ if waiting > 0 => Err(format!("{waiting} nodes are not ready")),
        _ => Ok(()),
    }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
}
