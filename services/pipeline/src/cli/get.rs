//! `get`: one file of a model's store.

use std::io::{Write, stdout};

use super::told::Store;
use crate::{
    digest,
    error::{Error, Result, Tried},
    run::Record,
};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The file's path in the store, such as `runs/<run>/model`.
    path: String,
    /// What its SHA-256 must be; where it is not given, the run's manifest or the file's own name says it.
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    #[command(flatten)]
    store: Store,
}

pub(super) fn get(args: &Args) -> Result<()> {
    let store = args.store.open()?;
    let parts: Vec<&str> = args.path.split('/').collect();
    let expected = match (&args.sha256, parts.as_slice()) {
        (Some(sha256), _) => Some(sha256.to_ascii_lowercase()),
        (None, ["runs", _, "manifest.json"]) => None,
        (None, ["runs", run, name]) => Some(Record::read(&store, run)?.artifact(name)?.sha256),
        (None, ["manifests", name]) => Some(name.trim_end_matches(".json").to_owned()),
        (None, _) => return Err(Error::new("nothing says what this file must be; give --sha256").file(&args.path)),
    };
    let scratch = tempfile::tempdir().tried("create", "a scratch folder")?;
    let here = scratch.path().join("file");
    store.fetch(&args.path, &here)?.ok_or_else(|| Error::new("is not in the store").file(&args.path))?;
    let found = digest::of_file(&here)?.0;
    if let Some(expected) = expected.filter(|expected| *expected != found) {
        return Err(Error::new(format!("is damaged: its digest is {found}, and {expected} was kept")).file(&args.path));
    }
    let mut file = std::fs::File::open(&here).tried("open", here.display())?;
    let mut out = stdout().lock();
    match std::io::copy(&mut file, &mut out).and_then(|_| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        copied => copied.tried("write", "standard output"),
    }
}
