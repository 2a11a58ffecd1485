//! `manifest`: the data that a run would be made from.

use std::path::PathBuf;

use super::told::{line, model, say};
use crate::{
    error::Result,
    manifest::resolve,
    place::{Place, Use},
};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The model file, or `-` for standard input [default: what `SWITCHYARD_MODEL` holds].
    file: Option<PathBuf>,
}

pub(super) fn manifest(args: &Args) -> Result<()> {
    let model = model(args.file.as_ref())?;
    let store = Place::open(&model.store.url, Use::Store)?;
    let format = model.data.format.map(crate::table::Format::from);
    let resolved = resolve(&model.data.source, format, &store, &|_| {}).map_err(|error| error.at("manifest"))?;
    say(&line(&resolved)?)
}
