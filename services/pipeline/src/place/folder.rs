//! A folder. Files are written beside where they belong, made durable, and put there by one rename.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::error::{Error, Result, Tried};

/// Files below a folder.
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(super) fn fetch(&self, path: &str, to: &Path) -> Result<Option<u64>> {
        let from = self.path(path);
        if !from.is_file() {
            return Ok(None);
        }
        place(to, |file| std::io::copy(&mut fs::File::open(&from)?, file).map(drop))?;
        Ok(Some(fs::metadata(to).tried("read", to.display())?.len()))
    }

    pub(super) fn put(&self, path: &str, from: &Path) -> Result<()> {
        place(&self.path(path), |file| std::io::copy(&mut fs::File::open(from)?, file).map(drop))
    }

    pub(super) fn put_bytes(&self, path: &str, bytes: &[u8]) -> Result<()> {
        place(&self.path(path), |file| file.write_all(bytes))
    }

    pub(super) fn bytes(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let from = self.path(path);
        match fs::read(&from) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error).tried("read", from.display()),
        }
    }
}

/// Writes a file that is there whole or not at all.
pub(super) fn place(to: &Path, write: impl FnOnce(&mut fs::File) -> std::io::Result<()>) -> Result<()> {
    let folder = to.parent().ok_or_else(|| Error::new("names no file").file(to.display().to_string()))?;
    let placed = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = NamedTempFile::with_prefix_in(".half-", folder)?;
        write(file.as_file_mut())?;
        file.as_file().sync_all()?;
        file.persist(to).map_err(|error| error.error)?;
        Ok(())
    };
    placed().tried("write", to.display())
}

/// All files below a folder, as paths with slashes.
pub(super) fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.tried("list", folder.display())?,
    };
    for entry in entries {
        let path = entry.tried("list", folder.display())?.path();
        if path.is_dir() {
            walk(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}
