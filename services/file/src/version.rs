//! The layout of a file, which it must name.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::{Content, Node, Place, Problems, Read};

/// The file's layout: 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version;

impl Read for Version {
    /// Goes on with another version too, so that whatever else is wrong is said at once.
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        match &node.content {
            Content::Text(text) if text == "1" => {}
            Content::Text(text) => {
                problems.add(at, node.line, format!("version {text} is not known here: this release reads 1"));
            }
            Content::Null | Content::List(_) | Content::Map(_) => problems.add(at, node.line, "must be 1"),
        }
        Some(Self)
    }

    fn schema() -> Value {
        json!({"enum": [1, "1"]})
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}
