//! The files of one attempt: who writes which, and in which order they must be read.
//!
//! | name | written by | what it says |
//! |---|---|---|
//! | `spec.json` | the launcher, before the folder gets its name | what is to be run |
//! | `bound.<uid>` | launcher or reaper | that uid may run |
//! | `deleted.<uid>` | reaper | that uid must end |
//! | `released.<uid>` | reaper | nobody waits for its end any more |
//! | `lock` | locked by the supervisor for as long as it lives | somebody sees to it |
//! | `status.json` | the supervisor alone | how far it is |
//!
//! A marker names its uid, so that one which comes too late means nothing to the next attempt of that name.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use super::{spec::Spec, status::Status};

/// What somebody has asked of a uid.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Marker {
    Bound,
    Deleted,
    Released,
}

impl Marker {
    const fn name(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Deleted => "deleted",
            Self::Released => "released",
        }
    }
}

/// The folder of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files(PathBuf);

impl Files {
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.0.join("workspace")
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.0.join("tmp")
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.0.join("output.log")
    }

    pub(crate) fn result(&self) -> PathBuf {
        self.0.join("termination.log")
    }

    /// Makes the folder with all that a build finds in it. It is complete before anybody looks for it: see `Root::create`.
    pub(crate) fn make(&self, spec: &Spec) -> io::Result<()> {
        for folder in [self.0.clone(), self.workspace(), self.temporary()] {
            fs::DirBuilder::new().mode(0o700).create(folder)?;
        }
        // It must be there: a build that cannot write it says nothing.
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.result())?;
        self.write("spec.json", spec)
    }

    /// The end of what the build has said, `most` bytes of it; `None` where it has not begun to.
    pub(crate) fn said(&self, most: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(mut file) = found(File::open(self.output()))? else { return Ok(None) };
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// What is to be run; `None` where there is no such attempt.
    pub(crate) fn spec(&self) -> io::Result<Option<Spec>> {
        self.read("spec.json")
    }

    pub(crate) fn status(&self) -> io::Result<Option<Status>> {
        self.read("status.json")
    }

    /// For the supervisor alone.
    pub(crate) fn set_status(&self, status: &Status) -> io::Result<()> {
        self.write("status.json", status)
    }

    /// Since when the marker is there.
    pub(crate) fn marked(&self, marker: Marker, uid: &str) -> io::Result<Option<Timestamp>> {
        let Some(metadata) = found(fs::metadata(self.marker(marker, uid)))? else { return Ok(None) };
        Timestamp::try_from(metadata.modified()?).map(Some).map_err(io::Error::other)
    }

    /// Sets the marker, if the attempt is there. The first one counts.
    pub(crate) fn mark(&self, marker: Marker, uid: &str) -> io::Result<()> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.marker(marker, uid)) {
            Err(error) if !matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => Err(error),
            _ => Ok(()),
        }
    }

    fn marker(&self, marker: Marker, uid: &str) -> PathBuf {
        self.0.join(format!("{}.{uid}", marker.name()))
    }

    /// Whether a supervisor lives.
    pub(crate) fn supervised(&self) -> io::Result<bool> {
        is_locked(&self.0.join("lock"))
    }

    /// The supervisor's lock, if nobody has it. The kernel opens it again when the process dies, however it dies.
    pub(crate) fn lock(&self) -> io::Result<Option<File>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.0.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let path = self.0.join(name);
        let Some(bytes) = found(fs::read(&path))? else { return Ok(None) };
        let wrong = |error| io::Error::new(ErrorKind::InvalidData, format!("{}: {error}", path.display()));
        serde_json::from_slice(&bytes).map(Some).map_err(wrong)
    }

    /// Writes beside the file and renames: a reader finds the old one or the new one, never a part.
    fn write(&self, name: &str, content: &impl Serialize) -> io::Result<()> {
        let beside = self.0.join(format!(".{name}"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&serde_json::to_vec(content)?)?;
        file.sync_data()?;
        fs::rename(beside, self.0.join(name))
    }
}

/// Whether somebody else holds the file's lock; a file that is not there is nobody's.
pub(crate) fn is_locked(path: &Path) -> io::Result<bool> {
    let Some(file) = found(File::open(path))? else { return Ok(false) };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(fs::TryLockError::WouldBlock) => Ok(true),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// `None` for what is not there.
pub(crate) fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}
