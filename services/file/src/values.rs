//! Values that every file may hold: words, numbers, times, lists and maps of them.

use std::{
    collections::BTreeMap,
    num::{NonZeroU16, NonZeroU32, NonZeroU64},
    path::PathBuf,
    time::Duration,
};

use serde_json::{Value, json};
use switchyard_events::TimeLimit;

use crate::{Content, Key, Node, Place, Problems, Read, Word, entries};

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
