//! `store` and `data`: where things are, and which rows of them a model is made from.

use std::num::NonZeroU64;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use switchyard_events::TimeLimit;
use switchyard_file::{Content, Node, Place, Problems, Read, keys, single, words};

keys! {
    written
    /// An address, and the Secret that opens it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Location {
        /// The address: `file:///…`, `s3://bucket/…`, and for data `https://…` too.
        url: String = "url",
        /// The name of the Secret with its keys; never a key itself.
        secret: Option<String> = "secret",
    }
}

keys! {
    written
    /// What the model is made from.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Data {
        /// The files: an address whose last part may hold `*`.
        source: Location = "source",
        /// How they are written; without it, by their extension.
        format: Option<Format> = "format",
        /// Which rows: a CEL expression over the columns.
        filter: Option<String> = "where",
        /// How much of it.
        select: Select = "select",
        /// The column that identifies a row.
        key: String = "key",
        /// The column that says when a row happened.
        event_time: Option<String> = "eventTime",
        /// What the model predicts.
        label: Label = "label",
        /// The columns that the model sees.
        features: Vec<String> = "features",
    }
}

/// How files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a line of names.
    Csv,
    /// Parquet.
    Parquet,
    /// A JSON object on each line.
    JsonLines,
}

impl Format {
    /// The format that a file's name ends in.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name.rsplit('.').next()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "parquet" | "pq" => Some(Self::Parquet),
            "jsonl" | "ndjson" | "json" => Some(Self::JsonLines),
            _ => None,
        }
    }
}

words! { written Format { "csv" => Self::Csv, "parquet" => Self::Parquet, "jsonl" => Self::JsonLines, } }

keys! {
    written
    /// What the model predicts.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Label {
        /// Its column.
        column: String = "column",
        /// What kind of answer it is: `binary`, `multiclass` or `regression`.
        task: Task = "task",
    }
}

/// What kind of answer a model gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// One of two classes.
    Binary,
    /// One of several classes.
    Multiclass,
    /// A number.
    Regression,
}

words! { written Task { "binary" => Self::Binary, "multiclass" => Self::Multiclass, "regression" => Self::Regression, } }

/// How much of the data a training takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Select {
    /// Which part.
    pub part: Part,
    /// The most rows that are taken, the newest first.
    pub limit: Option<NonZeroU64>,
}

/// Which part of the data a training takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Part {
    /// Everything.
    #[default]
    All,
    /// What came since the champion was trained.
    New,
    /// The last so long before the newest row.
    Tail(TimeLimit),
    /// Everything new, and a seeded sample of the rest.
    Mix {
        /// This share of what is taken is new, from 0 to 1.
        new: f64,
        /// This share is older.
        rest: f64,
    },
}

keys! {
    /// The shares of `select.mix`.
    struct Mix {
        /// The share that is new.
        new: f64 = "new",
        /// The share that is older.
        rest: f64 = "rest",
    }
}

const PARTS: &[&str] = &["all", "new", "tail", "mix", "limit"];

impl Read for Select {
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        if let Content::Text(word) = &node.content {
            return part(word, node, at, problems).map(|part| Self { part, limit: None });
        }
        let (limit, rest) = without_limit(node);
        let limit = limit.and_then(|limit| NonZeroU64::read(limit, &at.key("limit"), problems));
        if matches!(&rest.content, Content::Map(entries) if entries.is_empty()) && limit.is_some() {
            return Some(Self { part: Part::All, limit });
        }
        let (key, value) = single(&rest, at, PARTS, problems)?;
        let place = at.key(&key.text);
        let part = match key.text.as_str() {
            "tail" => Part::Tail(TimeLimit::read(value, &place, problems)?),
            "mix" => Mix::read(value, &place, problems).map(|Mix { new, rest }| Part::Mix { new, rest })?,
            word => bool::read(value, &place, problems).and_then(|_| part(word, node, at, problems))?,
        };
        Some(Self { part, limit })
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    fn schema() -> Value {
        let limit = json!({"type": ["integer", "string"], "minimum": 1, "description": "The most rows, the newest first."});
        let truth = json!({"enum": [true, "true"]});
        json!({"anyOf": [{"enum": ["all", "new"]}, {"type": "object", "additionalProperties": false, "properties": {
            "all": truth, "new": truth, "tail": TimeLimit::schema(), "mix": Mix::schema(), "limit": limit,
        }}]})
    }
}

fn part(word: &str, node: &Node, at: &Place, problems: &mut Problems) -> Option<Part> {
    match word {
        "all" => Some(Part::All),
        "new" => Some(Part::New),
        _ => {
            problems.add(at, node.line, "must be all, new, {tail: 90d} or {mix: {new: 0.5, rest: 0.5}}, with a limit if wanted");
            None
        }
    }
}

fn without_limit(node: &Node) -> (Option<&Node>, Node) {
    let Content::Map(entries) = &node.content else { return (None, node.clone()) };
    let limit = entries.iter().find(|(key, _)| key.text == "limit").map(|(_, value)| value);
    let rest = entries.iter().filter(|(key, _)| key.text != "limit").cloned().collect();
    (limit, Node { line: node.line, plain: false, content: Content::Map(rest) })
}

impl Serialize for Select {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut value = match self.part {
            Part::All => json!({"all": true}),
            Part::New => json!({"new": true}),
            Part::Tail(tail) => json!({"tail": tail}),
            Part::Mix { new, rest } => json!({"mix": {"new": new, "rest": rest}}),
        };
        if let Some(limit) = self.limit {
            value["limit"] = limit.get().into();
        }
        value.serialize(serializer)
    }
}
