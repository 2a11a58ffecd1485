//! An S3-compatible bucket.

use std::{fs::File, io::Read, path::Path, sync::Arc};

use futures::{StreamExt, TryStreamExt};
use object_store::{
    ObjectStore, ObjectStoreExt, WriteMultipart,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    path::Path as Key,
};
use tokio::runtime::{Builder, Runtime};

use super::{folder::place, url::Use};
use crate::error::{Error, Result, Tried};

/// Files larger than this are written in parts.
const PART: u64 = 8 << 20;

/// How many parts are on their way at once.
const AT_ONCE: usize = 4;

/// Objects below a path of a bucket.
pub(crate) struct Remote {
    runtime: Runtime,
    store: Arc<dyn ObjectStore>,
    name: String,
    below: Key,
}

impl Remote {
    /// A bucket with the credentials of the environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`,
    /// `AWS_ENDPOINT_URL` and the others that AWS knows; each may have `SOURCE_` or `STORE_` in front for one of the two.
    pub(super) fn s3(bucket: &str, below: &str, of: Use) -> Result<Self> {
        super::http::choose_cryptography();
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        for (name, value) in std::env::vars() {
            let Some(name) = name.strip_prefix(of.prefix()) else { continue };
            if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        let plain = builder.get_config_value(&AmazonS3ConfigKey::Endpoint).is_some_and(|url| url.starts_with("http://"));
        let store = builder.with_allow_http(plain).build().map_err(|error| failed("open", &format!("s3://{bucket}"), &error))?;
        let runtime = Builder::new_current_thread().enable_all().build().tried("start", "the network")?;
        Ok(Self { runtime, store: Arc::new(store), name: format!("s3://{bucket}"), below: Key::from(below) })
    }

    fn key(&self, path: &str) -> Key {
        path.split('/').filter(|part| !part.is_empty()).fold(self.below.clone(), Key::join)
    }

    fn shown(&self, key: &Key) -> String {
        format!("{}/{key}", self.name)
    }

    pub(super) fn fetch(&self, path: &str, to: &Path, see: &mut dyn FnMut(&[u8])) -> Result<Option<u64>> {
        let key = self.key(path);
        let answer = match self.runtime.block_on(self.store.get(&key)) {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            answer => answer.map_err(|error| failed("read", &self.shown(&key), &error))?,
        };
        let mut stream = answer.into_stream();
        let mut size = 0;
        place(to, |file| {
            while let Some(bytes) = self.runtime.block_on(stream.next()) {
                let bytes = bytes.map_err(std::io::Error::other)?;
                see(&bytes);
                size += bytes.len() as u64;
                std::io::Write::write_all(file, &bytes)?;
            }
            Ok(())
        })
        .map_err(|error| error.file(self.shown(&key)))?;
        Ok(Some(size))
    }

    pub(super) fn put(&self, path: &str, from: &Path) -> Result<()> {
        let key = self.key(path);
        let mut file = File::open(from).tried("open", from.display())?;
        let size = file.metadata().tried("read", from.display())?.len();
        if size <= PART {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).tried("read", from.display())?;
            return self.put_bytes(path, &bytes);
        }
        let upload = async {
            let mut parts = WriteMultipart::new(self.store.put_multipart(&key).await?);
            let mut buffer = vec![0; 1 << 20];
            loop {
                let read = file
                    .read(&mut buffer)
                    .map_err(|error| object_store::Error::Generic { store: "file", source: error.into() })?;
                if read == 0 {
                    return parts.finish().await;
                }
                parts.wait_for_capacity(AT_ONCE).await?;
                parts.write(&buffer[..read]);
            }
        };
        self.runtime.block_on(upload).map(drop).map_err(|error| failed("write", &self.shown(&key), &error))
    }

    pub(super) fn put_bytes(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let key = self.key(path);
        let put = self.runtime.block_on(self.store.put(&key, bytes.to_vec().into()));
        put.map(drop).map_err(|error| failed("write", &self.shown(&key), &error))
    }

    pub(super) fn bytes(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let key = self.key(path);
        let read = async { self.store.get(&key).await?.bytes().await };
        match self.runtime.block_on(read) {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed("read", &self.shown(&key), &error)),
        }
    }

    /// Every object below a folder, as its key within the bucket.
    pub(super) fn list(&self, folder: &str) -> Result<Vec<String>> {
        let folder = Key::from(folder);
        let list =
            async { self.store.list(Some(&folder)).map_ok(|found| found.location.to_string()).try_collect::<Vec<_>>().await };
        self.runtime.block_on(list).map_err(|error| failed("list", &self.shown(&folder), &error))
    }
}

fn failed(verb: &str, place: &str, error: &object_store::Error) -> Error {
    Error::new(format!("cannot {verb}: {error}")).file(place)
}
