//! The trait that every plugin implements, and what its errors mean.

use std::{future::Future, time::Duration};

use futures::{StreamExt as _, stream::BoxStream};
use switchyard_events::BuildKey;

use crate::{Condition, Launch, Observed, Seen};

/// A place where builds run. Every call may be repeated: done twice is done once.
///
/// No call waits for the build: each ends within seconds, with an error where the place does not answer.
pub trait Executor: Send + Sync + 'static {
    /// The executor's name in the fleet.
    fn name(&self) -> &str;

    /// Creates what will run the attempt, gated and held until it is released, and returns its uid.
    ///
    /// Where it exists already, its uid.
    fn create(&self, launch: &Launch) -> impl Future<Output = Result<String, CreateError>> + Send;

    /// What is there of the attempt now, if anything is.
    fn look(&self, build: &BuildKey, attempt: u32) -> impl Future<Output = Result<Option<Observed>, Unreachable>> + Send;

    /// Lets that uid run. Nothing happens where it is ungated already, gone, or another.
    fn ungate(&self, build: &BuildKey, attempt: u32, uid: &str) -> impl Future<Output = Result<(), Unreachable>> + Send;

    /// Tells that uid to end. Nothing happens where it is gone, or another.
    fn delete(&self, build: &BuildKey, attempt: u32, uid: &str) -> impl Future<Output = Result<(), Unreachable>> + Send;

    /// Stops holding that uid: once deleted and ended it goes. Nothing happens where it is gone, or another.
    fn release(&self, build: &BuildKey, attempt: u32, uid: &str) -> impl Future<Output = Result<(), Unreachable>> + Send;

    /// How the place is doing, as far as this process knows. One that says nothing is taken to be well and without a limit.
    fn condition(&self) -> Condition {
        Condition::default()
    }

    /// Keeps [`Executor::condition`] true for as long as it is polled; it never ends.
    fn attend(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Everything of this executor now.
    fn list(&self) -> impl Future<Output = Result<Vec<Observed>, Unreachable>> + Send {
        async {
            let mut watch = self.watch();
            let mut found = Vec::new();
            while let Some(seen) = watch.next().await {
                match seen? {
                    Seen::Present(observed) => found.push(*observed),
                    Seen::Gone { .. } => {}
                    Seen::Synced => return Ok(found),
                }
            }
            Err(Unreachable("the watch has ended".to_owned()))
        }
    }

    /// Whether a machine does not exist any more: not only that it does not answer.
    fn is_gone(&self, _node: &str) -> impl Future<Output = Result<bool, Unreachable>> + Send {
        async { Ok(false) }
    }

    /// Takes that uid for ended, whatever its machine says: something of it may still run. Nothing happens where it is gone, or
    /// another.
    fn force(&self, build: &BuildKey, attempt: u32, uid: &str) -> impl Future<Output = Result<(), Unreachable>> + Send {
        self.delete(build, attempt, uid)
    }

    /// The last 64 KiB of what the build of that uid has said, with its secrets made unreadable; none where there is nothing to be
    /// read. It may ask a machine that does not answer: it takes a few seconds at most.
    fn log(
        &self,
        _build: &BuildKey,
        _attempt: u32,
        _uid: &str,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, Unreachable>> + Send {
        async { Ok(None) }
    }

    /// Everything of this executor now, then every change, for ever. It reconnects by itself; an error says that nothing was
    /// heard meanwhile, and the [`Seen::Synced`] that follows every error that nothing is missing any more.
    fn watch(&self) -> BoxStream<'static, Result<Seen, Unreachable>>;
}

/// An attempt that could not be created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// Never: trying again would be refused again.
    #[error("the executor refuses the build: {0}")]
    Rejected(String),
    /// Not now: the executor cannot be asked, or its answer may change by itself.
    #[error("the executor cannot take the build now: {0}")]
    Later(String),
    /// Not before some time has passed: there is no room, or the executor asked to be left alone.
    #[error("the executor cannot take the build for {} s: {why}", after.as_secs_f32())]
    Busy {
        /// What it said.
        why: String,
        /// How long to stay away.
        after: Duration,
    },
    /// Nobody can say whether it exists now: look before creating it again.
    #[error("the executor did not say whether it took the build: {0}")]
    Unknown(String),
}

/// An executor that did not answer, or not to the question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the executor cannot be reached: {0}")]
pub struct Unreachable(pub String);
