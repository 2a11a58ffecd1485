//! `transform`: rows as the model's training saw them.

use std::{
    io::{BufWriter, stdout},
    path::PathBuf,
    sync::Arc,
};

use crate::{
    error::{Error, Result, Tried},
    place::Source,
    preprocess::{Applier, Parts, Preprocessing},
    table::{CsvWriter, Field, Format, Input, Sink, read, writer},
};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The fitted preprocessing: a run's `preprocessing.json`.
    #[arg(long, value_name = "FILE")]
    preprocessing: PathBuf,
    /// The rows: a path or a URL of a .csv, .parquet or .jsonl file.
    input: String,
    /// Where they go: a .csv or .parquet file [default: CSV on standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Hand on the label too.
    #[arg(long)]
    labels: bool,
}

pub(super) fn transform(args: &Args) -> Result<()> {
    let bytes = std::fs::read(&args.preprocessing).tried("read", args.preprocessing.display())?;
    let preprocessing = Preprocessing::read(&bytes).map_err(|error| error.file(args.preprocessing.display().to_string()))?;
    let scratch = tempfile::tempdir().tried("create", "a scratch folder")?;
    let source = Source::open(&args.input)?;
    let files = source.files()?;
    let [file] = files.as_slice() else { return Err(Error::new("more than one file; give one").file(&args.input)) };
    let path = source.bring(file, &scratch.path().join("rows"))?;
    let input = Input { path, name: file.url.clone(), format: Format::of(&file.url)? };
    let mut inputs: Vec<Field> = preprocessing.inputs();
    let parts = if args.labels { Parts::Labelled } else { Parts::Features };
    if args.labels {
        inputs.push(preprocessing.label.field());
    }
    let inputs: Arc<[Field]> = inputs.into();
    let mut applier = Applier::new(&preprocessing, parts, || read(&input, &inputs))?;
    let mut sink: Box<dyn Sink> = match &args.output {
        Some(path) => writer(path, Format::of(&path.to_string_lossy())?, applier.fields())?,
        None => Box::new(CsvWriter::new(BufWriter::new(stdout().lock()), applier.fields())?),
    };
    for batch in read(&input, &inputs)? {
        sink.write(&applier.apply(&batch?)?)?;
    }
    sink.close()
}
