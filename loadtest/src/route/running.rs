//! A loop at work on threads of its own, as a service is in a process of its own.

use std::future::Future;

use anyhow::Context as _;
use async_nats::Client;
use switchyard_runtime::Shutdown;
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::JoinHandle,
    time::Instant,
};

use crate::broker::Broker;

/// A loop at work. It ends with [`Running::stop`].
pub(crate) struct Running {
    /// When it was connected, just before its first pull.
    pub(crate) begun: Instant,
    shutdown: Shutdown,
    task: JoinHandle<anyhow::Result<()>>,
    threads: Runtime,
}

impl Running {
    /// Connects as the router does and begins to work.
    pub(crate) async fn start<W, F>(broker: &Broker, workers: usize, work: W) -> anyhow::Result<Self>
    where
        W: FnOnce(Client, Shutdown) -> F + Send + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let threads = Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
        let shutdown = Shutdown::default();
        let (options, url) = broker.connection("router")?;
        let (connected, first_pull) = oneshot::channel();
        let until = shutdown.clone();
        let task = threads.spawn(async move {
            let client = options.connect(url).await?;
            // Nobody listens only where nobody measures any more.
            let _ = connected.send(Instant::now());
            work(client, until).await
        });
        let begun = first_pull.await.context("cannot connect as router")?;
        Ok(Self { begun, shutdown, task, threads })
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.request();
        let ended = self.task.await;
        self.threads.shutdown_background();
        ended?
    }
}
