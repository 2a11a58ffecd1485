//! How typed values come out of the tree: all that is wrong is gathered, nothing stops at the first error.

use std::{
    collections::BTreeMap,
    num::{NonZeroU16, NonZeroU32},
    path::PathBuf,
    time::Duration,
};

use serde_json::{Value, json};
use switchyard_events::TimeLimit;

use crate::{
    InvalidFleet, Problem,
    invalid::unknown_key,
    yaml::{Content, Key, Node},
};

/// A value that a file can hold.
pub(crate) trait Read: Sized {
    /// Reads it. What is wrong is told to `problems`; `None` where no value can be made of it.
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self>;

    /// What holds where the key is not written; `None` where it must be.
    fn absent() -> Option<Self> {
        None
    }

    /// Its JSON Schema.
    fn schema() -> Value;
}

/// A value that is written as one word.
pub(crate) trait Word: Sized {
    /// What it must be, for the schema: `text`, or one of these words.
    fn schema() -> Value {
        json!({"type": ["string", "number", "boolean"]})
    }

    /// Reads it, or says what it must be.
    fn parse(text: &str) -> Result<Self, String>;
}

/// Where a value stands: `executor.k8s.exclusions[0]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place(String);

/// What was found wrong, and what has no effect, in the order in which it was found.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    wrong: Vec<Problem>,
    inert: Vec<Problem>,
}

/// The keys of one map, taken one after the other.
pub(crate) struct Fields<'a> {
    entries: &'a [(Key, Node)],
    at: &'a Place,
    line: usize,
}

impl Place {
    pub(crate) fn root() -> Self {
        Self::default()
    }

    pub(crate) fn key(&self, key: &str) -> Self {
        Self(if self.0.is_empty() { key.to_owned() } else { format!("{}.{key}", self.0) })
    }

    pub(crate) fn item(&self, n: usize) -> Self {
        Self(format!("{}[{n}]", self.0))
    }
}

impl Problems {
    /// Something is wrong; line 0 is none.
    pub(crate) fn add(&mut self, at: &Place, line: usize, rule: impl Into<String>) {
        self.wrong.push(Problem { path: at.0.clone(), line: (line > 0).then_some(line), rule: rule.into() });
    }

    /// Something has no effect.
    pub(crate) fn warn(&mut self, at: &Place, line: usize, rule: impl Into<String>) {
        self.inert.push(Problem { path: at.0.clone(), line: (line > 0).then_some(line), rule: rule.into() });
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.wrong.is_empty()
    }

    /// What is wrong, as one error.
    pub(crate) fn into_error(mut self) -> Option<InvalidFleet> {
        self.wrong.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        (!self.wrong.is_empty()).then_some(InvalidFleet { problems: self.wrong })
    }

    /// What has no effect, where nothing is wrong.
    ///
    /// # Errors
    /// When something is.
    pub(crate) fn into_warnings(mut self) -> Result<Vec<Problem>, InvalidFleet> {
        let inert = std::mem::take(&mut self.inert);
        self.into_error().map_or(Ok(inert), Err)
    }
}

impl<'a> Fields<'a> {
    /// The keys of a map, of which each must be known. Nothing written is no keys.
    pub(crate) fn of(node: &'a Node, at: &'a Place, known: &[&'static str], problems: &mut Problems) -> Option<Self> {
        let entries = entries(node, at, problems)?;
        for (key, _) in entries {
            if !known.contains(&key.text.as_str()) {
                problems.add(&at.key(&key.text), key.line, unknown_key(&key.text, known.iter().copied()));
            }
        }
        Some(Self { entries, at, line: node.line })
    }

    /// The value of a key, by any of its spellings; what is wrong with it is told, and then what is absent holds.
    pub(crate) fn take<T: Read>(&self, spellings: &[&str], absent: impl Fn() -> Option<T>, problems: &mut Problems) -> Option<T> {
        let mut given = self.entries.iter().filter(|(key, _)| spellings.contains(&key.text.as_str()));
        let Some((key, node)) = given.next() else {
            let value = absent();
            if value.is_none() {
                problems.add(&self.at.key(spellings[0]), self.line, format!("the key {:?} is missing", spellings[0]));
            }
            return value;
        };
        if let Some((second, _)) = given.next() {
            let rule = format!("{:?} and {:?} are two spellings of one key: keep one", key.text, second.text);
            problems.add(&self.at.key(&second.text), second.line, rule);
        }
        T::read(node, &self.at.key(&key.text), problems).or_else(absent)
    }

    /// A key that has no effect.
    pub(crate) fn inert(&self, key: &str, why: &str, problems: &mut Problems) {
        if let Some((key, _)) = self.entries.iter().find(|(known, node)| known.text == key && node.says_something()) {
            problems.warn(&self.at.key(&key.text), key.line, format!("has no effect: {why}"));
        }
    }

    /// A key that nothing may be written under.
    pub(crate) fn refused(&self, key: &str, remedy: &str, problems: &mut Problems) {
        if let Some((key, _)) = self.entries.iter().find(|(known, node)| known.text == key && node.says_something()) {
            problems.add(&self.at.key(&key.text), key.line, remedy);
        }
    }
}

/// The entries of a map; nothing written is none.
pub(crate) fn entries<'a>(node: &'a Node, at: &Place, problems: &mut Problems) -> Option<&'a [(Key, Node)]> {
    match &node.content {
        Content::Map(entries) => Some(entries),
        Content::Null => Some(&[]),
        Content::Text(_) | Content::List(_) => {
            problems.add(at, node.line, format!("keys and values are expected, not {}", node.kind()));
            None
        }
    }
}

impl<T: Word> Read for T {
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        let Content::Text(text) = &node.content else {
            problems.add(at, node.line, format!("a single value is expected, not {}", node.kind()));
            return None;
        };
        T::parse(text).map_err(|rule| problems.add(at, node.line, rule)).ok()
    }

    fn schema() -> Value {
        <T as Word>::schema()
    }
}

impl<T: Read> Read for Option<T> {
    /// An empty value is none at all, as Screwdriver writes it (`runtimeClass: ""`).
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        match &node.content {
            Content::Null => Some(None),
            Content::Text(text) if text.is_empty() => Some(None),
            Content::Text(_) | Content::List(_) | Content::Map(_) => T::read(node, at, problems).map(Some),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn schema() -> Value {
        T::schema()
    }
}

impl<T: Read> Read for Vec<T> {
    /// An empty map is an empty list, as Screwdriver writes it (`volumeMounts: {}`).
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        let items = match &node.content {
            Content::List(items) => items.as_slice(),
            Content::Map(entries) if entries.is_empty() => &[],
            Content::Null => &[],
            Content::Text(_) | Content::Map(_) => {
                problems.add(at, node.line, format!("a list is expected, not {}", node.kind()));
                return None;
            }
        };
        Some(items.iter().enumerate().filter_map(|(n, item)| T::read(item, &at.item(n), problems)).collect())
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn schema() -> Value {
        json!({"type": "array", "items": T::schema()})
    }
}

impl<T: Read> Read for BTreeMap<String, T> {
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        let named = |(key, node): &(Key, Node), problems: &mut Problems| {
            T::read(node, &at.key(&key.text), problems).map(|value| (key.text.clone(), value))
        };
        Some(entries(node, at, problems)?.iter().filter_map(|entry| named(entry, problems)).collect())
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn schema() -> Value {
        json!({"type": "object", "additionalProperties": T::schema()})
    }
}

impl Word for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Word for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }
}

impl Word for bool {
    /// Screwdriver writes truth values as texts, too.
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("{text:?} is neither true nor false")),
        }
    }

    fn schema() -> Value {
        json!({"enum": [true, false, "true", "false"]})
    }
}

impl Word for u32 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?} is not a whole number from 0 to {}", Self::MAX))
    }

    fn schema() -> Value {
        json!({"type": ["integer", "string"], "minimum": 0})
    }
}

impl Word for NonZeroU16 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?} is not a whole number from 1 to {}", Self::MAX))
    }

    fn schema() -> Value {
        json!({"type": ["integer", "string"], "minimum": 1, "maximum": Self::MAX.get()})
    }
}

impl Word for NonZeroU32 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?} is not a whole number from 1 to {}", Self::MAX))
    }

    fn schema() -> Value {
        json!({"type": ["integer", "string"], "minimum": 1})
    }
}

impl Word for TimeLimit {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: switchyard_events::InvalidTimeLimit| error.to_string())
    }

    fn schema() -> Value {
        json!({"type": ["string", "integer"], "examples": ["20s", "90m", "1h30m", 90]})
    }
}

impl Word for Duration {
    /// As Screwdriver has it in these places, a bare number is milliseconds.
    fn parse(text: &str) -> Result<Self, String> {
        let rule = || format!("{text:?} is not a time: write a number of milliseconds, 500ms or 30s");
        if let Ok(milliseconds) = text.parse::<u32>() {
            return Ok(Self::from_millis(milliseconds.into()));
        }
        text.parse::<TimeLimit>().map(TimeLimit::duration).map_err(|_| rule())
    }

    fn schema() -> Value {
        json!({"type": ["string", "integer"], "examples": [10000, "500ms", "30s"]})
    }
}

/// What is read of a key, and what holds without it.
macro_rules! absent {
    ($type:ty) => {
        <$type as $crate::read::Read>::absent
    };
    ($type:ty, $default:expr) => {
        || Some($default)
    };
}

/// A struct whose fields are the keys of a map: each with its spelling, its default, and its place in the schema.
///
/// `inert` keys are read and without effect, which is warned of; `refused` keys may hold nothing.
macro_rules! keys {
    (
        $(#[doc = $about:literal])* $(#[derive($($derive:ident),*)])?
        $vis:vis struct $name:ident {
            $($(#[doc = $doc:literal])* $field:ident : $type:ty = $key:literal $(| $alias:literal)* $(or $default:expr)?,)*
        }
        $(inert { $($inert:literal => $why:literal,)* })?
        $(refused { $($refused:literal => $remedy:literal,)* })?
    ) => {
        $(#[doc = $about])* $(#[derive($($derive),*)])?
        $vis struct $name {
            $($(#[doc = $doc])* pub $field: $type,)*
        }

        impl $crate::read::Read for $name {
            fn read(
                node: &$crate::yaml::Node,
                at: &$crate::read::Place,
                problems: &mut $crate::read::Problems,
            ) -> Option<Self> {
                const KNOWN: &[&str] = &[$($key, $($alias,)*)* $($($inert,)*)? $($($refused,)*)?];
                let fields = $crate::read::Fields::of(node, at, KNOWN, problems)?;
                $($(fields.inert($inert, $why, problems);)*)?
                $($(fields.refused($refused, $remedy, problems);)*)?
                $(let $field = fields.take::<$type>(
                    &[$key, $($alias),*], $crate::read::absent!($type $(, $default)?), problems,
                );)*
                Some(Self { $($field: $field?,)* })
            }

            fn absent() -> Option<Self> {
                let (node, at) = (&$crate::yaml::Node::EMPTY, &$crate::read::Place::root());
                Self::read(node, at, &mut $crate::read::Problems::default())
            }

            fn schema() -> serde_json::Value {
                let mut properties = serde_json::Map::new();
                $(
                    let mut schema = <$type as $crate::read::Read>::schema();
                    schema["description"] = concat!($($doc,)*).trim().into();
                    $(properties.insert($alias.to_owned(), schema.clone());)*
                    properties.insert($key.to_owned(), schema);
                )*
                $($(properties.insert($inert.to_owned(), serde_json::json!({
                    "description": concat!("Has no effect: ", $why), "deprecated": true,
                }));)*)?
                serde_json::json!({"type": ["object", "null"], "additionalProperties": false, "properties": properties})
            }
        }
    };
}

/// A word out of a few.
macro_rules! words {
    ($type:ty { $($word:literal => $value:expr,)* }) => {
        impl $crate::read::Word for $type {
            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($value),)*
                    _ => Err(format!("{text:?} is none of {}", [$($word),*].join(", "))),
                }
            }

            fn schema() -> serde_json::Value {
                serde_json::json!({"enum": [$($word),*]})
            }
        }
    };
}

pub(crate) use {absent, keys, words};
