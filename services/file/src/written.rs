//! What is read can be written again: keys in the order of their names, what is not said left out.

use serde::{
    Serialize,
    ser::{Error as _, SerializeMap as _, Serializer},
};
use serde_json::Value;

/// The text of a value that is the same whenever the value is: JSON without blanks, keys sorted.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text.push_str(&value.to_string()),
        Value::Array(items) => {
            text.push('[');
            for (n, item) in items.iter().enumerate() {
                text.push_str(if n == 0 { "" } else { "," });
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            text.push('{');
            for (n, (key, value)) in entries.into_iter().enumerate() {
                text.push_str(if n == 0 { "" } else { "," });
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
    }
}

/// Writes the fields of a struct that say something.
///
/// # Errors
/// When a field cannot be written, or the serializer fails.
#[doc(hidden)]
pub fn fields<S: Serializer>(serializer: S, fields: &[(&str, Result<Value, serde_json::Error>)]) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for (key, value) in fields {
        let value = value.as_ref().map_err(S::Error::custom)?;
        if !value.is_null() {
            map.serialize_entry(key, value)?;
        }
    }
    map.end()
}

/// A field's value.
///
/// # Errors
/// When it cannot be written.
#[doc(hidden)]
pub fn field(value: &impl Serialize) -> Result<Value, serde_json::Error> {
    serde_json::to_value(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_at_every_depth_and_numbers_keep_their_bits() {
        let value = json!({"b": [{"d": 1, "c": 0.1}], "a": null, "é\"": 1e300});
        assert_eq!(canonical(&value), "{\"a\":null,\"b\":[{\"c\":0.1,\"d\":1}],\"é\\\"\":1e+300}");
    }
}
