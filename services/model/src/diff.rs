//! What one declaration says and another does not: by path, with what holds anyway written out.

use serde_json::Value;

use crate::Model;

/// A value that is not the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Where it stands: `train.params.depth`.
    pub path: String,
    /// What was said there; `None` for nothing.
    pub before: Option<Value>,
    /// What is said there now; `None` for nothing.
    pub after: Option<Value>,
}

/// Everything in which two models differ, in the order of the paths.
#[must_use]
pub fn diff(before: &Model, after: &Model) -> Vec<Change> {
    let mut changes = Vec::new();
    compare("", Some(&before.value()), Some(&after.value()), &mut changes);
    changes
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<Change>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))).collect();
            keys.sort();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&path, old.get(key), new.get(key), changes);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if old.len() == new.len() && !old.is_empty() => {
            for (n, (old, new)) in old.iter().zip(new).enumerate() {
                compare(&format!("{path}[{n}]"), Some(old), Some(new), changes);
            }
        }
        (before, after) => {
            changes.push(Change { path: path.to_owned(), before: before.cloned(), after: after.cloned() });
        }
    }
}
