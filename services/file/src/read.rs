//! How typed values come out of the tree.

use serde_json::{Value, json};

use crate::{Content, Key, Node, Place, Problems, unknown_key};

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

/// The keys of one map, taken one after the other.
pub struct Fields<'a> {
    entries: &'a [(Key, Node)],
    at: &'a Place,
    line: usize,
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
