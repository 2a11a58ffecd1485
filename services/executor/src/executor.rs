//! The trait that every plugin implements, and what its errors mean.

use std::future::Future;

use futures::stream::BoxStream;
use switchyard_events::BuildKey;

use crate::{Launch, Observed, Seen};

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
    /// Not now: no room, no answer, or an answer that may change. It may exist nevertheless.
    #[error("the executor cannot take the build now: {0}")]
    Later(String),
}

/// An executor that did not answer, or not to the question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the executor cannot be reached: {0}")]
pub struct Unreachable(pub String);
