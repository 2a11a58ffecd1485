//! What commands are told, and how they answer.

use std::{
    io::{Read, Write, stderr, stdin, stdout},
    path::PathBuf,
};

use switchyard_model::Model;

use crate::{
    error::{Error, Result, Tried},
    place::{Place, Use},
};

/// The variable with the canonical form of a model file.
pub(super) const MODEL: &str = "SWITCHYARD_MODEL";

/// Where a store is.
#[derive(clap::Args)]
pub(super) struct Store {
    /// The store's URL.
    #[arg(long, value_name = "URL", conflicts_with = "model")]
    store: Option<String>,
    /// The model file that names the store [default: that in `SWITCHYARD_MODEL`].
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
}

impl Store {
    /// Opens it.
    pub(super) fn open(&self) -> Result<Place> {
        match &self.store {
            Some(url) => Place::open(url, Use::Store),
            None => Place::open(&model(self.model.as_ref())?.store.url, Use::Store),
        }
    }
}

/// The model that is meant: a file, `-` for standard input, or else the variable.
pub(super) fn model(file: Option<&PathBuf>) -> Result<Model> {
    let (text, name) = match file {
        Some(file) if file.as_os_str() == "-" => {
            let mut text = String::new();
            stdin().read_to_string(&mut text).tried("read", "standard input")?;
            (text, "standard input".to_owned())
        }
        Some(file) => (std::fs::read_to_string(file).tried("read", file.display())?, file.display().to_string()),
        None => match std::env::var(MODEL) {
            Ok(text) => (text, MODEL.to_owned()),
            Err(_) => return Err(Error::new(format!("no model: name its file, or set {MODEL}"))),
        },
    };
    let (model, warnings) = switchyard_model::read(&text).map_err(|invalid| Error::new(format!("{name}: {invalid}")))?;
    if name != MODEL {
        for warning in &warnings {
            complain(&format!("warning: {name}: {warning}"));
        }
    }
    Ok(model)
}

/// Writes a line to standard output.
pub(super) fn say(line: &str) -> Result<()> {
    let mut out = stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.tried("write", "standard output"),
    }
}

/// Writes a line to standard error.
pub(super) fn complain(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}

/// A value as one line of JSON.
pub(super) fn line<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::new(error.to_string()))
}
