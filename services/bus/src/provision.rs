//! Makes the streams, buckets and consumers, and brings those that exist up to date.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{PullConsumer, pull},
    kv, object_store,
    stream::{Config, DiscardPolicy, StorageType},
};

use switchyard_events::Heartbeat;

use crate::{
    Bus, Durable, Sizes, consumers,
    states::STATES,
    streams,
    topology::{BUCKETS, LOGS_KEPT, reads},
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
    make(bus, executors, sizes, replicas).await.map_err(ProvisionError::with_remedy)
}

impl ProvisionError {
    fn with_remedy(mut self) -> Self {
        if self.error.contains(&format!("error code {NO_ROOM}")) {
            self.error += "; streams reserve what they may become, 15 GiB in all: let them become less (--ci-mib, --yard-mib, --logs-mib), or nats-server take more (max_file_store; 75 % of what the disk has free unless it says otherwise)";
        }
        self
    }
}

/// What the broker says where streams may not become so large together.
const NO_ROOM: u32 = 10047;

async fn make(bus: &Bus, executors: &[&str], sizes: &Sizes, replicas: usize) -> Result<Vec<Change>, ProvisionError> {
    let mut changes = Vec::new();
    for wanted in streams(sizes, replicas) {
        changes.extend(stream(bus, wanted).await?);
    }
    for bucket in BUCKETS {
        changes.extend(bucket_of(bus, bucket, sizes, replicas).await?);
    }
    changes.extend(objects(bus, replicas).await?);
    for (durable, config) in consumers(executors) {
        changes.extend(consumer(bus, &durable, config).await?);
    }
    Ok(changes)
}

async fn consumer(bus: &Bus, durable: &Durable, wanted: pull::Config) -> Result<Option<Change>, ProvisionError> {
    let what = format!("consumer {}/{}", durable.stream, durable.name);
    let failed = |error: String| ProvisionError { what: what.clone(), error };
    let existing: Result<PullConsumer, _> = bus.js.get_consumer_from_stream(&durable.name, durable.stream).await;
    let how = match existing {
        Err(_) => "created".to_owned(),
        Ok(consumer) => {
            let now = &consumer.cached_info().config;
            let mut differences = Differences::default();
            differences.compare("reads", &reads(now).join(", "), &wanted.filter_subjects.join(", "));
            differences.compare("ack_wait", &format!("{:?}", now.ack_wait), &format!("{:?}", wanted.ack_wait));
            differences.compare("max_deliver", &now.max_deliver.to_string(), &wanted.max_deliver.to_string());
            differences.compare("max_ack_pending", &now.max_ack_pending.to_string(), &wanted.max_ack_pending.to_string());
            if differences.0.is_empty() {
                return Ok(None);
            }
            differences.0.join(", ")
        }
    };
    bus.js.create_consumer_on_stream(wanted, durable.stream).await.map_err(|error| failed(error.to_string()))?;
    Ok(Some(Change { what, how }))
}

/// What is not as it should be: each with what it is and what it becomes.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn compare(&mut self, name: &str, now: &str, wanted: &str) {
        if now != wanted {
            self.0.push(format!("{name} {now} -> {wanted}"));
        }
    }
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
    let mut found = Differences::default();
    let mut compare = |name: &str, now: String, wanted: String| found.compare(name, &now, &wanted);
    compare("subjects", format!("{:?}", now.subjects), format!("{:?}", wanted.subjects));
    compare("max_bytes", now.max_bytes.to_string(), wanted.max_bytes_or_unlimited());
    compare("max_message_size", now.max_message_size.max(0).to_string(), wanted.max_message_size.max(0).to_string());
    compare("max_age", format!("{:?}", now.max_age), format!("{:?}", wanted.max_age));
    compare("discard", format!("{:?}", now.discard), format!("{:?}", wanted.discard));
    compare("duplicate_window", format!("{:?}", now.duplicate_window), format!("{:?}", wanted.duplicate_window));
    compare("allow_direct", now.allow_direct.to_string(), wanted.allow_direct.to_string());
    compare("allow_msg_schedules", now.allow_message_schedules.to_string(), wanted.allow_message_schedules.to_string());
    compare("replicas", now.num_replicas.max(1).to_string(), wanted.num_replicas.max(1).to_string());
    found.0
}

/// The server writes "no limit" as -1.
trait Unlimited {
    fn max_bytes_or_unlimited(&self) -> String;
}

impl Unlimited for Config {
    fn max_bytes_or_unlimited(&self) -> String {
        if self.max_bytes <= 0 { "-1".into() } else { self.max_bytes.to_string() }
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

async fn bucket_of(bus: &Bus, bucket: &str, sizes: &Sizes, replicas: usize) -> Result<Option<Change>, ProvisionError> {
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
    let now = &store.stream.cached_info().config;
    let wanted = bucket_as_it_should_be(bucket, sizes, now);
    let differences = differences(now, &wanted);
    if !differences.is_empty() {
        bus.js.update_stream(&wanted).await.map_err(|error| failed(error.to_string()))?;
    }
    Ok(how.or((!differences.is_empty()).then(|| differences.join(", "))).map(|how| Change { what, how }))
}

/// A bucket's stream with what we want of it, and the rest as it is.
fn bucket_as_it_should_be(bucket: &str, sizes: &Sizes, now: &Config) -> Config {
    let config = Config { max_age: age_of(bucket), ..now.clone() };
    match bucket {
        // What follows from the ledger must follow from its leader: a replica that answers directly may be behind.
        "builds" => Config { allow_direct: false, ..config },
        // It must neither fill the disk that the ledger is on, nor refuse what was said last.
        "logs" => Config { max_bytes: sizes.logs, discard: DiscardPolicy::Old, ..config },
        _ => config,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helps_against_too_small_a_disk_is_said() {
        let failed = |error: &str| ProvisionError { what: "bucket logs".into(), error: error.into() }.with_remedy().to_string();
        let no_room = failed("jetstream error: insufficient storage resources available (code 500, error code 10047)");
        assert!(no_room.starts_with("bucket logs: jetstream error: insufficient") && no_room.contains("--logs-mib"), "{no_room}");
        assert_eq!(failed("timed out"), "bucket logs: timed out");
    }
}
