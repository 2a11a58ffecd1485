//! Bucket `executors`: what services say now and then about the executors that they work on.

use std::time::Duration;

use async_nats::jetstream::kv;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use switchyard_events::Heartbeat;

use crate::Bus;

/// A heartbeat could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("bucket executors: {0}")]
pub struct HeartbeatError(String);

const BUCKET: &str = "executors";

/// What follows the bucket begins again after this time, where that came to an end.
const AGAIN: Duration = Duration::from_secs(5);

impl Bus {
    /// Every heartbeat that the bucket has, and then each that is said, without an end.
    pub fn follow_heartbeats(&self) -> impl Stream<Item = Heartbeat> + Send + use<> {
        let bus = self.clone();
        let watches = stream::unfold((bus, false), |(bus, again)| async move {
            if again {
                tokio::time::sleep(AGAIN).await;
            }
            Some((watch(&bus).await, (bus, true)))
        });
        watches.flatten()
    }

    /// Every heartbeat that counts now. What is no heartbeat says nothing.
    ///
    /// # Errors
    /// When the bucket does not answer.
    pub async fn heartbeats(&self, now: Timestamp) -> Result<Vec<Heartbeat>, HeartbeatError> {
        let bucket = executors(self).await?;
        let keys: Vec<String> = bucket.keys().await.map_err(failed)?.try_collect().await.map_err(failed)?;
        let mut beats = Vec::new();
        for key in keys {
            let value = bucket.get(&key).await.map_err(failed)?;
            let beat = value.and_then(|value| serde_json::from_slice::<Heartbeat>(&value).ok());
            beats.extend(beat.filter(|beat| beat.is_fresh(now)));
        }
        Ok(beats)
    }

    /// Says how an executor is doing. It counts until the bucket forgets it.
    ///
    /// # Errors
    /// When the bucket does not answer.
    pub async fn beat(&self, heartbeat: &Heartbeat) -> Result<(), HeartbeatError> {
        let value = serde_json::to_vec(heartbeat).map_err(failed)?;
        executors(self).await?.put(heartbeat.key(), value.into()).await.map(drop).map_err(failed)
    }
}

async fn executors(bus: &Bus) -> Result<kv::Store, HeartbeatError> {
    bus.js.get_key_value(BUCKET).await.map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> HeartbeatError {
    HeartbeatError(error.to_string())
}

/// One watch, to its end. What is no heartbeat says nothing.
async fn watch(bus: &Bus) -> impl Stream<Item = Heartbeat> + Send + use<> {
    let opened = async { executors(bus).await?.watch_with_history(">").await.map_err(failed) };
    let entries = match opened.await {
        Ok(entries) => entries.left_stream(),
        Err(error) => {
            tracing::debug!(%error, "heartbeats cannot be followed; it will be tried again");
            stream::empty().right_stream()
        }
    };
    entries.filter_map(async |entry| serde_json::from_slice(&entry.ok()?.value).ok())
}
