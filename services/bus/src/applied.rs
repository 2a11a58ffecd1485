//! Bucket `config`: files as they were applied, and those before them; the fleet under `fleet`, each model under `model.<name>`.
//! What stands in them is not read here.

use std::time::Duration;

use async_nats::jetstream::kv::{self, CreateErrorKind, Entry, Operation, UpdateErrorKind};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use tracing::warn;

use crate::Bus;

/// A file that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
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
pub struct ConfigError(String);

const BUCKET: &str = "config";
const FLEET: &str = "fleet";
const MODEL: &str = "model.";

/// What follows the bucket begins again after this time, where that came to an end.
const AGAIN: Duration = Duration::from_secs(1);

impl Bus {
    /// Every fleet file that the bucket still has, the oldest first.
    ///
    /// # Errors
    /// When the bucket does not answer.
    pub async fn fleets(&self) -> Result<Vec<Applied>, ConfigError> {
        self.applied(FLEET).await
    }

    /// Stores a fleet file after that of the number `after`; `None` where somebody was faster.
    ///
    /// # Errors
    /// When the bucket does not answer.
    pub async fn apply_fleet(&self, text: &str, after: Option<u64>) -> Result<Option<u64>, ConfigError> {
        self.apply(FLEET, text, after).await
    }

    /// The fleet file that is there, if one is, and then every one that is applied, without an end.
    pub fn follow_fleets(&self) -> impl Stream<Item = Applied> + Send + use<> {
        self.follow_applied(FLEET).map(|(_, applied)| applied)
    }

    /// The names of the models of which a file has been applied, sorted.
    ///
    /// # Errors
    /// When the bucket does not answer.
    pub async fn model_names(&self) -> Result<Vec<String>, ConfigError> {
        let keys: Vec<String> = self.config().await?.keys().await.map_err(failed)?.try_collect().await.map_err(failed)?;
        let mut names: Vec<String> = keys.iter().filter_map(|key| key.strip_prefix(MODEL)).map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// Every file of a model that the bucket still has, the oldest first.
    ///
    /// # Errors
    /// When the bucket does not answer.
    pub async fn models(&self, name: &str) -> Result<Vec<Applied>, ConfigError> {
        self.applied(&format!("{MODEL}{name}")).await
    }

    /// Stores a model's file after that of the number `after`; `None` where somebody was faster.
    ///
    /// # Errors
    /// When the bucket does not answer.
    pub async fn apply_model(&self, name: &str, text: &str, after: Option<u64>) -> Result<Option<u64>, ConfigError> {
        self.apply(&format!("{MODEL}{name}"), text, after).await
    }

    /// The name and the file of every model that is there, and then of every one that is applied, without an end. Older files of
    /// a model come before newer ones, and what came once may come again.
    pub fn follow_models(&self) -> impl Stream<Item = (String, Applied)> + Send + use<> {
        self.follow_applied("model.>").filter_map(async |(key, applied)| Some((key.strip_prefix(MODEL)?.to_owned(), applied)))
    }

    async fn applied(&self, key: &str) -> Result<Vec<Applied>, ConfigError> {
        let bucket = self.config().await?;
        // The history of a key that was never written does not end.
        if bucket.entry(key).await.map_err(failed)?.is_none() {
            return Ok(Vec::new());
        }
        let entries: Vec<Entry> = bucket.history(key).await.map_err(failed)?.try_collect().await.map_err(failed)?;
        Ok(entries.iter().filter_map(applied).collect())
    }

    async fn apply(&self, key: &str, text: &str, after: Option<u64>) -> Result<Option<u64>, ConfigError> {
        let bucket = self.config().await?;
        let text = bytes::Bytes::copy_from_slice(text.as_bytes());
        match after {
            None => match bucket.create(key, text).await {
                Ok(number) => Ok(Some(number)),
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(None),
                Err(error) => Err(failed(error)),
            },
            Some(after) => match bucket.update(key, text, after).await {
                Ok(number) => Ok(Some(number)),
                Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(None),
                Err(error) => Err(failed(error)),
            },
        }
    }

    fn follow_applied(&self, key: &'static str) -> impl Stream<Item = (String, Applied)> + Send + use<> {
        let bus = self.clone();
        let watches = stream::unfold((bus, false), move |(bus, again)| async move {
            if again {
                tokio::time::sleep(AGAIN).await;
            }
            Some((watch(&bus, key).await, (bus, true)))
        });
        watches.flatten()
    }

    async fn config(&self) -> Result<kv::Store, ConfigError> {
        self.js.get_key_value(BUCKET).await.map_err(failed)
    }
}

/// One watch, to its end; what ended it is told.
async fn watch(bus: &Bus, key: &'static str) -> impl Stream<Item = (String, Applied)> + Send + use<> {
    let opened = async { bus.config().await?.watch_with_history(key).await.map_err(failed) };
    let entries = match opened.await {
        Ok(entries) => entries.left_stream(),
        Err(error) => {
            warn!(%error, key, "the file cannot be followed; it will be tried again");
            stream::empty().right_stream()
        }
    };
    let entries =
        entries.inspect_err(move |error| warn!(%error, key, "the file was followed until here; it will be tried again"));
    entries.filter_map(async |entry| entry.ok().and_then(|entry| Some((entry.key.clone(), applied(&entry)?))))
}

fn applied(entry: &Entry) -> Option<Applied> {
    if entry.operation != Operation::Put {
        return None;
    }
    let at = Timestamp::from_nanosecond(entry.created.unix_timestamp_nanos()).unwrap_or_default();
    Some(Applied { number: entry.revision, at, text: String::from_utf8_lossy(&entry.value).into_owned() })
}

fn failed(error: impl std::fmt::Display) -> ConfigError {
    ConfigError(error.to_string())
}
