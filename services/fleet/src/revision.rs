//! A name for what a file says: the same whatever the order of its keys, its comments and its layout.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use switchyard_file::{Content, Node};

/// The first 80 bits of the SHA-256 of the content.
pub(crate) fn revision(tree: &Node) -> String {
    let mut canonical = String::new();
    write_canonical(tree, &mut canonical);
    let mut text = BASE32_NOPAD.encode(&Sha256::digest(canonical)).to_ascii_lowercase();
    text.truncate(16);
    text
}

/// JSON with sorted keys, in which every value is a text.
fn write_canonical(node: &Node, text: &mut String) {
    match &node.content {
        Content::Null => text.push_str("null"),
        Content::Text(word) => text.push_str(&quoted(word)),
        Content::List(items) => {
            text.push('[');
            for item in items {
                write_canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Content::Map(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(key, _)| key.text.as_str());
            text.push('{');
            for (key, value) in entries {
                text.push_str(&quoted(&key.text));
                text.push(':');
                write_canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
