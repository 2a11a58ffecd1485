//! Reading what a stream has recorded, from some time on until now.

use async_nats::jetstream::consumer::{DeliverPolicy, pull::OrderedConfig};
use futures::StreamExt as _;
use jiff::Timestamp;

use switchyard_events::starting_trace;

use crate::{Bus, Delivery, StoredError, delivery::read_event};

impl Bus {
    /// Hands over every event that a stream has on the subjects of `filter`, since some time, in their order. What is no
    /// event is counted; that count is the answer.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn recorded(
        &self,
        stream: &str,
        filter: &str,
        since: Option<Timestamp>,
        mut each: impl FnMut(Delivery),
    ) -> Result<u64, StoredError> {
        let failed = |error: String| StoredError::new(format!("stream {stream}"), error);
        let handle = self.js.get_stream(stream).await.map_err(|error| failed(error.to_string()))?;
        let config = OrderedConfig {
            filter_subject: filter.to_owned(),
            deliver_policy: from(since).map_err(|error| failed(error.to_string()))?,
            ..OrderedConfig::default()
        };
        let consumer = handle.create_consumer(config).await.map_err(|error| failed(error.to_string()))?;
        if consumer.cached_info().num_pending == 0 {
            return Ok(0);
        }
        let mut messages = consumer.messages().await.map_err(|error| failed(error.to_string()))?;
        let mut unreadable = 0;
        while let Some(message) = messages.next().await {
            let message = message.map_err(|error| failed(error.to_string()))?;
            let info = message.info().map_err(|error| failed(error.to_string()))?;
            let (last, sequence) = (info.pending == 0, info.stream_sequence);
            let stored = Timestamp::from_nanosecond(info.published.unix_timestamp_nanos()).unwrap_or_default();
            match read_event(message.headers.as_ref(), &message.payload) {
                Ok(event) => {
                    let subject = message.subject.to_string();
                    each(Delivery {
                        subject,
                        stream: stream.to_owned(),
                        sequence,
                        delivered: 1,
                        stored,
                        trace: starting_trace(&event),
                        event,
                    });
                }
                Err(_) => unreadable += 1,
            }
            if last {
                break;
            }
        }
        Ok(unreadable)
    }
}

fn from(since: Option<Timestamp>) -> Result<DeliverPolicy, async_nats::Error> {
    Ok(match since {
        None => DeliverPolicy::All,
        Some(since) => DeliverPolicy::ByStartTime { start_time: async_nats::datetime::parse_rfc3339(&since.to_string())? },
    })
}
