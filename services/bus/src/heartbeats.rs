//! Bucket `executors`: what services say now and then about the executors that they work on.

use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use switchyard_events::Heartbeat;

use crate::Bus;

/// A heartbeat could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("bucket executors: {0}")]
pub struct HeartbeatError(String);

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

    /// Says how an executor is doing. It counts until the bucket forgets it.
    ///
    /// # Errors
    /// When the bucket does not answer.
    pub async fn beat(&self, heartbeat: &Heartbeat) -> Result<(), HeartbeatError> {
        let failed = |error: String| HeartbeatError(error);
        let bucket = self.js.get_key_value("executors").await.map_err(|error| failed(error.to_string()))?;
        let value = serde_json::to_vec(heartbeat).map_err(|error| failed(error.to_string()))?;
        bucket.put(heartbeat.key(), value.into()).await.map(drop).map_err(|error| failed(error.to_string()))
    }
}

/// One watch, to its end. What is no heartbeat says nothing.
async fn watch(bus: &Bus) -> impl Stream<Item = Heartbeat> + Send + use<> {
    let opened = async {
        let bucket = bus.js.get_key_value("executors").await.map_err(|error| error.to_string())?;
        bucket.watch_with_history(">").await.map_err(|error| error.to_string())
    };
    let entries = match opened.await {
        Ok(entries) => entries.left_stream(),
        Err(error) => {
            tracing::debug!(error, "heartbeats cannot be followed; it will be tried again");
            stream::empty().right_stream()
        }
    };
    entries.filter_map(async |entry| serde_json::from_slice(&entry.ok()?.value).ok())
}
