//! Where files are: a folder of this machine, an S3-compatible bucket, or an HTTP server (to read only).
//!
//! What is written appears whole or not at all.

mod folder;
mod glob;
mod http;
mod remote;
mod source;
mod url;

use std::path::{Path, PathBuf};

pub(crate) use source::{Brought, Source};
pub(crate) use url::Use;

use crate::error::{Error, Result};
use url::Located;

/// Where files are kept, by paths of names between slashes.
pub(crate) enum Place {
    /// A folder.
    Folder(folder::Folder),
    /// A bucket, and the path in it below which everything lies.
    Remote(remote::Remote),
}

impl Place {
    /// The store that a URL names.
    ///
    /// # Errors
    /// It is no URL of a folder or a bucket, or the credentials in the environment are of no use.
    pub(crate) fn open(url: &str, of: Use) -> Result<Self> {
        match url::locate(url)? {
            Located::File(path) => Ok(Self::Folder(folder::Folder::new(path))),
            Located::S3 { bucket, key } => Ok(Self::Remote(remote::Remote::s3(&bucket, &key, of)?)),
            Located::Http(_) => {
                Err(Error::new("a store must be a folder (file:///…) or a bucket (s3://…); HTTP cannot be written").file(url))
            }
        }
    }

    /// Brings a file here and says how large it is; `None` where there is none. `to` appears whole or not at all.
    pub(crate) fn fetch(&self, path: &str, to: &Path) -> Result<Option<u64>> {
        match self {
            Self::Folder(folder) => folder.fetch(path, to),
            Self::Remote(remote) => remote.fetch(path, to, &mut |_| {}),
        }
    }

    /// Keeps a file.
    pub(crate) fn put(&self, path: &str, from: &Path) -> Result<()> {
        match self {
            Self::Folder(folder) => folder.put(path, from),
            Self::Remote(remote) => remote.put(path, from),
        }
    }

    /// Keeps some bytes.
    pub(crate) fn put_bytes(&self, path: &str, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Folder(folder) => folder.put_bytes(path, bytes),
            Self::Remote(remote) => remote.put_bytes(path, bytes),
        }
    }

    /// A small file's bytes; `None` where there is none.
    pub(crate) fn bytes(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Folder(folder) => folder.bytes(path),
            Self::Remote(remote) => remote.bytes(path),
        }
    }

    /// Where a file lies on this machine, if it does: then nobody need copy it.
    pub(crate) fn local(&self, path: &str) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder.path(path)),
            Self::Remote(_) => None,
        }
    }
}
