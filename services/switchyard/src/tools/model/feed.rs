//! `switchyard model feed`: rows from a file, published as a model server publishes them. For trying things out, and for servers
//! that only write files.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use cloudevents::{EventBuilder as _, EventBuilderV10};
use serde_json::{json, value::RawValue};
use switchyard_bus::{Bus, Events as _};
use switchyard_events::Outgoing;
use switchyard_model::Model;
use uuid::Uuid;

use super::{
    super::{Session, term},
    held,
};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The model.
    name: String,
    /// JSON lines: rows with the model's key and features, and `prediction` where it is known; or the key and the label alone,
    /// once that is known. `-` is standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// The most rows of one event.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
}

/// Rows, as the trainer reads them.
pub(super) const ROWS: &str = "switchyard.inference.rows";
/// Labels, as the trainer reads them.
pub(super) const LABELS: &str = "switchyard.inference.labels";

pub(super) type Line = BTreeMap<String, Box<RawValue>>;

pub(super) async fn feed(session: &Session<'_>, args: &Args) -> anyhow::Result<()> {
    let bus = session.bus().await?;
    let model = held(bus, &args.name).await?;
    let mut feed = Feed { sorter: Sorter::new(&model, args.batch), bus, run: Uuid::new_v4(), rows: 0, labels: 0, events: 0 };
    for (n, line) in lines(&args.file)?.enumerate() {
        let line = line.context("cannot read on")?;
        if line.trim().is_empty() {
            continue;
        }
        let full = feed.sorter.take(&line).with_context(|| format!("line {}", n + 1))?;
        feed.publish(full).await?;
    }
    let rest = feed.sorter.rest();
    feed.publish(rest).await?;
    let Feed { rows, labels, events, .. } = feed;
    term::say(&format!("{rows} rows and {labels} labels in {events} events\n"))
}

pub(super) fn lines(file: &Path) -> anyhow::Result<Box<dyn Iterator<Item = std::io::Result<String>>>> {
    if file.as_os_str() == "-" {
        return Ok(Box::new(std::io::stdin().lines()));
    }
    let opened = File::open(file).with_context(|| file.display().to_string())?;
    Ok(Box::new(BufReader::new(opened).lines()))
}

struct Feed<'a> {
    sorter: Sorter<'a>,
    bus: &'a Bus,
    run: Uuid,
    rows: usize,
    labels: usize,
    events: usize,
}

impl Feed<'_> {
    /// One after the other: a label comes after its row.
    async fn publish(&mut self, batches: Vec<Batch>) -> anyhow::Result<()> {
        for batch in batches {
            self.rows += batch.rows.len();
            self.labels += batch.labels.len();
            for (kind, lines) in [(ROWS, batch.rows), (LABELS, batch.labels)] {
                if !lines.is_empty() {
                    self.events += 1;
                    let id = format!("{}-{}", self.run, self.events);
                    self.bus.publish(outgoing(&self.sorter.model.name, batch.partition, &id, kind, &lines)?).await?;
                }
            }
        }
        Ok(())
    }
}

pub(super) fn outgoing(model: &str, partition: u16, id: &str, kind: &str, lines: &[Line]) -> anyhow::Result<Outgoing> {
    let data = if kind == ROWS { json!({"rows": lines}) } else { json!({"labels": lines}) };
    let builder = EventBuilderV10::new().id(id).source(format!("/switchyard/feed/{model}")).ty(kind).subject(model);
    let event = builder.data("application/json", serde_json::to_string(&data)?).build()?;
    Ok(Outgoing { subject: format!("inference.{model}.{partition}"), event, once: false })
}

/// Lines of one partition.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) partition: u16,
    pub(super) rows: Vec<Line>,
    pub(super) labels: Vec<Line>,
}

/// Where lines go: all of one key to one partition, which joins labels with predictions.
pub(super) struct Sorter<'a> {
    model: &'a Model,
    partitions: u16,
    most: usize,
    open: BTreeMap<u16, Batch>,
}

impl<'a> Sorter<'a> {
    pub(super) fn new(model: &'a Model, batch: u16) -> Self {
        let partitions = model.monitor.as_ref().map_or(1, |monitor| monitor.input.partitions.get());
        Self { model, partitions, most: batch.into(), open: BTreeMap::new() }
    }

    /// Takes a line; the batches that are full with it.
    pub(super) fn take(&mut self, text: &str) -> anyhow::Result<Vec<Batch>> {
        let data = &self.model.data;
        let mut line: Line = serde_json::from_str(text).context("a JSON object is expected")?;
        let Some(key) = line.get(&data.key).map(|key| key.get().trim_matches('"').to_owned()) else {
            bail!("the row has no {:?}, which is the model's key", data.key);
        };
        let label = line.remove(&data.label.column);
        let is_row = data.features.iter().any(|feature| line.contains_key(feature));
        if !is_row && label.is_none() {
            bail!("the row has no feature of the model, and no label");
        }
        let partition =
            u16::try_from(Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_bytes()).as_u128() % u128::from(self.partitions))?;
        let batch = self.open.entry(partition).or_insert_with(|| Batch { partition, ..Batch::default() });
        if let Some(label) = label {
            let id = RawValue::from_string(serde_json::Value::from(key).to_string())?;
            batch.labels.push([("id".to_owned(), id), ("label".to_owned(), label)].into());
        }
        if is_row {
            batch.rows.push(line);
        }
        let full = batch.rows.len() >= self.most || batch.labels.len() >= self.most;
        Ok(if full { self.open.remove(&partition).into_iter().collect() } else { Vec::new() })
    }

    fn rest(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.open).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHURN: &str = "
version: 1
model: churn
store: {url: 'file:///var/ml'}
data: {source: {url: 'file:///lake/*.csv'}, key: id, label: {column: churned, task: binary}, features: [age, plan]}
train: {image: 'r/churn@sha256:00', command: [python3, train.py]}
monitor: {input: {partitions: 4}}
";

    fn read() -> Model {
        switchyard_model::read(CHURN).unwrap().0
    }

    #[test]
    fn a_row_and_its_label_go_to_one_partition_and_the_label_after_the_row() {
        let model = read();
        let mut sorter = Sorter::new(&model, 2);
        assert!(sorter.take("{\"id\": \"a\", \"age\": 0.30000000000000004, \"note\": \"x\"}").unwrap().is_empty());
        assert!(sorter.take("{\"id\": \"a\", \"churned\": 1}").unwrap().is_empty());
        let full = sorter.take("{\"id\": \"a\", \"plan\": \"pro\", \"churned\": 0}").unwrap();
        let [batch] = full.as_slice() else { panic!("one batch is full") };
        let rows = outgoing("churn", batch.partition, "1", ROWS, &batch.rows).unwrap();
        let text = rows.event.data().unwrap().to_string();
        assert!(text.contains("0.30000000000000004") && text.contains("pro") && !text.contains("churned"), "{text}");
        assert_eq!(rows.subject, format!("inference.churn.{}", batch.partition));
        let labels = outgoing("churn", batch.partition, "2", LABELS, &batch.labels).unwrap();
        let text = labels.event.data().unwrap().to_string();
        assert_eq!(
            text.trim_start_matches("String data: "),
            "{\"labels\":[{\"id\":\"a\",\"label\":1},{\"id\":\"a\",\"label\":0}]}"
        );
        assert!(sorter.rest().is_empty());
    }

    #[test]
    fn keys_are_spread_over_the_partitions() {
        let model = read();
        let mut sorter = Sorter::new(&model, 1000);
        for id in 0..400 {
            sorter.take(&format!("{{\"id\": {id}, \"age\": 1}}")).unwrap();
        }
        let sizes: Vec<usize> = sorter.rest().iter().map(|batch| batch.rows.len()).collect();
        assert!(sizes.len() == 4 && sizes.iter().all(|size| (60..140).contains(size)), "{sizes:?}");
    }

    #[test]
    fn what_is_no_row_of_the_model_says_why() {
        let model = read();
        let wrong = |line: &str| format!("{:#}", Sorter::new(&model, 2).take(line).err().unwrap());
        assert!(wrong("[1]").contains("a JSON object is expected"));
        assert!(wrong("{\"age\": 1}").contains("no \"id\", which is the model's key"));
        assert!(wrong("{\"id\": 1, \"aeg\": 1}").contains("no feature of the model, and no label"));
    }
}
