//! Several servers together, in one folder that goes when they go.

use std::path::Path;

use crate::StartError;
use crate::control_plane::ControlPlane;
use crate::folder::Folder;
use crate::jaeger::Jaeger;
use crate::nats::{Nats, NatsOptions};
use crate::tools::{Tool, Tools};

/// Which servers to start. NATS is always one of them.
#[derive(Clone, Debug, Default)]
pub struct StackOptions {
    /// The executors whose launchers and reapers get permissions on NATS.
    pub executors: Vec<String>,
    /// The tenants that get a publisher, besides `default`.
    pub tenants: Vec<String>,
    /// How many NATS servers there are: more than one are a cluster; 0 is one, too.
    pub nats_servers: usize,
    /// Whether to start Jaeger.
    pub jaeger: bool,
    /// Whether to start a Kubernetes control plane with simulated nodes.
    pub control_plane: bool,
}

impl StackOptions {
    /// What has to be found or built: the quick builds first.
    fn tools(&self) -> Vec<Tool> {
        let mut tools = vec![Tool::NatsServer];
        if self.jaeger {
            tools.push(Tool::Jaeger);
        }
        if self.control_plane {
            tools.extend([Tool::Etcd, Tool::Kwok, Tool::KubeApiserver, Tool::KubeScheduler]);
        }
        tools
    }

    fn nats(&self, folder: &Path) -> NatsOptions {
        NatsOptions {
            executors: self.executors.clone(),
            tenants: self.tenants.clone(),
            servers: self.nats_servers.max(1),
            ..NatsOptions::new(folder.join("nats"))
        }
    }
}

/// The running servers.
#[derive(Debug)]
pub struct Stack {
    // In the order in which they are dropped: the folder last.
    control_plane: Option<ControlPlane>,
    jaeger: Option<Jaeger>,
    nats: Nats,
    folder: Folder,
}

impl Stack {
    /// Starts what is asked for, all at once, and waits until everything is ready.
    ///
    /// # Errors
    /// When a tool cannot be found or built, or a server does not become ready.
    pub async fn start(options: &StackOptions) -> Result<Self, StartError> {
        let tools = Tools::ready(&options.tools()).await?;
        let folder = Folder::new()?;
        let nats = options.nats(folder.path());
        let jaeger = async {
            if !options.jaeger {
                return Ok(None);
            }
            Jaeger::start(&tools, &folder.path().join("jaeger")).await.map(Some)
        };
        let control_plane = async {
            if !options.control_plane {
                return Ok(None);
            }
            ControlPlane::start(&tools, &folder.path().join("kubernetes")).await.map(Some)
        };
        let (nats, jaeger, control_plane) = tokio::try_join!(Nats::start(&tools, &nats), jaeger, control_plane)?;
        Ok(Self { control_plane, jaeger, nats, folder })
    }

    /// NATS.
    #[must_use]
    pub fn nats(&self) -> &Nats {
        &self.nats
    }

    /// Jaeger, if it was asked for.
    #[must_use]
    pub fn jaeger(&self) -> Option<&Jaeger> {
        self.jaeger.as_ref()
    }

    /// The Kubernetes control plane, if it was asked for.
    #[must_use]
    pub fn control_plane(&self) -> Option<&ControlPlane> {
        self.control_plane.as_ref()
    }

    /// The folder of the stack: logs, stores, kubeconfigs. A caller may keep its own files there.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops everything and removes the folder. Dropping the stack does the same with SIGKILL.
    pub async fn stop(self) {
        let control_plane = async {
            if let Some(control_plane) = &self.control_plane {
                control_plane.stop().await;
            }
        };
        let jaeger = async {
            if let Some(jaeger) = &self.jaeger {
                jaeger.stop().await;
            }
        };
        tokio::join!(control_plane, jaeger, self.nats.stop());
    }
}
