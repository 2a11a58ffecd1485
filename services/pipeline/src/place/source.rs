//! The files that data comes from.

use std::path::{Path, PathBuf};

use super::{
    folder::walk,
    glob, http,
    remote::Remote,
    url::{Located, Use, locate},
};
use crate::{
    digest::{self, Running},
    error::{Error, Result},
};

/// A URL, or a pattern of URLs.
pub(crate) struct Source {
    located: Located,
    url: String,
    bucket: Option<Remote>,
}

/// A file of a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    /// Its URL, without what may be a credential.
    pub(crate) url: String,
    path: String,
}

/// A file that is on this machine now.
#[derive(Clone, Debug)]
pub(crate) struct Brought {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Its SHA-256 when it was brought.
    pub(crate) sha256: String,
    /// How many bytes it had then.
    pub(crate) size: u64,
    /// Whether it lies where others may write.
    shared: bool,
}

impl Brought {
    /// Whether it still is what it was when it was brought. It is asked when it was read.
    ///
    /// # Errors
    /// Somebody has written into it since then.
    pub(crate) fn unchanged(&self) -> Result<()> {
        if !self.shared || digest::of_file(&self.path).is_ok_and(|(sha256, _)| sha256 == self.sha256) {
            return Ok(());
        }
        Err(Error::new("has changed while it was read: somebody writes into the source; run again"))
    }
}

impl Source {
    /// What a URL leads to. Nothing is read yet.
    pub(crate) fn open(url: &str) -> Result<Self> {
        let located = locate(url)?;
        let bucket = match &located {
            Located::S3 { bucket, .. } => Some(Remote::s3(bucket, "", Use::Source)?),
            Located::File(_) | Located::Http(_) => None,
        };
        Ok(Self { located, url: url.to_owned(), bucket })
    }

    /// The files, in the order of their paths.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn files(&self) -> Result<Vec<Found>> {
        let mut found = match (&self.located, &self.bucket) {
            (Located::File(pattern), _) => files(pattern)?,
            (Located::S3 { bucket, key }, Some(remote)) => objects(bucket, key, remote)?,
            (Located::Http(url), _) | (Located::S3 { bucket: url, .. }, None) => {
                if glob::is_pattern(http::bare(url)) {
                    let what = "an HTTP server does not list its files; name one file, or use a bucket or a folder";
                    return Err(Error::new(what).file(http::bare(url)));
                }
                vec![Found { url: http::bare(url).to_owned(), path: url.clone() }]
            }
        };
        found.sort();
        if found.is_empty() {
            return Err(Error::new("there is no such file; look at the source's url").file(http::bare(&self.url)));
        }
        Ok(found)
    }

    /// Brings a file here, for whom its digest does not matter. A file of this machine stays where it is.
    pub(crate) fn bring(&self, file: &Found, scratch: &Path) -> Result<PathBuf> {
        match &self.located {
            Located::File(_) => Ok(PathBuf::from(&file.path)),
            Located::S3 { .. } | Located::Http(_) => self.fetch(file, scratch).map(|brought| brought.path),
        }
    }

    /// Brings a file here and says its digest and size. A file of this machine stays where it is if `scratch` is not needed.
    pub(crate) fn fetch(&self, file: &Found, scratch: &Path) -> Result<Brought> {
        let mut digest = Running::default();
        let size = match (&self.located, &self.bucket) {
            (Located::File(_), _) => return local(&file.path),
            (Located::S3 { .. }, Some(remote)) => remote.fetch(&file.path, scratch, &mut |bytes| digest.update(bytes))?,
            (Located::Http(_) | Located::S3 { .. }, _) => {
                Some(http::fetch(&file.path, scratch, &mut |bytes| digest.update(bytes))?)
            }
        };
        let size = size.ok_or_else(|| Error::new("it was listed, and is gone now; run again").file(&file.url))?;
        Ok(Brought { path: scratch.to_owned(), sha256: digest.finish(), size, shared: false })
    }
}

/// A file that is read where it lies: it was digested there.
fn local(path: &str) -> Result<Brought> {
    let (sha256, size) = digest::of_file(Path::new(path))?;
    Ok(Brought { path: PathBuf::from(path), sha256, size, shared: true })
}

fn files(pattern: &Path) -> Result<Vec<Found>> {
    let text = pattern.to_string_lossy();
    let found = |path: String| Found { url: format!("file://{path}"), path };
    if !glob::is_pattern(&text) {
        return Ok(if pattern.is_file() { vec![found(text.into_owned())] } else { Vec::new() });
    }
    let mut all = Vec::new();
    walk(Path::new(glob::base(&text)), &mut all)?;
    let all = all.into_iter().map(|path| path.to_string_lossy().into_owned());
    Ok(all.filter(|path| glob::matches(&text, path)).map(found).collect())
}

fn objects(bucket: &str, pattern: &str, remote: &Remote) -> Result<Vec<Found>> {
    let found = |path: String| Found { url: format!("s3://{bucket}/{path}"), path };
    if !glob::is_pattern(pattern) {
        return Ok(vec![found(pattern.to_owned())]);
    }
    let all = remote.list(glob::base(pattern))?;
    Ok(all.into_iter().filter(|path| glob::matches(pattern, path)).map(found).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_while_it_is_read_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        std::fs::write(&path, "id\n1\n").unwrap();
        let source = Source::open(&format!("file://{}", path.display())).unwrap();
        let brought = source.fetch(&source.files().unwrap()[0], Path::new("")).unwrap();
        assert_eq!(brought.unchanged(), Ok(()));
        // As long as before, and no later for a clock that counts in seconds.
        std::fs::write(&path, "id\n2\n").unwrap();
        assert!(brought.unchanged().unwrap_err().to_string().contains("has changed while it was read"));
        std::fs::remove_file(&path).unwrap();
        assert!(brought.unchanged().is_err());
    }
}
