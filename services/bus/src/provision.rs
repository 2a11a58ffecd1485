//! Makes the streams, buckets and consumers, and brings those that exist up to date.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::PullConsumer,
    kv, object_store,
    stream::{Config, StorageType},
};

use switchyard_events::Heartbeat;

use crate::{
    Bus, Sizes, consumers,
    states::STATES,
    streams,
    topology::{BUCKETS, LOGS_KEPT},
};

/// Something that had to be made or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `stream CI`, `consumer YARD/reaper`, `bucket builds`.
    pub what: String,
    /// `created`, or which setting changed from what to what.
    pub how: String,
}

/// The broker cannot serve Switchyard as it is.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {error}")]
pub struct ProvisionError {
    what: String,
    error: String,
}

/// Makes what is missing and updates what differs; says what it did. Running it again changes nothing.
///
/// # Errors
/// When the broker refuses, naming what.
pub async fn provision(bus: &Bus, executors: &[&str], sizes: &Sizes, replicas: usize) -> Result<Vec<Change>, ProvisionError> {
    let mut changes = Vec::new();
    for wanted in streams(sizes, replicas) {
        changes.extend(stream(bus, wanted).await?);
    }
    for bucket in BUCKETS {
        changes.extend(bucket_of(bus, bucket, replicas).await?);
    }
    changes.extend(objects(bus, replicas).await?);
    for (durable, config) in consumers(executors) {
        let what = format!("consumer {}/{}", durable.stream, durable.name);
        let failed = |error: String| ProvisionError { what: what.clone(), error };
        let existing: Result<PullConsumer, _> = bus.js.get_consumer_from_stream(&durable.name, durable.stream).await;
        let how = match existing {
            Err(_) => "created".to_owned(),
            Ok(consumer) => {
                let now = &consumer.cached_info().config;
                if now.filter_subjects == config.filter_subjects || [now.filter_subject.clone()] == config.filter_subjects[..] {
                    continue;
                }
                format!("reads {} instead of {}", config.filter_subjects.join(", "), now.filter_subjects.join(", "))
            }
        };
        bus.js.create_consumer_on_stream(config, durable.stream).await.map_err(|error| failed(error.to_string()))?;
        changes.push(Change { what, how });
    }
    Ok(changes)
}

async fn stream(bus: &Bus, wanted: Config) -> Result<Option<Change>, ProvisionError> {
    let what = format!("stream {}", wanted.name);
    let failed = |error: String| ProvisionError { what: what.clone(), error };
    let Ok(existing) = bus.js.get_stream(&wanted.name).await else {
        bus.js.create_stream(wanted).await.map_err(|error| failed(error.to_string()))?;
        return Ok(Some(Change { what, how: "created".into() }));
    };
    let now = &existing.cached_info().config;
    let differences = differences(now, &wanted);
    if differences.is_empty() {
        return Ok(None);
    }
    bus.js.update_stream(&wanted).await.map_err(|error| failed(error.to_string()))?;
    Ok(Some(Change { what, how: differences.join(", ") }))
}

/// What of an existing stream is not as it should be.
fn differences(now: &Config, wanted: &Config) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |name: &str, now: String, wanted: String| {
        if now != wanted {
            found.push(format!("{name} {now} -> {wanted}"));
        }
    };
    compare("subjects", format!("{:?}", now.subjects), format!("{:?}", wanted.subjects));
    compare("max_bytes", now.max_bytes.to_string(), wanted.max_bytes_or_unlimited());
    compare("max_message_size", now.max_message_size.max(0).to_string(), wanted.max_message_size.max(0).to_string());
    compare("max_age", format!("{:?}", now.max_age), format!("{:?}", wanted.max_age));
    compare("discard", format!("{:?}", now.discard), format!("{:?}", wanted.discard));
    compare("duplicate_window", format!("{:?}", now.duplicate_window), format!("{:?}", wanted.duplicate_window));
    compare("allow_direct", now.allow_direct.to_string(), wanted.allow_direct.to_string());
    compare("allow_msg_schedules", now.allow_message_schedules.to_string(), wanted.allow_message_schedules.to_string());
    compare("replicas", now.num_replicas.max(1).to_string(), wanted.num_replicas.max(1).to_string());
    found
}

/// The server writes "no limit" as -1.
trait Unlimited {
    fn max_bytes_or_unlimited(&self) -> String;
}

impl Unlimited for Config {
    fn max_bytes_or_unlimited(&self) -> String {
        if self.max_bytes == 0 { "-1".into() } else { self.max_bytes.to_string() }
    }
}

/// The bucket of what is too large for a value of bucket `trainer`.
async fn objects(bus: &Bus, replicas: usize) -> Result<Option<Change>, ProvisionError> {
    let what = format!("objects {STATES}");
    if bus.js.get_object_store(STATES).await.is_ok() {
        return Ok(None);
    }
    let config = object_store::Config { bucket: STATES.to_owned(), num_replicas: replicas, ..object_store::Config::default() };
    let made = bus.js.create_object_store(config).await;
    made.map_err(|error| ProvisionError { what: what.clone(), error: error.to_string() })?;
    Ok(Some(Change { what, how: "created".into() }))
}

/// How long a bucket keeps a value: heartbeats stop counting by themselves.
fn age_of(bucket: &str) -> Duration {
    match bucket {
        "executors" => Heartbeat::FRESH.unsigned_abs(),
        "logs" => LOGS_KEPT,
        _ => Duration::ZERO,
    }
}

async fn bucket_of(bus: &Bus, bucket: &str, replicas: usize) -> Result<Option<Change>, ProvisionError> {
    let what = format!("bucket {bucket}");
    let failed = |error: String| ProvisionError { what: what.clone(), error };
    let (store, how) = if let Ok(store) = bus.js.get_key_value(bucket).await {
        (store, None)
    } else {
        let history = if bucket == "config" { 64 } else { 1 };
        let config = kv::Config {
            bucket: bucket.to_owned(),
            history,
            storage: StorageType::File,
            num_replicas: replicas,
            max_age: age_of(bucket),
            ..kv::Config::default()
        };
        let store = bus.js.create_key_value(config).await.map_err(|error| failed(error.to_string()))?;
        (store, Some("created".to_owned()))
    };
    let config = &store.stream.cached_info().config;
    if config.max_age != age_of(bucket) {
        let how = how.unwrap_or_else(|| format!("max_age {:?} -> {:?}", config.max_age, age_of(bucket)));
        bus.js
            .update_stream(&Config { max_age: age_of(bucket), ..config.clone() })
            .await
            .map_err(|error| failed(error.to_string()))?;
        return Ok(Some(Change { what, how }));
    }
    if bucket != "builds" || !config.allow_direct {
        return Ok(how.map(|how| Change { what, how }));
    }
    // What follows from the ledger must follow from its leader: a replica that answers directly may be behind.
    let config = Config { allow_direct: false, ..config.clone() };
    bus.js.update_stream(&config).await.map_err(|error| failed(error.to_string()))?;
    Ok(Some(Change { what, how: how.unwrap_or_else(|| "allow_direct true -> false".to_owned()) }))
}
