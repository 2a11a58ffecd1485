//! What a source holds: every file with its size and digest, itself kept under the digest of what it says.

use std::path::Path;

use serde::{Deserialize, Serialize};
use switchyard_model::{Artifact, Location};

use crate::{
    digest,
    error::{Error, Result},
    place::{Brought, Place, Source},
    table::{Format, rows_of},
};

/// The data that a run is made from: `manifests/<sha256>.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The form of this file.
    pub(crate) version: u32,
    /// The files, in the order of their addresses.
    pub(crate) files: Vec<Listed>,
}

/// A file of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listed {
    /// Where it is.
    pub(crate) url: String,
    /// How many bytes it has.
    pub(crate) size: u64,
    /// Their SHA-256.
    pub(crate) sha256: String,
    /// How many rows it has, where the file itself says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rows: Option<u64>,
}

/// What `manifest` prints, as one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resolved {
    /// Where the manifest is kept, and its digest.
    #[serde(flatten)]
    pub(crate) artifact: Artifact,
    /// How many files it lists.
    pub(crate) files: usize,
    /// How many rows they have, where every file says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rows: Option<u64>,
    /// How many bytes they have.
    pub(crate) bytes: u64,
}

/// Lists a source, digests its files and keeps the list.
pub(crate) fn resolve(source: &Location, format: Option<Format>, store: &Place, told: &dyn Fn(&str)) -> Result<Resolved> {
    let opened = Source::open(&source.url)?;
    let scratch = tempfile::tempdir().map_err(|error| Error::new(format!("cannot create a scratch folder: {error}")))?;
    let mut files = Vec::new();
    for file in opened.files()? {
        told(&file.url);
        let Brought { path, sha256, size, .. } = opened.fetch(&file, &scratch.path().join("file"))?;
        let rows = rows(&path, &file.url, format)?;
        files.push(Listed { url: file.url, size, sha256, rows });
    }
    let manifest = Manifest { version: 1, files };
    let bytes = serde_json::to_vec(&manifest).map_err(|error| Error::new(error.to_string()))?;
    let sha256 = digest::of_bytes(&bytes);
    let path = format!("manifests/{sha256}.json");
    store.put_bytes(&path, &bytes)?;
    Ok(Resolved {
        artifact: Artifact { path, sha256 },
        files: manifest.files.len(),
        rows: manifest.files.iter().map(|file| file.rows).sum(),
        bytes: manifest.files.iter().map(|file| file.size).sum(),
    })
}

/// Parquet says at its end how many rows it has.
fn rows(path: &Path, url: &str, format: Option<Format>) -> Result<Option<u64>> {
    let format = format.map_or_else(|| Format::of(url), Ok)?;
    if format == Format::Parquet { rows_of(path).map(Some).map_err(|error| error.file(url)) } else { Ok(None) }
}

/// Reads a manifest that was kept.
///
/// # Errors
/// It is not there, or not what its digest says.
pub(crate) fn read(store: &Place, artifact: &Artifact) -> Result<Manifest> {
    let bytes = verified(store, artifact)?;
    serde_json::from_slice(&bytes).map_err(|error| Error::new(format!("is no manifest: {error}")).file(&artifact.path))
}

/// The bytes of a small artifact, as its digest says.
pub(crate) fn verified(store: &Place, artifact: &Artifact) -> Result<Vec<u8>> {
    let bytes = store.bytes(&artifact.path)?.ok_or_else(|| Error::new("is not in the store").file(&artifact.path))?;
    if digest::of_bytes(&bytes) == artifact.sha256 {
        return Ok(bytes);
    }
    Err(Error::new(format!("is not what was kept there: its digest is not {}", artifact.sha256)).file(&artifact.path))
}
