//! Bucket `config`, key `fleet`: the fleet file and those before it, as they were applied. What stands in them is not read here.

use std::time::Duration;

use async_nats::jetstream::kv::{self, CreateErrorKind, Entry, Operation, UpdateErrorKind};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use tracing::warn;

use crate::Bus;

/// A fleet file that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedFleet {
    /// Its number: each is greater than the one before.
    pub number: u64,
    /// When it was applied.
    pub at: Timestamp,
    /// The file.
    pub text: String,
}

/// The bucket could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("bucket config: {0}")]
pub struct FleetStoreError(String);

const BUCKET: &str = "config";
const KEY: &str = "fleet";

/// What follows the bucket begins again after this time, where that came to an end.
const AGAIN: Duration = Duration::from_secs(1);

impl Bus {
    /// Every fleet file that the bucket still has, the oldest first.
    ///
    /// # Errors
    /// When the bucket does not answer.
    pub async fn fleets(&self) -> Result<Vec<AppliedFleet>, FleetStoreError> {
        let bucket = self.config().await?;
        // The history of a key that was never written does not end.
        if bucket.entry(KEY).await.map_err(failed)?.is_none() {
            return Ok(Vec::new());
        }
        let entries: Vec<Entry> = bucket.history(KEY).await.map_err(failed)?.try_collect().await.map_err(failed)?;
        Ok(entries.iter().filter_map(applied).collect())
    }

    /// Stores a fleet file after that of the number `after`; `None` where somebody was faster.
    ///
    /// # Errors
    /// When the bucket does not answer.
    pub async fn apply_fleet(&self, text: &str, after: Option<u64>) -> Result<Option<u64>, FleetStoreError> {
        let bucket = self.config().await?;
        let text = bytes::Bytes::copy_from_slice(text.as_bytes());
        match after {
            None => match bucket.create(KEY, text).await {
                Ok(number) => Ok(Some(number)),
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(None),
                Err(error) => Err(failed(error)),
            },
            Some(after) => match bucket.update(KEY, text, after).await {
                Ok(number) => Ok(Some(number)),
                Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(None),
                Err(error) => Err(failed(error)),
            },
        }
    }

    /// The fleet file that is there, if one is, and then every one that is applied, without an end.
    pub fn follow_fleets(&self) -> impl Stream<Item = AppliedFleet> + Send + use<> {
        let bus = self.clone();
        let watches = stream::unfold((bus, false), |(bus, again)| async move {
            if again {
                tokio::time::sleep(AGAIN).await;
            }
            Some((watch(&bus).await, (bus, true)))
        });
        watches.flatten()
    }

    async fn config(&self) -> Result<kv::Store, FleetStoreError> {
        self.js.get_key_value(BUCKET).await.map_err(failed)
    }
}

/// One watch, to its end; what ended it is told.
async fn watch(bus: &Bus) -> impl Stream<Item = AppliedFleet> + Send + use<> {
    let opened = async { bus.config().await?.watch_with_history(KEY).await.map_err(failed) };
    let entries = match opened.await {
        Ok(entries) => entries.left_stream(),
        Err(error) => {
            warn!(%error, "the fleet cannot be followed; it will be tried again");
            stream::empty().right_stream()
        }
    };
    let entries = entries.inspect_err(|error| warn!(%error, "the fleet was followed until here; it will be tried again"));
    entries.filter_map(async |entry| entry.ok().as_ref().and_then(applied))
}

fn applied(entry: &Entry) -> Option<AppliedFleet> {
    if entry.operation != Operation::Put {
        return None;
    }
    let at = Timestamp::from_nanosecond(entry.created.unix_timestamp_nanos()).unwrap_or_default();
    Some(AppliedFleet { number: entry.revision, at, text: String::from_utf8_lossy(&entry.value).into_owned() })
}

fn failed(error: impl std::fmt::Display) -> FleetStoreError {
    FleetStoreError(error.to_string())
}
