//! Numbers of artifacts, written as the shortest text that reads back as the same bits: many readers of JSON give back a number
//! whose last bit differs.

use serde::{Deserialize, Deserializer, Serializer, de::Error, ser::SerializeSeq};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{number:?}"))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| D::Error::custom(format!("{text:?} is not a number, as a text")))
}

/// Lists of them.
pub(super) mod list {
    use super::{Deserialize, Deserializer, Error, SerializeSeq, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(numbers: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(numbers.len()))?;
        numbers.iter().try_for_each(|number| list.serialize_element(&format!("{number:?}")))?;
        list.end()
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts
            .iter()
            .map(|text| text.parse().map_err(|_| D::Error::custom(format!("{text:?} is not a number, as a text"))))
            .collect()
    }
}
