//! The folder of one executor: every attempt that it has, each in a folder of its own.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use switchyard_events::BuildKey;
use tracing::warn;

use super::{
    files::{Files, Marker, found},
    observe::Found,
    spec::Spec,
};
use crate::{CreateError, Launch};

/// Folders that are not complete yet, and those that are being removed. Nobody takes them for attempts.
const UNFINISHED: &str = ".new-";
const REMOVED: &str = ".gone-";

/// How soon a build that found no slot is tried again. Seldom: launchers ask for no more builds than they know slots for.
const FULL: Duration = Duration::from_secs(2);

/// The folder of one executor.
#[derive(Clone, Debug)]
pub(crate) struct Root(PathBuf);

impl Root {
    /// Makes the folder, for nobody else's eyes.
    pub(crate) fn make(folder: PathBuf) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let root = Self(folder);
        root.ring();
        Ok(root)
    }

    /// A folder that exists.
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The folder that an attempt's folder is in.
    pub(crate) fn of(files: &Files) -> Option<Self> {
        files.folder().parent().map(|folder| Self(folder.to_owned()))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    pub(crate) fn files(&self, build: &BuildKey, attempt: u32) -> Files {
        Files::new(self.0.join(format!("b-{build}-{attempt}")))
    }

    /// A file that rings the bell when it is closed: also when its owner dies.
    pub(crate) fn bell(&self) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).mode(0o600).open(self.0.join("bell"))
    }

    /// Has everybody look who watches. One who does not hear it looks a little later.
    pub(crate) fn ring(&self) {
        drop(self.bell());
    }

    /// Creates what `spec` says, whole or not at all, unless it is there already; answers the uid of what is there.
    ///
    /// One at a time on the whole machine: so `slots` is exact.
    pub(crate) fn create(&self, launch: &Launch, spec: &Spec, slots: usize) -> Result<String, CreateError> {
        let later = |error: io::Error| CreateError::Later(format!("{}: {error}", self.0.display()));
        let _alone = self.alone().map_err(later)?;
        let files = self.files(&launch.build, launch.attempt);
        if let Some(there) = files.spec().map_err(later)? {
            return existing(&files, launch, there);
        }
        let taken = self.living().map_err(later)?;
        if taken >= slots {
            return Err(CreateError::Busy { why: format!("all {slots} slots are taken"), after: FULL });
        }
        self.place(spec, &files).map_err(later)?;
        self.ring();
        Ok(spec.uid.clone())
    }

    fn place(&self, spec: &Spec, files: &Files) -> io::Result<()> {
        self.clean(UNFINISHED, remove)?;
        let unfinished = Files::new(self.0.join(format!("{UNFINISHED}{}", spec.uid)));
        unfinished.make(spec)?;
        fs::rename(unfinished.folder(), files.folder())
    }

    /// Removes what a process has left that died at its work. One folder that cannot be removed keeps no other.
    fn clean(&self, prefix: &str, remove: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
        let mut cleaned = Ok(());
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                cleaned = found(remove(&entry.path())).map(drop).and(cleaned);
            }
        }
        cleaned
    }

    fn alone(&self) -> io::Result<File> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.0.join("create.lock"))?;
        file.lock()?;
        Ok(file)
    }

    /// Everything that is there, as it is.
    pub(crate) fn all(&self) -> io::Result<Vec<Found>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with("b-") {
                continue;
            }
            match Found::look(&Files::new(entry.path())) {
                Ok(found) => all.extend(found),
                // One damaged file must not hide all other attempts.
                Err(error) if error.kind() == ErrorKind::InvalidData => warn!(%error, "passed over"),
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// How many attempts still live, or may come to live.
    fn living(&self) -> io::Result<usize> {
        Ok(self.all()?.iter().filter(|found| !found.is_dead()).count())
    }

    /// How many supervisors live.
    pub(crate) fn supervised(&self) -> io::Result<usize> {
        Ok(self.all()?.iter().filter(|found| found.supervised).count())
    }

    /// Removes an attempt that is deleted, released and dead, and whose supervisor has left: nothing and nobody needs it any more.
    pub(crate) fn bury(&self, found: &Found) -> io::Result<bool> {
        self.bury_by(found, remove)
    }

    fn bury_by(&self, found: &Found, remove: impl Fn(&Path) -> io::Result<()>) -> io::Result<bool> {
        if !found.is_over() {
            return Ok(false);
        }
        let removed = self.0.join(format!("{REMOVED}{}", found.spec.uid));
        // Renamed first, so that it is gone at once and as a whole.
        match fs::rename(self.files(&found.spec.build, found.spec.attempt).folder(), &removed) {
            Ok(()) => {
                // What cannot be removed is in nobody's way any more, and is tried again with the next.
                if let Err(error) = self.clean(REMOVED, remove) {
                    warn!(%error, "an ended build's folder stays");
                }
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// Removes a folder, also where the build has left folders in it that nobody may write to, as a Go module cache is.
fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            open_up(folder)?;
            fs::remove_dir_all(folder)
        }
        removed => removed,
    }
}

fn open_up(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

fn existing(files: &Files, launch: &Launch, there: Spec) -> Result<String, CreateError> {
    if !there.is_for(launch) {
        return Err(CreateError::Rejected(format!("{} belongs to another build", files.folder().display())));
    }
    match files.marked(Marker::Deleted, &there.uid) {
        Ok(None) => Ok(there.uid),
        Ok(Some(_)) => Err(CreateError::Later(format!("{} is going", there.uid))),
        Err(error) => Err(CreateError::Later(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::process::spec::tests::example;

    #[test]
    fn what_cannot_be_removed_keeps_no_other_and_no_burial() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::make(folder.path().join("local")).unwrap();
        for name in [".gone-a", ".gone-b", ".gone-m", ".gone-n", ".gone-z"] {
            fs::create_dir_all(root.0.join(name).join("below")).unwrap();
        }
        let stays = [".gone-b", ".gone-m", ".gone-n"].map(|name| root.0.join(name));
        let stubborn = |path: &Path| {
            if stays.iter().any(|stays| stays == path) { Err(ErrorKind::ResourceBusy.into()) } else { remove(path) }
        };
        let spec = example();
        let files = root.files(&spec.build, spec.attempt);
        root.place(&spec, &files).unwrap();
        let found = Found { released: true, deleted_at: Some(Timestamp::UNIX_EPOCH), ..Found::look(&files).unwrap().unwrap() };
        assert!(root.bury_by(&found, stubborn).unwrap(), "it is buried all the same");
        let left = fs::read_dir(&root.0).unwrap().map(|entry| entry.unwrap().path());
        let mut left: Vec<_> = left.filter(|path| !path.ends_with("bell")).collect();
        left.sort();
        assert_eq!(left, stays);
        assert!(root.clean(REMOVED, stubborn).is_err(), "and it is told");
    }
}
