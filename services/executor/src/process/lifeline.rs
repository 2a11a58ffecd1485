//! Builds that must not outlive somebody: `switchyard up` takes everything along when it goes, however it goes.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{
    files::{found, is_locked},
    root::Root,
};

const NAME: &str = "lifeline";

/// While this value lives, so may the builds of an executor's folder. Once its process is no more, their supervisors end them.
#[derive(Debug)]
pub struct Lifeline {
    folder: PathBuf,
    file: File,
}

impl Lifeline {
    /// Makes the folder of an executor, and holds its builds.
    ///
    /// # Errors
    /// When the folder cannot be written, or somebody else holds it.
    pub fn hold(folder: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let path = folder.join(NAME);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        file.try_lock().map_err(|error| io::Error::other(format!("{}: held by another process: {error}", path.display())))?;
        Ok(Self { folder: folder.to_owned(), file })
    }

    /// How many builds run, or are being ended.
    #[must_use]
    pub fn running(&self) -> usize {
        Root::at(self.folder.clone()).supervised().unwrap_or_default()
    }

    /// Lets go, and waits until every build has ended; answers how many had not after `patience`.
    pub async fn let_go(self, patience: Duration) -> usize {
        let (deadline, root) = (Instant::now() + patience, Root::at(self.folder));
        drop(self.file);
        root.ring();
        loop {
            match root.supervised().unwrap_or_default() {
                0 => return 0,
                left if Instant::now() > deadline => return left,
                _ => sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// Whether somebody held the builds of this folder and has gone.
pub(crate) fn is_cut(root: &Root) -> bool {
    let path = root.folder().join(NAME);
    // What cannot be read is taken for held: nothing is ended on a guess.
    found(fs::metadata(&path)).is_ok_and(|there| there.is_some()) && !is_locked(&path).unwrap_or(true)
}
