//! Bucket `trainer`: what the trainer knows, one key each, every change a compare-and-set. What is too large for a value is kept
//! as an object that is named by its digest, and the value points to it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use async_nats::jetstream::{
    kv::{CreateErrorKind, Operation, UpdateErrorKind},
    object_store::ObjectStore,
};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use switchyard_events::content_digest;
use tokio::io::AsyncReadExt as _;
use tracing::warn;

use crate::{Bus, Revision, StoredError, bus::PATIENCE};

/// The name of the bucket of values, and of that of objects.
pub(crate) const STATES: &str = "trainer";

/// The largest value that stands in the bucket itself.
const LARGEST_VALUE: usize = 256 << 10;

/// How a value that points to an object begins; no JSON does.
const POINTER: u8 = b'@';

/// How long what follows the bucket waits before it begins again.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// What the values point to that were read or written last, so that they need not be read once more to be replaced.
#[derive(Default)]
pub(crate) struct Pointers(Mutex<BTreeMap<String, (u64, Option<String>)>>);

/// The object that a value points to, if it points to one.
struct Pointer(Option<String>);

impl Pointers {
    fn remember(&self, key: &str, revision: u64, digest: Option<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), (revision, digest));
    }

    /// What the value of that revision points to, where that is known.
    fn of(&self, key: &str, revision: u64) -> Option<Pointer> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|(of, _)| *of == revision).map(|(_, digest)| Pointer(digest.clone()))
    }
}

impl Bus {
    /// The value of a key, with its revision; `None` where there is none.
    ///
    /// # Errors
    /// When the broker does not answer, or the object that the value points to is gone.
    pub async fn state(&self, key: &str) -> Result<Option<(Bytes, Revision)>, StoredError> {
        let failed = |error: String| StoredError::new(format!("bucket {STATES}, key {key}"), error);
        // An object goes with the value that pointed to it: one look more finds the next value.
        for again in [true, false] {
            let bucket = self.states().await.map_err(|error| failed(error.to_string()))?;
            let entry = bucket.entry(key).await.map_err(|error| failed(error.to_string()))?;
            let Some(entry) = entry.filter(|entry| entry.operation == Operation::Put) else { return Ok(None) };
            let found = pointed(&entry.value);
            self.pointers.remember(key, entry.revision, found.clone());
            let Some(digest) = found else { return Ok(Some((entry.value, Revision(entry.revision)))) };
            match self.object(&digest).await {
                Ok(bytes) => return Ok(Some((bytes, Revision(entry.revision)))),
                Err(_) if again => {}
                Err(error) => return Err(failed(format!("object {digest}: {error}"))),
            }
        }
        Ok(None)
    }

    /// The revision of a key; `None` where it has no value.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn state_revision(&self, key: &str) -> Result<Option<Revision>, StoredError> {
        let failed = |error: String| StoredError::new(format!("bucket {STATES}, key {key}"), error);
        let bucket = self.states().await.map_err(|error| failed(error.to_string()))?;
        let entry = bucket.entry(key).await.map_err(|error| failed(error.to_string()))?;
        Ok(entry.filter(|entry| entry.operation == Operation::Put).map(|entry| Revision(entry.revision)))
    }

    /// Writes a key that is still at that revision, or has no value where `after` is `None`; `None` where somebody was faster.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn keep_state(&self, key: &str, value: Bytes, after: Option<Revision>) -> Result<Option<Revision>, StoredError> {
        let failed = |error: String| StoredError::new(format!("bucket {STATES}, key {key}"), error);
        let bucket = self.states().await.map_err(|error| failed(error.to_string()))?;
        let before = match after.map(|Revision(revision)| self.pointers.of(key, revision)) {
            None => None,
            Some(Some(Pointer(known))) => known,
            Some(None) => bucket.get(key).await.map_err(|error| failed(error.to_string()))?.and_then(|value| pointed(&value)),
        };
        let value = self.pointer(value).await.map_err(|error| failed(error.to_string()))?;
        let now = pointed(&value);
        let kept = match after {
            None => match bucket.create(key, value).await {
                Ok(revision) => Some(Revision(revision)),
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => None,
                Err(error) => return Err(failed(error.to_string())),
            },
            Some(Revision(revision)) => match bucket.update(key, value, revision).await {
                Ok(revision) => Some(Revision(revision)),
                Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => None,
                Err(error) => return Err(failed(error.to_string())),
            },
        };
        if let Some(Revision(revision)) = kept {
            self.pointers.remember(key, revision, now.clone());
        }
        // Whoever replaced the value removes what it pointed to. An object of one who lost is left: it may be the winner's too.
        if let (Some(_), Some(before)) = (kept, before.filter(|before| Some(before) != now.as_ref()))
            && let Err(error) = self.remove_object(&before).await
        {
            warn!(key, object = before, %error, "an object that nothing points to is left");
        }
        Ok(kept)
    }

    /// Removes a key, whatever its value is.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn forget_state(&self, key: &str) -> Result<(), StoredError> {
        let failed = |error: String| StoredError::new(format!("bucket {STATES}, key {key}"), error);
        let bucket = self.states().await.map_err(|error| failed(error.to_string()))?;
        let before = bucket.get(key).await.map_err(|error| failed(error.to_string()))?.and_then(|value| pointed(&value));
        bucket.purge(key).await.map_err(|error| failed(error.to_string()))?;
        if let Some(before) = before {
            self.remove_object(&before).await.map_err(|error| failed(error.to_string()))?;
        }
        Ok(())
    }

    /// The keys that fit a filter, as they are and then each again whenever its value changes, without an end.
    pub fn follow_states(&self, filter: &str) -> impl Stream<Item = String> + Send + use<> {
        let (bus, filter) = (self.clone(), filter.to_owned());
        let watches = stream::unfold(false, move |again| {
            let (bus, filter) = (bus.clone(), filter.clone());
            async move {
                if again {
                    tokio::time::sleep(AGAIN).await;
                }
                let opened = async {
                    let bucket = bus.states().await.map_err(|error| error.to_string())?;
                    bucket.watch_with_history(&filter).await.map_err(|error| error.to_string())
                };
                let entries = match opened.await {
                    Ok(entries) => entries.filter_map(async |entry| entry.ok().map(|entry| entry.key)).left_stream(),
                    Err(error) => {
                        warn!(error, filter, "bucket {STATES} cannot be followed; it will be tried again");
                        stream::empty().right_stream()
                    }
                };
                Some((entries, true))
            }
        });
        watches.flatten()
    }

    /// A value, or what points to it where it is too large for one.
    async fn pointer(&self, value: Bytes) -> Result<Bytes, async_nats::Error> {
        if value.len() <= LARGEST_VALUE {
            return Ok(value);
        }
        let digest = content_digest(&value);
        let objects = self.objects().await?;
        if objects.info(&digest).await.is_err() {
            objects.put(digest.as_str(), &mut &value[..]).await?;
        }
        Ok(format!("@{digest}").into())
    }

    async fn object(&self, digest: &str) -> Result<Bytes, async_nats::Error> {
        let mut object = self.objects().await?.get(digest).await?;
        let mut bytes = Vec::with_capacity(object.info().size);
        tokio::time::timeout(PATIENCE, object.read_to_end(&mut bytes)).await??;
        Ok(bytes.into())
    }

    async fn remove_object(&self, digest: &str) -> Result<(), async_nats::Error> {
        Ok(self.objects().await?.delete(digest).await?)
    }

    async fn objects(&self) -> Result<ObjectStore, async_nats::Error> {
        Ok(self.js.get_object_store(STATES).await?)
    }
}

fn pointed(value: &[u8]) -> Option<String> {
    let (&POINTER, digest) = value.split_first()? else { return None };
    String::from_utf8(digest.to_vec()).ok()
}
