//! `loadtest drift`: how many rows a core counts, out of files and out of messages, and how soon a window that is full is decided.
//! Rows have 16 columns of numbers and 4 of names, the reference 1,024 bins.

mod decision;
mod files;
mod messages;
mod rows;
mod watched;

use serde_json::{Value, json};

use crate::{
    figures::{Spread, milliseconds, quantile, rounded},
    table,
};

/// Settings of `drift`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Rows of each of the files, and of all JSON batches together.
    #[arg(long, default_value_t = 400_000, value_name = "N", value_parser = clap::value_parser!(u32).range(10_000..=2_000_000))]
    rows: u32,
    /// Events with one row.
    #[arg(long, default_value_t = 200_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1_000..=2_000_000))]
    events: u32,
    /// For how many seconds windows close, some ten a second.
    #[arg(long, default_value_t = 15, value_name = "S", value_parser = clap::value_parser!(u32).range(5..=300))]
    seconds: u32,
    /// How often everything is measured.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20))]
    runs: u32,
    /// The program that counts files [default: switchyard-pipeline, beside this one].
    #[arg(long, env = "SWITCHYARD_PIPELINE", value_name = "FILE")]
    pipeline: Option<std::path::PathBuf>,
    /// Whether to end with one JSON object on a line of its own.
    #[arg(long)]
    json: bool,
}

/// What one run found.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    columnar: f64,
    json: f64,
    json_wall: f64,
    single: f64,
    single_core: f64,
    p50: f64,
    p99: f64,
}

/// Measures, prints a table and, if asked to, the JSON object.
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let mut runs = Vec::new();
    for _ in 0..args.runs {
        runs.push(once(args).await?);
    }
    let figure = |name: &str, of: fn(&Found) -> f64, decimals: i32| {
        let Spread { least, median, greatest } = Spread::of(runs.iter().map(of));
        let text = |figure| format!("{}", rounded(figure, decimals));
        ([name.to_owned(), text(median), text(least), text(greatest)], rounded(median, decimals))
    };
    let figures = [
        ("columnar_rows_per_second", figure("Parquet, rows a second and core", |found| found.columnar, 0)),
        ("json_rows_per_second", figure("JSON batches, rows a second and core", |found| found.json, 0)),
        ("json_rows_per_second_by_the_clock", figure("JSON batches, rows a second by the clock", |found| found.json_wall, 0)),
        ("single_events_per_second", figure("events of one row a second, by the clock", |found| found.single, 0)),
        ("single_events_per_core", figure("events of one row a second and core", |found| found.single_core, 0)),
        ("decision_p50_ms", figure("window close to decision, p50, ms", |found| found.p50, 1)),
        ("decision_p99_ms", figure("window close to decision, p99, ms", |found| found.p99, 1)),
    ];
    println!("16 columns of numbers, 4 of names, 1,024 bins; {} runs", args.runs);
    table::print(["", "median", "least", "greatest"], &figures.clone().map(|(_, (row, _))| row));
    if args.json {
        let fields: serde_json::Map<String, Value> =
            figures.into_iter().map(|(name, (_, median))| (name.into(), json!(median))).collect();
        println!("{}", Value::Object(fields));
    }
    Ok(())
}

async fn once(args: &Args) -> anyhow::Result<Found> {
    let columnar = files::per_second(args.rows, args.pipeline.as_deref())?;
    let batches = messages::counted(messages::batches(args.rows)).await?;
    let single = messages::counted(messages::single(args.events)).await?;
    let decisions = decision::times(args.seconds).await?;
    Ok(Found {
        columnar,
        json: batches.per_core(),
        json_wall: batches.per_second(),
        single: single.per_second(),
        single_core: single.per_core(),
        p50: milliseconds(quantile(&decisions, 500)),
        p99: milliseconds(quantile(&decisions, 990)),
    })
}
