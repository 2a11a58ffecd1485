//! The ledger: one record per build, every change a compare-and-set.

use std::future::Future;

use async_nats::jetstream::kv::{CreateErrorKind, Operation, UpdateErrorKind};
use switchyard_events::{BuildKey, Record};

use crate::Bus;

/// The version of a stored record, for compare-and-set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision(pub u64);

/// The ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The bucket did not answer.
    #[error("ledger, build {build}: {error}")]
    Store {
        /// Of which build.
        build: BuildKey,
        /// What the store said.
        error: async_nats::Error,
    },
    /// The stored record is not one.
    #[error("ledger, build {build}: not a record: {error}")]
    Record {
        /// Of which build.
        build: BuildKey,
        /// What is wrong.
        error: serde_json::Error,
    },
}

/// Where the records are.
pub trait Ledger: Send + Sync {
    /// The record of a build, with its revision.
    fn read(&self, build: &BuildKey) -> impl Future<Output = Result<Option<(Record, Revision)>, LedgerError>> + Send;

    /// Writes the first record of a build; `false` where there is one already.
    fn create(&self, build: &BuildKey, record: &Record) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// Replaces the record of that revision; `false` where somebody was faster.
    fn replace(
        &self,
        build: &BuildKey,
        record: &Record,
        revision: Revision,
    ) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// Removes the record of that revision; `false` where somebody was faster.
    fn remove(&self, build: &BuildKey, revision: Revision) -> impl Future<Output = Result<bool, LedgerError>> + Send;
}

/// Changes a record until the change is stored or is no longer allowed; answers the record as it stands in the ledger.
///
/// # Errors
/// When the ledger cannot be read or written.
pub async fn amend<L: Ledger>(
    ledger: &L,
    build: &BuildKey,
    change: impl Fn(&Record) -> Option<Record> + Send,
) -> Result<Option<Record>, LedgerError> {
    while let Some((record, revision)) = ledger.read(build).await? {
        let Some(changed) = change(&record) else { return Ok(Some(record)) };
        if ledger.replace(build, &changed, revision).await? {
            return Ok(Some(changed));
        }
    }
    Ok(None)
}

impl Ledger for Bus {
    async fn read(&self, build: &BuildKey) -> Result<Option<(Record, Revision)>, LedgerError> {
        let store = |error| LedgerError::Store { build: build.clone(), error };
        let entry = self.builds().await.map_err(store)?.entry(build.as_str()).await.map_err(|e| store(e.into()))?;
        let Some(entry) = entry.filter(|entry| entry.operation == Operation::Put) else { return Ok(None) };
        let record = serde_json::from_slice(&entry.value).map_err(|error| LedgerError::Record { build: build.clone(), error })?;
        Ok(Some((record, Revision(entry.revision))))
    }

    async fn create(&self, build: &BuildKey, record: &Record) -> Result<bool, LedgerError> {
        let store = |error| LedgerError::Store { build: build.clone(), error };
        match self.builds().await.map_err(store)?.create(build.as_str(), bytes(build, record)?).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(store(error.into())),
        }
    }

    async fn replace(&self, build: &BuildKey, record: &Record, Revision(revision): Revision) -> Result<bool, LedgerError> {
        let store = |error| LedgerError::Store { build: build.clone(), error };
        match self.builds().await.map_err(store)?.update(build.as_str(), bytes(build, record)?, revision).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(false),
            Err(error) => Err(store(error.into())),
        }
    }

    async fn remove(&self, build: &BuildKey, Revision(revision): Revision) -> Result<bool, LedgerError> {
        let store = |error| LedgerError::Store { build: build.clone(), error };
        // A marker stays where it was: the bucket's stream takes no message away.
        match self.builds().await.map_err(store)?.purge_expect_revision(build.as_str(), Some(revision)).await {
            Ok(()) => Ok(true),
            Err(error) if error.to_string().contains("wrong last sequence") => Ok(false),
            Err(error) => Err(store(error.into())),
        }
    }
}

fn bytes(build: &BuildKey, record: &Record) -> Result<bytes::Bytes, LedgerError> {
    serde_json::to_vec(record).map(Into::into).map_err(|error| LedgerError::Record { build: build.clone(), error })
}
