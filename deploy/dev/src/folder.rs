//! The folder of a stack: removed with it, and if its process was killed, by the next stack that starts.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::{env, io};

use tempfile::TempDir;

use crate::StartError;

const PREFIX: &str = "switchyard-dev-";
const LOCK: &str = "lock";

/// A folder that is ours while this value lives.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: TempDir,
    /// Locked: tells other processes that the folder is in use.
    _lock: File,
}

impl Folder {
    /// Makes a folder, and removes those that killed processes left behind.
    pub(crate) fn new() -> Result<Self, StartError> {
        sweep(&env::temp_dir());
        let make = || {
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
            // Locked before it gets the name that others look for.
            let unnamed = folder.path().join("lock.new");
            let lock = File::create(&unnamed)?;
            lock.lock()?;
            fs::rename(unnamed, folder.path().join(LOCK))?;
            Ok(Self { folder, _lock: lock })
        };
        make().map_err(StartError::file(env::temp_dir()))
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes what it may; what belongs to others or is in use stays.
fn sweep(parent: &Path) {
    for folder in abandoned(parent).unwrap_or_default() {
        let _ = fs::remove_dir_all(folder);
    }
}

fn abandoned(parent: &Path) -> io::Result<Vec<PathBuf>> {
    let ours = fs::read_dir(parent)?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        .map(|entry| entry.path());
    Ok(ours.filter(|folder| File::open(folder.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok())).collect())
}

#[cfg(test)]
mod tests {
    use super::{Folder, LOCK, PREFIX, abandoned};
    use std::fs;

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_in_use_is_not() {
        let used = Folder::new().unwrap();
        let left = tempfile::Builder::new().prefix(PREFIX).tempdir().unwrap().keep();
        let unready = tempfile::Builder::new().prefix(PREFIX).tempdir().unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        assert!(!abandoned(used.path().parent().unwrap()).unwrap().contains(&used.path().to_owned()));
        let next = Folder::new().unwrap();
        assert!(used.path().exists() && next.path().exists() && unready.path().exists() && !left.exists());
    }
}
