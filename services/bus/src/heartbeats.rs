//! Bucket `executors`: what services say now and then about the executors that they work on.

use switchyard_events::Heartbeat;

use crate::Bus;

/// A heartbeat could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("bucket executors: {0}")]
pub struct HeartbeatError(String);

impl Bus {
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
