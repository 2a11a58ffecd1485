//! How far behind a consumer is, for those who watch it.

use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use jiff::Timestamp;

use crate::{Bus, Durable, StoredError, topology::reads};

/// What a consumer has before it and behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Messages that it has not been given yet.
    pub pending: u64,
    /// Messages that it was given and has not acknowledged.
    pub unacknowledged: u64,
    /// Messages among these that were given more than once.
    pub redelivered: u64,
    /// How often it was given a message, ever.
    pub delivered: u64,
    /// How long the oldest message waits that is not handled; none where all are.
    pub oldest: Option<Duration>,
}

impl Bus {
    /// How far behind a consumer is.
    ///
    /// # Errors
    /// When the broker does not answer, or there is no such consumer.
    pub async fn lag(&self, durable: &Durable) -> Result<Lag, StoredError> {
        let failed = |error: String| StoredError::of(format!("consumer {}", durable.name), error);
        let consumer: Result<PullConsumer, _> = self.js.get_consumer_from_stream(&durable.name, durable.stream).await;
        let consumer = consumer.map_err(|error| failed(error.to_string()))?;
        let info = consumer.cached_info();
        let unacknowledged = info.num_ack_pending as u64;
        let after = info.ack_floor.stream_sequence + 1;
        let behind = info.num_pending + unacknowledged > 0;
        let oldest = if behind { self.oldest(durable.stream, after, &reads(&info.config)).await? } else { None };
        Ok(Lag {
            pending: info.num_pending,
            unacknowledged,
            redelivered: info.num_redelivered as u64,
            delivered: info.delivered.consumer_sequence,
            oldest,
        })
    }

    /// The age of the first message from that place on that fits a filter.
    async fn oldest(&self, stream: &str, after: u64, filters: &[&str]) -> Result<Option<Duration>, StoredError> {
        let failed = |error: String| StoredError::of(format!("stream {stream}"), error);
        let stream = self.js.get_stream_no_info(stream).await.map_err(|error| failed(error.to_string()))?;
        let mut oldest = None;
        for filter in filters {
            // None is left of this kind, or it has just been handled.
            let Ok(message) = stream.get_first_raw_message_by_subject(*filter, after).await else { continue };
            let stored = Timestamp::from_nanosecond(message.time.unix_timestamp_nanos()).unwrap_or_default();
            let age = Duration::try_from(Timestamp::now().duration_since(stored)).unwrap_or_default();
            oldest = oldest.max(Some(age));
        }
        Ok(oldest)
    }

    /// How many messages a stream holds.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn held(&self, stream: &str) -> Result<u64, StoredError> {
        let failed = |error: String| StoredError::of(format!("stream {stream}"), error);
        let stream = self.js.get_stream(stream).await.map_err(|error| failed(error.to_string()))?;
        Ok(stream.cached_info().state.messages)
    }
}
