//! Steps that were done before are not done again. A step's folder is named by the digest of all that it is made from; it is
//! there whole or not at all, however the program that made it ended.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    digest,
    error::{Error, Result, Tried},
    place::Place,
};

/// The file of a step's folder that says what else belongs into it. It is written last.
const LIST: &str = "step.json";

/// What begins the name of a folder that nobody has finished.
const HALF: &str = ".half-";

/// How old an unfinished folder must be to be surely nobody's.
const ABANDONED: Duration = Duration::from_hours(24);

/// The steps that a store remembers.
pub(crate) struct Cache<'a> {
    store: &'a Place,
    scratch: TempDir,
}

/// A step that is done.
pub(crate) struct Made<'a> {
    cache: &'a Cache<'a>,
    folder: PathBuf,
    whole: RefCell<BTreeSet<String>>,
    list: List,
    /// The digest of what it was made from.
    pub(crate) digest: String,
    /// Whether it had been done before.
    pub(crate) cached: bool,
    /// How long that took.
    pub(crate) took: Duration,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct List {
    step: String,
    files: BTreeMap<String, Kept>,
    note: Value,
}

/// A file of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The SHA-256 of its bytes.
    pub(crate) sha256: String,
    /// How many bytes it has.
    pub(crate) size: u64,
}

impl<'a> Cache<'a> {
    /// The cache of a store.
    pub(crate) fn of(store: &'a Place) -> Result<Self> {
        if let Some(folder) = store.local("cache") {
            fs::create_dir_all(&folder).tried("create", folder.display())?;
            sweep(&folder);
        }
        let scratch = tempfile::Builder::new().prefix("switchyard-pipeline-").tempdir().tried("create", "a scratch folder")?;
        Ok(Self { store, scratch })
    }

    /// Files of this run alone.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Does a step, unless it was done before from the same. `make` fills a folder, and says what else is worth knowing.
    pub(crate) fn step(
        &'a self,
        step: &'static str,
        from: &[&str],
        make: impl FnOnce(&Path) -> Result<Value>,
    ) -> Result<Made<'a>> {
        let begun = Instant::now();
        let digest = digest::of_parts([step, crate::VERSION].into_iter().chain(from.iter().copied()));
        let found = self.found(&digest).map_err(|error| error.at(step))?;
        let cached = found.is_some();
        let (folder, list) = match found {
            Some(found) => found,
            None => self.make(step, &digest, make).map_err(|error| error.at(step))?,
        };
        let whole = if cached && self.store.local("").is_none() { BTreeSet::new() } else { list.files.keys().cloned().collect() };
        Ok(Made { cache: self, folder, whole: RefCell::new(whole), list, digest, cached, took: begun.elapsed() })
    }

    /// A step that was done before. One whose files are damaged was not.
    fn found(&self, digest: &str) -> Result<Option<(PathBuf, List)>> {
        let Some(bytes) = self.store.bytes(&format!("cache/{digest}/{LIST}"))? else { return Ok(None) };
        let Ok(list) = serde_json::from_slice::<List>(&bytes) else { return Ok(None) };
        let Some(folder) = self.store.local(&format!("cache/{digest}")) else {
            return Ok(Some((self.scratch.path().join(digest), list)));
        };
        let same = |(name, kept): (&String, &Kept)| {
            digest::of_file(&folder.join(name)).is_ok_and(|(sha256, size)| sha256 == kept.sha256 && size == kept.size)
        };
        Ok(list.files.iter().all(same).then_some((folder, list)))
    }

    fn make(&self, step: &str, digest: &str, make: impl FnOnce(&Path) -> Result<Value>) -> Result<(PathBuf, List)> {
        let near = self.store.local("cache").unwrap_or_else(|| self.scratch.path().to_owned());
        let half = tempfile::Builder::new().prefix(HALF).tempdir_in(&near).tried("create a folder in", near.display())?;
        let note = make(half.path())?;
        let list: List = List { step: step.to_owned(), files: files(half.path())?, note };
        let unwritten = |error: serde_json::Error| Error::new(error.to_string());
        let text = serde_json::to_vec_pretty(&list).map_err(unwritten)?;
        // What is said now is what will be read later, to the last bit of every number.
        let list: List = serde_json::from_slice(&text).map_err(unwritten)?;
        if let Some(folder) = self.store.local(&format!("cache/{digest}")) {
            write_durably(&half.path().join(LIST), &text)?;
            if fs::rename(half.path(), &folder).is_ok() {
                let _ = half.keep();
                return Ok((folder, list));
            }
            // Another run was first. What it has made stands, unless it is damaged: somebody may be reading it.
            if let Some(found) = self.found(digest)? {
                return Ok(found);
            }
            replace(half, &folder)?;
            return Ok((folder, list));
        }
        for name in list.files.keys() {
            self.store.put(&format!("cache/{digest}/{name}"), &half.path().join(name))?;
        }
        self.store.put_bytes(&format!("cache/{digest}/{LIST}"), &text)?;
        let folder = self.scratch.path().join(digest);
        replace(half, &folder)?;
        Ok((folder, list))
    }
}

impl Made<'_> {
    /// Where a file of the step lies on this machine.
    ///
    /// # Errors
    /// The step made no such file, or it cannot be brought here as it was made.
    pub(crate) fn file(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        let kept = self.kept(name)?;
        if self.whole.borrow().contains(name) {
            return Ok(path);
        }
        let stored = format!("cache/{}/{name}", self.digest);
        let size = self.cache.store.fetch(&stored, &path)?;
        if size != Some(kept.size) || digest::of_file(&path)?.0 != kept.sha256 {
            return Err(Error::new("is damaged in the store; remove its folder there and run again").file(stored));
        }
        self.whole.borrow_mut().insert(name.to_owned());
        Ok(path)
    }

    /// The digest and the size of a file of the step.
    pub(crate) fn kept(&self, name: &str) -> Result<&Kept> {
        self.list.files.get(name).ok_or_else(|| Error::new(format!("the step `{}` made no file `{name}`", self.list.step)))
    }

    /// The digests of all files of the step, by name.
    pub(crate) fn digests_of_files(&self) -> BTreeMap<&str, &str> {
        self.list.files.iter().map(|(name, kept)| (name.as_str(), kept.sha256.as_str())).collect()
    }

    /// Whether the step made a file of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.list.files.contains_key(name)
    }

    /// What else the step said.
    pub(crate) fn note<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_value(self.list.note.clone()).map_err(|error| {
            Error::new(format!("what the step `{}` said is not readable: {error}; remove cache/{}", self.list.step, self.digest))
        })
    }
}

fn files(folder: &Path) -> Result<BTreeMap<String, Kept>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).tried("list", folder.display())? {
        let entry = entry.tried("list", folder.display())?;
        let (sha256, size) = digest::of_file(&entry.path())?;
        fs::File::open(entry.path()).and_then(|file| file.sync_all()).tried("write", entry.path().display())?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), Kept { sha256, size });
    }
    Ok(files)
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = fs::File::create(path)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.sync_all()
    };
    write().tried("write", path.display())
}

/// Gives a finished folder its name, in the place of any other.
fn replace(half: TempDir, folder: &Path) -> Result<()> {
    let half = half.keep();
    let aside = half.with_extension("old");
    let _ = fs::rename(folder, &aside);
    let named = fs::rename(&half, folder);
    let _ = fs::remove_dir_all(&aside);
    named.tried("write", folder.display())
}

/// Removes what runs that were killed have left.
fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let unfinished = entry.file_name().to_string_lossy().starts_with(HALF);
        let age = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|at| SystemTime::now().duration_since(at).ok());
        if unfinished && age.is_some_and(|age| age > ABANDONED) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
