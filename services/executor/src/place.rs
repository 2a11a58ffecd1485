//! An executor of whichever plugin the fleet file names.

use futures::stream::BoxStream;
use switchyard_events::BuildKey;

use crate::{Condition, CreateError, Executor, Kubernetes, Launch, Observed, Process, Seen, Unreachable};

/// An executor of any plugin, so that a service need not be written for each.
#[derive(Debug)]
pub struct Place(Plugin);

#[derive(Debug)]
enum Plugin {
    Kubernetes(Box<Kubernetes>),
    Process(Box<Process>),
}

impl From<Kubernetes> for Place {
    fn from(kubernetes: Kubernetes) -> Self {
        Self(Plugin::Kubernetes(Box::new(kubernetes)))
    }
}

impl From<Process> for Place {
    fn from(process: Process) -> Self {
        Self(Plugin::Process(Box::new(process)))
    }
}

/// Asks the plugin the same question.
macro_rules! ask {
    ($place:ident, $plugin:ident => $question:expr) => {
        match &$place.0 {
            Plugin::Kubernetes($plugin) => $question,
            Plugin::Process($plugin) => $question,
        }
    };
}

impl Executor for Place {
    fn name(&self) -> &str {
        ask!(self, plugin => plugin.name())
    }

    async fn create(&self, launch: &Launch) -> Result<String, CreateError> {
        ask!(self, plugin => plugin.create(launch).await)
    }

    async fn look(&self, build: &BuildKey, attempt: u32) -> Result<Option<Observed>, Unreachable> {
        ask!(self, plugin => plugin.look(build, attempt).await)
    }

    async fn ungate(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<(), Unreachable> {
        ask!(self, plugin => plugin.ungate(build, attempt, uid).await)
    }

    async fn delete(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<(), Unreachable> {
        ask!(self, plugin => plugin.delete(build, attempt, uid).await)
    }

    async fn release(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<(), Unreachable> {
        ask!(self, plugin => plugin.release(build, attempt, uid).await)
    }

    fn condition(&self) -> Condition {
        ask!(self, plugin => plugin.condition())
    }

    async fn attend(&self) {
        ask!(self, plugin => plugin.attend().await);
    }

    async fn list(&self) -> Result<Vec<Observed>, Unreachable> {
        ask!(self, plugin => plugin.list().await)
    }

    async fn is_gone(&self, node: &str) -> Result<bool, Unreachable> {
        ask!(self, plugin => plugin.is_gone(node).await)
    }

    async fn force(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<(), Unreachable> {
        ask!(self, plugin => plugin.force(build, attempt, uid).await)
    }

    async fn log(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<Option<Vec<u8>>, Unreachable> {
        ask!(self, plugin => plugin.log(build, attempt, uid).await)
    }

    fn watch(&self) -> BoxStream<'static, Result<Seen, Unreachable>> {
        ask!(self, plugin => plugin.watch())
    }
}
