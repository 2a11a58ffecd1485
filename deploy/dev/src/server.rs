//! A server that can be killed and started again on the same port and the same data.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::StartError;
use crate::launch::Launch;
use crate::process::{Exit, Process};
use crate::ready::Ready;

/// Long enough for an API server on a machine that is busy with a build.
const READY_WITHIN: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(25);
const LOOK_FOR: Duration = Duration::from_secs(5);

/// One server of the stack. Every method takes `&self`: tests share the stack.
#[derive(Debug)]
pub struct Server {
    launch: Launch,
    ready: Ready,
    process: Mutex<Arc<Process>>,
    /// Held while the process is replaced.
    replacing: tokio::sync::Mutex<()>,
}

impl Server {
    pub(crate) async fn start(launch: Launch, ready: Ready) -> Result<Self, StartError> {
        let process = run(&launch, &ready).await?;
        Ok(Self { launch, ready, process: Mutex::new(process), replacing: tokio::sync::Mutex::default() })
    }

    /// The pid of the server now; a restart changes it.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process().pid()
    }

    /// How it ended, if it does not run.
    #[must_use]
    pub fn exited(&self) -> Option<Exit> {
        self.process().exited()
    }

    /// The file that its output is appended to, over restarts.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.launch.log()
    }

    /// The address that tells whether it is ready, where that is one of plain HTTP.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        match &self.ready {
            Ready::Http(url) => Some(url),
            Ready::Https { .. } | Ready::Nodes { .. } => None,
        }
    }

    /// Sends SIGKILL and waits for the end.
    pub async fn kill(&self) -> Exit {
        let process = self.process();
        process.kill();
        process.wait().await
    }

    /// Sends SIGTERM, and SIGKILL once `grace` is over, and waits for the end.
    pub async fn stop(&self, grace: Duration) -> Exit {
        let process = self.process();
        process.stop(grace).await
    }

    /// Freezes it (SIGSTOP): connections stay open, nothing answers.
    pub fn pause(&self) {
        self.process().pause();
    }

    /// Lets it go on after [`Server::pause`].
    pub fn resume(&self) {
        self.process().resume();
    }

    /// Starts it again, with the same port and data, and waits until it is ready. Kills it first if it still runs.
    ///
    /// # Errors
    /// When it does not start, ends at once or does not become ready.
    pub async fn restart(&self) -> Result<(), StartError> {
        let _alone = self.replacing.lock().await;
        self.kill().await;
        let process = run(&self.launch, &self.ready).await?;
        *self.current() = process;
        Ok(())
    }

    fn process(&self) -> Arc<Process> {
        Arc::clone(&self.current())
    }

    fn current(&self) -> MutexGuard<'_, Arc<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(launch: &Launch, ready: &Ready) -> Result<Arc<Process>, StartError> {
    let process = Arc::new(Process::start(launch).await?);
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let looked = tokio::time::timeout(LOOK_FOR, Box::pin(ready.look())).await.unwrap_or_else(|_| Err("no answer".to_owned()));
        let name = launch.name().to_owned();
        match (looked, process.exited()) {
            (_, Some(exit)) => return Err(StartError::Exited { name, exit, log: process.log_tail() }),
            (Ok(()), None) => return Ok(process),
            (Err(why), None) if Instant::now() > deadline => {
                return Err(StartError::NotReady { name, after: READY_WITHIN, why, log: process.log_tail() });
            }
            (Err(_), None) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}
