//! How the API server is found and spoken to.

use std::{path::PathBuf, sync::Arc, time::Duration};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use switchyard_fleet::{Executor, Kubeconfig as Place};
use tokio::sync::Semaphore;

use super::{AT_ONCE, Kubernetes, breaker::Policy, pressure::Pressure, refusal::with_causes};

/// Connecting may take this long.
const CONNECT: Duration = Duration::from_secs(5);

/// A connection on which nothing was heard for so long is given up; a watch hears at least the end of its request
/// in that time.
const SILENCE: Duration = Duration::from_secs(45);

/// A cluster that cannot be spoken to as it is configured. That it does not answer is not among these: that is told by each call.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig of the fleet file cannot be used.
    #[error("executor {executor}: kubeconfig {}: {why}", path.display())]
    Kubeconfig {
        /// Whose.
        executor: String,
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, in one line.
        why: String,
    },
    /// Neither a default kubeconfig nor a service account was found.
    #[error("executor {executor}: no cluster is configured: {why}")]
    NoCluster {
        /// Whose.
        executor: String,
        /// Where was looked, and what was wrong there.
        why: String,
    },
    /// What is configured makes no client: a certificate that cannot be read, for instance.
    #[error("executor {executor}: {why}")]
    Client {
        /// Whose.
        executor: String,
        /// What is wrong.
        why: String,
    },
}

impl Kubernetes {
    /// Prepares to speak to the cluster of an executor. It is not contacted yet.
    ///
    /// # Errors
    /// When its kubeconfig cannot be read, or there is none at all.
    pub async fn connect(executor: &Executor) -> Result<Self, ConnectError> {
        let config = config(executor).await?;
        let client = Client::try_from(config)
            .map_err(|error| ConnectError::Client { executor: executor.name.clone(), why: with_causes(&error) })?;
        let pressure = Arc::new(Pressure::new(policy(executor), executor.slots.map(|slots| slots.get().into())));
        Ok(Self { place: executor.clone(), client, installation: None, permits: Semaphore::new(AT_ONCE), pressure })
    }

    /// The same, and what it creates says that it is this installation's.
    #[must_use]
    pub fn of_installation(self, installation: String) -> Self {
        Self { installation: Some(installation), ..self }
    }
}

fn policy(executor: &Executor) -> Policy {
    let breaker = &executor.fusebox.breaker;
    Policy { timeout: breaker.timeout, max_failures: breaker.max_failures, reset: breaker.reset_timeout }
}

async fn config(executor: &Executor) -> Result<Config, ConnectError> {
    let name = || executor.name.clone();
    let mut config = match executor.kubeconfig.as_ref().map(file_of) {
        Some(path) => from_file(path.clone()).await.map_err(|error| ConnectError::Kubeconfig {
            executor: name(),
            path,
            why: with_causes(&error),
        })?,
        None => Config::infer().await.map_err(|error| ConnectError::NoCluster { executor: name(), why: with_causes(&error) })?,
    };
    // Retrying is the handler's business: the client's own retry sleeps up to minutes inside one call.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    Ok(config)
}

/// Where a Secret of the fleet file is mounted, as a folder of its name.
const SECRETS: &str = "/etc/switchyard/secrets";

fn file_of(place: &Place) -> PathBuf {
    match place {
        Place::File(path) => path.clone(),
        Place::Secret(name) => PathBuf::from(SECRETS).join(name).join("kubeconfig"),
    }
}

async fn from_file(path: PathBuf) -> Result<Config, KubeconfigError> {
    Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default()).await
}
