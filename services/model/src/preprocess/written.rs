//! How `preprocess` is written in a file.

use std::num::NonZeroU32;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use switchyard_file::{Content, Node, Place, Problems, Read, entries, keys, nearest, single};

use super::{Buckets, Defaults, Fill, Preprocess, Scale, Transform, Unseen};

keys! {
    /// `onehot`.
    struct OneHot {
        /// What a value gives that training has not seen.
        unknown: Unseen = "unknown" or Unseen::Bucket,
    }
}

keys! {
    /// `ngrams`.
    struct Ngrams {
        /// The longest run of words.
        n: NonZeroU32 = "n",
        /// The most frequent so many are kept.
        size: NonZeroU32 = "size",
    }
}

const KNOWN: &[&str] = &["fill", "scale", "vocabulary", "onehot", "bucketize", "hash", "ngrams", "tfidf", "none"];

/// What other systems have and this one has not, with what to do instead.
const REFUSED: [(&str, &str); 3] = [
    ("pca", "principal components are not fitted here: compute them in the training command, and leave the columns to `none`"),
    ("image_reshape", "images are no columns here: let the training command reshape them"),
    ("load_binary_image", "images are no columns here: let the training command load them, from a column that names the file"),
];

impl Read for Transform {
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        if let Content::Text(word) = &node.content {
            return bare(word, node, at, problems);
        }
        if let Content::Map(entries) = &node.content
            && let Some((key, remedy)) = entries.iter().find_map(|(key, _)| Some((key, refusal(&key.text)?)))
        {
            problems.add(&at.key(&key.text), key.line, remedy);
            return None;
        }
        let (key, value) = single(node, at, KNOWN, problems)?;
        let place = at.key(&key.text);
        match key.text.as_str() {
            "fill" => Fill::read(value, &place, problems).map(Self::Fill),
            "scale" => Scale::read(value, &place, problems).map(Self::Scale),
            "vocabulary" => NonZeroU32::read(value, &place, problems).map(Self::Vocabulary),
            "onehot" => OneHot::read(value, &place, problems).map(|OneHot { unknown }| Self::OneHot { unknown }),
            "bucketize" => Buckets::read(value, &place, problems).map(Self::Bucketize),
            "hash" => NonZeroU32::read(value, &place, problems).map(Self::Hash),
            "ngrams" => Ngrams::read(value, &place, problems).map(|Ngrams { n, size }| Self::Ngrams { n, size }),
            "tfidf" => NonZeroU32::read(value, &place, problems).map(Self::Tfidf),
            _ => Some(Self::None),
        }
    }

    fn schema() -> Value {
        json!({"anyOf": [{"enum": ["none", "onehot"]}, {
            "type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
            "properties": {
                "fill": Fill::schema(), "scale": Scale::schema(), "vocabulary": NonZeroU32::schema(), "onehot": OneHot::schema(),
                "bucketize": Buckets::schema(), "hash": NonZeroU32::schema(), "ngrams": Ngrams::schema(), "tfidf": NonZeroU32::schema(),
                "none": {"type": ["null", "boolean"]},
            },
        }]})
    }
}

fn refusal(word: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(name, _)| *name == word).map(|(_, remedy)| *remedy)
}

fn bare(word: &str, node: &Node, at: &Place, problems: &mut Problems) -> Option<Transform> {
    let rule = match word {
        "none" => return Some(Transform::None),
        "onehot" => return Some(Transform::OneHot { unknown: Unseen::Bucket }),
        _ => refusal(word).map_or_else(|| not_bare(word), str::to_owned),
    };
    problems.add(at, node.line, rule);
    None
}

fn not_bare(word: &str) -> String {
    match nearest(word, KNOWN.iter().copied()) {
        Some(known) => format!("{word:?} is no transform: did you mean {{{known}: …}}?"),
        None => format!("{word:?} is no transform: known are {}", KNOWN.join(", ")),
    }
}

impl Serialize for Transform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = match self {
            Self::Fill(fill) => json!({"fill": fill}),
            Self::Scale(scale) => json!({"scale": scale}),
            Self::Vocabulary(size) => json!({"vocabulary": size}),
            Self::OneHot { unknown } => json!({"onehot": {"unknown": unknown}}),
            Self::Bucketize(Buckets::Quantiles(count)) => json!({"bucketize": count}),
            Self::Bucketize(Buckets::Edges(edges)) => json!({"bucketize": edges}),
            Self::Hash(size) => json!({"hash": size}),
            Self::Ngrams { n, size } => json!({"ngrams": {"n": n, "size": size}}),
            Self::Tfidf(size) => json!({"tfidf": size}),
            Self::None => json!("none"),
        };
        value.serialize(serializer)
    }
}

const FILLS: [(&str, Fill); 7] = [
    ("min", Fill::Min),
    ("max", Fill::Max),
    ("mean", Fill::Mean),
    ("median", Fill::Median),
    ("mode", Fill::Mode),
    ("forward", Fill::Forward),
    ("backward", Fill::Backward),
];

impl Read for Fill {
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        if let Content::Text(word) = &node.content {
            let found = FILLS.into_iter().find(|(known, _)| known == word).map(|(_, fill)| fill);
            if found.is_none() {
                let rule = format!("{word:?} is none of {}, {{value: …}}", FILLS.map(|(known, _)| known).join(", "));
                problems.add(at, node.line, rule);
            }
            return found;
        }
        let (_, value) = single(node, at, &["value"], problems)?;
        match crate::params::value(value, &at.key("value"), problems)? {
            Value::Null | Value::Array(_) | Value::Object(_) => {
                problems.add(&at.key("value"), value.line, "must be a text, a number or a truth value");
                None
            }
            single @ (Value::Bool(_) | Value::Number(_) | Value::String(_)) => Some(Self::Value(single)),
        }
    }

    fn schema() -> Value {
        let value = json!({"type": ["string", "number", "boolean"]});
        json!({"anyOf": [{"enum": FILLS.map(|(word, _)| word)},
            {"type": "object", "additionalProperties": false, "required": ["value"], "properties": {"value": value}}]})
    }
}

impl Serialize for Fill {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Self::Value(value) = self {
            return json!({"value": value}).serialize(serializer);
        }
        FILLS.iter().find(|(_, fill)| fill == self).map_or("", |(word, _)| word).serialize(serializer)
    }
}

impl Read for Buckets {
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        if matches!(node.content, Content::Text(_)) {
            return NonZeroU32::read(node, at, problems).map(Self::Quantiles);
        }
        let edges = Vec::<f64>::read(node, at, problems)?;
        if edges.is_empty() || edges.windows(2).any(|pair| pair[0] >= pair[1]) {
            problems.add(
                at,
                node.line,
                "edges must rise, and there must be at least one: write [18, 30, 65], or a number of buckets",
            );
            return None;
        }
        Some(Self::Edges(edges))
    }

    fn schema() -> Value {
        json!({"anyOf": [NonZeroU32::schema(), Vec::<f64>::schema()]})
    }
}

impl Read for Preprocess {
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        let mut preprocess = Self::default();
        for (key, value) in entries(node, at, problems)? {
            let place = at.key(&key.text);
            if key.text == "defaults" {
                preprocess.defaults = Defaults::read(value, &place, problems).unwrap_or_default();
            } else {
                let transforms = Vec::read(value, &place, problems).unwrap_or_default();
                preprocess.columns.insert(key.text.clone(), transforms);
            }
        }
        Some(preprocess)
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    fn schema() -> Value {
        json!({"type": ["object", "null"], "properties": {"defaults": Defaults::schema()}, "additionalProperties": Vec::<Transform>::schema()})
    }
}

impl Serialize for Preprocess {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = Map::new();
        map.insert("defaults".to_owned(), json!(self.defaults));
        map.extend(self.columns.iter().map(|(column, transforms)| (column.clone(), json!(transforms))));
        map.serialize(serializer)
    }
}
