//! Several servers together, in one folder that goes when they go.

use std::path::Path;

use tempfile::TempDir;

use crate::StartError;
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
    /// Whether to start Jaeger.
    pub jaeger: bool,
}

/// The running servers.
#[derive(Debug)]
pub struct Stack {
    jaeger: Option<Jaeger>,
    nats: Nats,
    folder: TempDir,
}

impl Stack {
    /// Starts what is asked for, all at once, and waits until everything is ready.
    ///
    /// # Errors
    /// When a tool cannot be found or built, or a server does not become ready.
    pub async fn start(options: &StackOptions) -> Result<Self, StartError> {
        let mut wanted = vec![Tool::NatsServer];
        wanted.extend(options.jaeger.then_some(Tool::Jaeger));
        let tools = Tools::ready(&wanted).await?;
        let folder = tempfile::Builder::new().prefix("switchyard-").tempdir();
        let folder = folder.map_err(StartError::file(std::env::temp_dir()))?;
        let nats = NatsOptions {
            executors: options.executors.clone(),
            tenants: options.tenants.clone(),
            ..NatsOptions::new(folder.path().join("nats"))
        };
        let jaeger = async {
            if !options.jaeger {
                return Ok(None);
            }
            Jaeger::start(&tools, &folder.path().join("jaeger")).await.map(Some)
        };
        let (nats, jaeger) = tokio::try_join!(Nats::start(&tools, &nats), jaeger)?;
        Ok(Self { jaeger, nats, folder })
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

    /// The folder of the stack: logs, stores, kubeconfigs. A caller may keep its own files there.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops everything and removes the folder. Dropping the stack does the same with SIGKILL.
    pub async fn stop(self) {
        if let Some(jaeger) = &self.jaeger {
            jaeger.stop().await;
        }
        self.nats.stop().await;
    }
}
