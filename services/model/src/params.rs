//! `train.params`: what the training command is given, with the types that are written.

use serde::Serialize;
use serde_json::{Map, Number, Value, json};
use switchyard_file::{Content, Node, Place, Problems, Read, entries};

/// Parameters by name: texts, numbers, truth values, lists and maps of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Params(pub Map<String, Value>);

impl Read for Params {
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        let params = entries(node, at, problems)?.iter();
        Some(Self(
            params.filter_map(|(key, node)| Some((key.text.clone(), value(node, &at.key(&key.text), problems)?))).collect(),
        ))
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    fn schema() -> Value {
        json!({"type": ["object", "null"]})
    }
}

/// What a value says: a number or a truth value where it is written as one and without quotes.
pub(crate) fn value(node: &Node, at: &Place, problems: &mut Problems) -> Option<Value> {
    match &node.content {
        Content::Null => Some(Value::Null),
        Content::Text(text) if node.plain => scalar(text).map_err(|rule| problems.add(at, node.line, rule)).ok(),
        Content::Text(text) => Some(Value::from(text.as_str())),
        Content::List(items) => {
            let items = items.iter().enumerate().map(|(n, item)| value(item, &at.item(n), problems));
            items.collect::<Vec<_>>().into_iter().collect::<Option<_>>().map(Value::Array)
        }
        Content::Map(_) => Params::read(node, at, problems).map(|params| Value::Object(params.0)),
    }
}

/// A plain scalar by the core schema of YAML 1.2, in base ten.
fn scalar(text: &str) -> Result<Value, String> {
    let number = |digits: &str| digits.bytes().any(|byte| byte.is_ascii_digit()) && !digits.starts_with(['e', 'E']);
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    match text {
        "true" | "True" | "TRUE" => return Ok(true.into()),
        "false" | "False" | "FALSE" => return Ok(false.into()),
        _ => {}
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return Err(format!("{text} cannot be handed on: JSON has no such number"));
    }
    if !number(unsigned)
        || unsigned.bytes().any(|byte| !(byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'-' | b'+')))
    {
        return Ok(text.into());
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Ok(whole.into());
    }
    if let Ok(whole) = text.parse::<u64>() {
        return Ok(whole.into());
    }
    match text.parse::<f64>() {
        Ok(number) => Number::from_f64(number).map(Value::Number).ok_or_else(|| format!("{text} is too great for a number")),
        Err(_) => Ok(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_without_quotes_has_the_type_that_yaml_gives_it() {
        for (text, wanted) in [
            ("6", json!(6)),
            ("-7", json!(-7)),
            ("0.10", json!(0.1)),
            ("1e-3", json!(0.001)),
            ("18446744073709551615", json!(u64::MAX)),
            ("true", json!(true)),
            ("yes", json!("yes")),
            ("1.2.3", json!("1.2.3")),
            ("2024-01-01", json!("2024-01-01")),
            ("e5", json!("e5")),
            ("-", json!("-")),
        ] {
            assert_eq!(scalar(text).unwrap(), wanted, "{text}");
        }
        assert!(scalar(".nan").is_err() && scalar("1e999").is_err());
    }
}
