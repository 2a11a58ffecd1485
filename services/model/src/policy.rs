//! `policy`: what makes a model be trained again, and what keeps it from that.

use std::num::{NonZeroU32, NonZeroU64};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use switchyard_events::TimeLimit;
use switchyard_file::{Content, Fields, Node, Place, Problems, Read, keys, single, words};

use crate::Cron;

keys! {
    written
    /// What makes a model be trained again, and what keeps it from that.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Policy {
        /// `suggest` only says so, `approve` waits for an approval, `auto` trains.
        mode: Mode = "mode" or Mode::Suggest,
        /// What asks for a training; a list is any of them, and an empty one nothing.
        triggers: Trigger = "triggers" or Trigger::Any(Vec::new()),
        /// How many windows are only watched after a model has taken over.
        warmup: u32 = "warmup" or 0,
        /// How long after a training none follows.
        cooldown: TimeLimit = "cooldown" or TimeLimit::ZERO,
        /// What happens to a request while a training runs: `skip`, `queue` or `cancel-previous`.
        concurrency: Concurrency = "concurrency" or Concurrency::Skip,
        /// The most that trainings may cost.
        budget: Option<Budget> = "budget",
        /// How long after a rejected candidate none follows; it doubles each time.
        reject_backoff: TimeLimit = "rejectBackoff" or TimeLimit::minutes(60),
    }
}

/// Who decides that a training begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// People: it is only said.
    Suggest,
    /// People: it begins when it is approved.
    Approve,
    /// The policy.
    Auto,
}

words! { written Mode { "suggest" => Self::Suggest, "approve" => Self::Approve, "auto" => Self::Auto, } }

/// What happens to a request while a training runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// Nothing: the reason is said.
    Skip,
    /// One waits, however many ask.
    Queue,
    /// The one that runs is cancelled.
    CancelPrevious,
}

words! { written Concurrency { "skip" => Self::Skip, "queue" => Self::Queue, "cancel-previous" => Self::CancelPrevious, } }

keys! {
    written
    /// The most that trainings may cost.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Budget {
        /// So many trainings.
        runs: Option<NonZeroU32> = "runs",
        /// So many hours that their pods run.
        pod_hours: Option<f64> = "podHours",
        /// In so long.
        per: TimeLimit = "per",
    }
}

/// What asks for a training.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// A column has drifted.
    Drift,
    /// The model is no longer good enough.
    Performance,
    /// So many rows have been seen since the champion was trained.
    NewRows(NonZeroU64),
    /// The clock.
    Cron(Cron),
    /// One of them.
    Any(Vec<Self>),
    /// All of them at once.
    All(Vec<Self>),
    /// At least so many of them at once.
    AtLeast {
        /// So many.
        n: NonZeroU32,
        /// Of these.
        of: Vec<Self>,
    },
}

/// Where the trigger's schema stands in the file's: it holds itself.
pub(crate) const TRIGGER: &str = "#/$defs/trigger";

const KNOWN: &[&str] = &["newRows", "cron", "any", "all"];
const DEEPEST: usize = 8;

impl Trigger {
    /// Whether this, or what it is made of, holds for `test`.
    #[must_use]
    pub fn has(&self, test: &impl Fn(&Self) -> bool) -> bool {
        test(self) || self.parts().iter().any(|part| part.has(test))
    }

    /// What it is made of.
    #[must_use]
    pub fn parts(&self) -> &[Self] {
        match self {
            Self::Drift | Self::Performance | Self::NewRows(_) | Self::Cron(_) => &[],
            Self::Any(parts) | Self::All(parts) | Self::AtLeast { of: parts, .. } => parts,
        }
    }

    fn depth(&self) -> usize {
        1 + self.parts().iter().map(Self::depth).max().unwrap_or(0)
    }

    pub(crate) fn definition() -> Value {
        let (some, count) = (json!({"type": "array", "items": {"$ref": TRIGGER}}), NonZeroU32::schema());
        let object = |properties: Value| json!({"type": "object", "additionalProperties": false, "minProperties": 1, "properties": properties});
        json!({"anyOf": [
            {"enum": ["drift", "performance"]},
            some,
            object(json!({"newRows": NonZeroU64::schema(), "cron": {"type": "string"}, "any": some, "all": some, "atLeast": count, "of": some})),
        ]})
    }
}

impl Read for Trigger {
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        let trigger = read(node, at, problems)?;
        if trigger.depth() > DEEPEST {
            problems.add(at, node.line, format!("triggers stand in each other more than {DEEPEST} deep"));
        }
        Some(trigger)
    }

    fn schema() -> Value {
        json!({"$ref": TRIGGER})
    }
}

fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Trigger> {
    match &node.content {
        Content::Text(word) => match word.as_str() {
            "drift" => Some(Trigger::Drift),
            "performance" => Some(Trigger::Performance),
            _ => {
                problems.add(at, node.line, format!("{word:?} is none of drift, performance, {{newRows: N}}, {{cron: …}}, {{any: […]}}, {{all: […]}}, {{atLeast: N, of: […]}}"));
                None
            }
        },
        Content::List(_) => several(node, at, problems).map(Trigger::Any),
        Content::Map(entries) if entries.iter().any(|(key, _)| matches!(key.text.as_str(), "atLeast" | "of")) => {
            let fields = Fields::of(node, at, &["atLeast", "of"], problems)?;
            let n = fields.take::<NonZeroU32>(&["atLeast"], || None, problems);
            let (_, of) = entries.iter().find(|(key, _)| key.text == "of").or_else(|| {
                problems.add(&at.key("of"), node.line, "the key \"of\" is missing");
                None
            })?;
            let of = some(of, &at.key("of"), problems)?;
            n.map(|n| Trigger::AtLeast { n, of })
        }
        Content::Null | Content::Map(_) => {
            let (key, value) = single(node, at, KNOWN, problems)?;
            let place = at.key(&key.text);
            match key.text.as_str() {
                "newRows" => NonZeroU64::read(value, &place, problems).map(Trigger::NewRows),
                "cron" => Cron::read(value, &place, problems).map(Trigger::Cron),
                "any" => several(value, &place, problems).map(Trigger::Any),
                _ => some(value, &place, problems).map(Trigger::All),
            }
        }
    }
}

/// A list that holds something: none of nothing is always all of it.
fn some(node: &Node, at: &Place, problems: &mut Problems) -> Option<Vec<Trigger>> {
    let triggers = several(node, at, problems)?;
    if matches!(&node.content, Content::List(items) if items.is_empty()) {
        problems.add(at, node.line, "an empty list of triggers: take it out, or name one");
    }
    Some(triggers)
}

fn several(node: &Node, at: &Place, problems: &mut Problems) -> Option<Vec<Trigger>> {
    let Content::List(items) = &node.content else {
        problems.add(at, node.line, format!("a list of triggers is expected, not {}", node.kind()));
        return None;
    };
    Some(items.iter().enumerate().filter_map(|(n, item)| read(item, &at.item(n), problems)).collect())
}

impl Serialize for Trigger {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = match self {
            Self::Drift => json!("drift"),
            Self::Performance => json!("performance"),
            Self::NewRows(rows) => json!({"newRows": rows}),
            Self::Cron(cron) => json!({"cron": cron}),
            Self::Any(parts) => json!(parts),
            Self::All(parts) => json!({"all": parts}),
            Self::AtLeast { n, of } => json!({"atLeast": n, "of": of}),
        };
        value.serialize(serializer)
    }
}
