//! `count`: rows counted against a profile.

use std::path::PathBuf;

use switchyard_drift::Profile;

use super::told::{line, say};
use crate::{
    count::count as fold,
    error::{Error, Result, Tried},
    place::Source,
    table::{Format, Input},
};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The profile: a run's `profile.json`.
    #[arg(long, value_name = "FILE")]
    profile: PathBuf,
    /// The rows: paths or URLs of .parquet, .csv or .jsonl files, or patterns of them.
    #[arg(required = true)]
    urls: Vec<String>,
}

pub(super) fn count(args: &Args) -> Result<()> {
    let bytes = std::fs::read(&args.profile).tried("read", args.profile.display())?;
    let profile: Profile = serde_json::from_slice(&bytes)
        .map_err(|error| Error::new(format!("is no profile of a run: {error}")).file(args.profile.display().to_string()))?;
    let fold_of = switchyard_drift::Fold::new(&profile);
    let mut window = fold_of.window();
    let scratch = tempfile::tempdir().tried("create", "a scratch folder")?;
    for url in &args.urls {
        let source = Source::open(url)?;
        for file in source.files()? {
            let path = source.bring(&file, &scratch.path().join("rows"))?;
            let input = Input { path, name: file.url.clone(), format: Format::of(&file.url)? };
            fold(&fold_of, &mut window, &input).map_err(|error| error.file(&file.url).at("count"))?;
        }
    }
    say(&line(&window)?)
}
