//! How typed values come out of the tree: all that is wrong is gathered, nothing stops at the first error.

use std::{
    collections::BTreeMap,
    num::{NonZeroU16, NonZeroU32, NonZeroU64},
    path::PathBuf,
    time::Duration,
};

use serde_json::{Value, json};
use switchyard_events::TimeLimit;

use crate::{Content, Invalid, Key, Node, Problem, unknown_key};

/// A value that a file can hold.
pub trait Read: Sized {
    /// Reads it. What is wrong is told to `problems`; `None` where no value can be made of it.
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self>;

    /// What holds where the key is not written; `None` where it must be.
    #[must_use]
    fn absent() -> Option<Self> {
        None
    }

    /// Its JSON Schema.
    #[must_use]
    fn schema() -> Value;
}

/// A value that is written as one word.
pub trait Word: Sized {
    /// What it must be, for the schema: `text`, or one of these words.
    #[must_use]
    fn schema() -> Value {
        json!({"type": ["string", "number", "boolean"]})
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is none; the text says what it must be.
    fn parse(text: &str) -> Result<Self, String>;
}

/// Where a value stands: `executor.k8s.exclusions[0]`.
#[derive(Clone, Debug, Default)]
pub struct Place(String);

/// What was found wrong, and what has no effect, in the order in which it was found.
#[derive(Debug)]
pub struct Problems {
    file: &'static str,
    wrong: Vec<Problem>,
    inert: Vec<Problem>,
}

/// The keys of one map, taken one after the other.
pub struct Fields<'a> {
    entries: &'a [(Key, Node)],
    at: &'a Place,
    line: usize,
}

impl Place {
    /// The file as a whole.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// The value of a key of what stands here.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(if self.0.is_empty() { key.to_owned() } else { format!("{}.{key}", self.0) })
    }

    /// An item of the list that stands here, counted from 0.
    #[must_use]
    pub fn item(&self, n: usize) -> Self {
        Self(format!("{}[{n}]", self.0))
    }
}

impl Problems {
    /// None yet, of a file that is called so: `fleet file`.
    #[must_use]
    pub const fn of(file: &'static str) -> Self {
        Self { file, wrong: Vec::new(), inert: Vec::new() }
    }

    /// Something is wrong; line 0 is none.
    pub fn add(&mut self, at: &Place, line: usize, rule: impl Into<String>) {
        self.wrong.push(Problem { file: self.file, path: at.0.clone(), line: (line > 0).then_some(line), rule: rule.into() });
    }

    /// Something has no effect.
    pub fn warn(&mut self, at: &Place, line: usize, rule: impl Into<String>) {
        self.inert.push(Problem { file: self.file, path: at.0.clone(), line: (line > 0).then_some(line), rule: rule.into() });
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wrong.is_empty()
    }

    /// What is wrong, as one error.
    #[must_use]
    pub fn into_error(mut self) -> Option<Invalid> {
        self.wrong.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        (!self.wrong.is_empty()).then_some(Invalid { problems: self.wrong })
    }

    /// What has no effect, where nothing is wrong.
    ///
    /// # Errors
    /// When something is.
    pub fn into_warnings(mut self) -> Result<Vec<Problem>, Invalid> {
        let inert = std::mem::take(&mut self.inert);
        self.into_error().map_or(Ok(inert), Err)
    }
}

impl<'a> Fields<'a> {
    /// The keys of a map, of which each must be known. Nothing written is no keys.
    pub fn of(node: &'a Node, at: &'a Place, known: &[&'static str], problems: &mut Problems) -> Option<Self> {
        let entries = entries(node, at, problems)?;
        for (key, _) in entries {
            if !known.contains(&key.text.as_str()) {
                problems.add(&at.key(&key.text), key.line, unknown_key(&key.text, known.iter().copied()));
            }
        }
        Some(Self { entries, at, line: node.line })
    }

    /// The value of a key, by any of its spellings; what is wrong with it is told, and then what is absent holds.
    pub fn take<T: Read>(&self, spellings: &[&str], absent: impl Fn() -> Option<T>, problems: &mut Problems) -> Option<T> {
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
    pub fn inert(&self, key: &str, why: &str, problems: &mut Problems) {
        if let Some((key, _)) = self.entries.iter().find(|(known, node)| known.text == key && node.says_something()) {
            problems.warn(&self.at.key(&key.text), key.line, format!("has no effect: {why}"));
        }
    }

    /// A key that nothing may be written under.
    pub fn refused(&self, key: &str, remedy: &str, problems: &mut Problems) {
        if let Some((key, _)) = self.entries.iter().find(|(known, node)| known.text == key && node.says_something()) {
            problems.add(&self.at.key(&key.text), key.line, remedy);
        }
    }
}

/// The entries of a map; nothing written is none.
pub fn entries<'a>(node: &'a Node, at: &Place, problems: &mut Problems) -> Option<&'a [(Key, Node)]> {
    match &node.content {
        Content::Map(entries) => Some(entries),
        Content::Null => Some(&[]),
        Content::Text(_) | Content::List(_) => {
            problems.add(at, node.line, format!("keys and values are expected, not {}", node.kind()));
            None
        }
    }
}

/// Whether a key must be written.
#[doc(hidden)]
pub fn required<T: Read>(absent: impl Fn() -> Option<T>) -> bool {
    absent().is_none()
}

/// The one key of a map that has one, and its value.
pub fn single<'a>(node: &'a Node, at: &Place, known: &[&'static str], problems: &mut Problems) -> Option<(&'a Key, &'a Node)> {
    let entries = match &node.content {
        Content::Map(entries) => entries.as_slice(),
        Content::Null | Content::Text(_) | Content::List(_) => &[],
    };
    let mut fitting = entries.iter().filter(|(key, _)| known.contains(&key.text.as_str()));
    for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&key.text.as_str())) {
        problems.add(&at.key(&key.text), key.line, unknown_key(&key.text, known.iter().copied()));
    }
    let (first, second) = (fitting.next(), fitting.next());
    if second.is_some() || entries.is_empty() {
        problems.add(at, node.line, format!("exactly one of these is expected: {}", known.join(", ")));
    }
    first.map(|(key, value)| (key, value))
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

impl Word for u64 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?} is not a whole number from 0 on"))
    }

    fn schema() -> Value {
        json!({"type": ["integer", "string"], "minimum": 0})
    }
}

impl Word for f64 {
    fn parse(text: &str) -> Result<Self, String> {
        let written = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
        let number = text.parse().ok().filter(|number: &Self| written && number.is_finite());
        number.ok_or_else(|| format!("{text:?} is not a number such as 0.1"))
    }

    fn schema() -> Value {
        json!({"type": ["number", "string"]})
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

impl Word for NonZeroU64 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?} is not a whole number from 1 on"))
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
