//! `compare`: two runs side by side.

use std::collections::BTreeSet;

use serde_json::Value;

use super::told::{Store, line, say};
use crate::{error::Result, gate::shown, run::Record};

#[derive(clap::Args)]
pub(super) struct Args {
    /// A run's key.
    one: String,
    /// Another's.
    other: String,
    /// Print both runs' manifests as one line of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: Store,
}

pub(super) fn compare(args: &Args) -> Result<()> {
    let store = args.store.open()?;
    let (one, other) = (Record::read(&store, &args.one)?, Record::read(&store, &args.other)?);
    if args.json {
        return say(&line(&[one, other])?);
    }
    table(&one, &other).iter().try_for_each(|row| say(row))
}

/// The rows of the comparison: what differs is marked.
fn table(one: &Record, other: &Record) -> Vec<String> {
    let mut rows = vec![row("", &one.run, &other.run)];
    let mut add = |name: &str, one: String, other: String| rows.push(row(name, &one, &other));
    add("outcome", word(&one.outcome), word(&other.outcome));
    for name in keys(one.metrics.keys(), other.metrics.keys()) {
        let of = |record: &Record| record.metrics.get(&name).map_or_else(|| "–".into(), |value| shown(*value));
        add(&name, of(one), of(other));
    }
    add("rows", folds(one), folds(other));
    add("data", one.data.manifest.sha256[..12].into(), other.data.manifest.sha256[..12].into());
    add("seed", one.seed.to_string(), other.seed.to_string());
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    for (what, one, other) in [("params", &one.params, &other.params), ("code", &one.code, &other.code)] {
        let (one, other) = (object(one), object(other));
        for name in keys(one.keys(), other.keys()) {
            let of = |from: &serde_json::Map<String, Value>| from.get(&name).map_or_else(|| "–".into(), Value::to_string);
            add(&format!("{what}.{name}"), of(&one), of(&other));
        }
    }
    for name in keys(one.steps.keys(), other.steps.keys()) {
        let of = |record: &Record| {
            let from = record.steps.get(&name).and_then(|step| step["from"].as_str()).unwrap_or("–");
            let took = record.took.get(&name).map_or(0.0, |took| took.seconds);
            (from.chars().take(12).collect::<String>(), format!("{took:.1} s"))
        };
        let ((from, took), (from_other, took_other)) = (of(one), of(other));
        add(&format!("step {name}"), format!("{from} {took}"), format!("{from_other} {took_other}"));
    }
    rows
}

fn row(name: &str, one: &str, other: &str) -> String {
    let same = one.split(' ').next() == other.split(' ').next();
    let mark = if name.is_empty() || same { ' ' } else { '≠' };
    let short = |text: &str| text.chars().take(34).collect::<String>();
    format!("{mark} {name:<22} {:<36} {}", short(one), short(other)).trim_end().to_owned()
}

fn folds(record: &Record) -> String {
    format!("{}/{}/{}", record.rows.train, record.rows.eval, record.rows.test)
}

fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn keys<'a>(one: impl Iterator<Item = &'a String>, other: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    one.chain(other).cloned().collect()
}
