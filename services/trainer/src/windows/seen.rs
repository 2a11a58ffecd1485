//! The messages that were read last: one that comes again is not counted again. The stream itself knows those of the last ten
//! minutes by `Nats-Msg-Id`; this is for publishers that set none, and for what comes later.

use std::collections::{HashSet, VecDeque};

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// How many are remembered, in each partition.
const REMEMBERED: usize = 4096;

/// Hashes of source, id and type, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    order: VecDeque<u64>,
    known: HashSet<u64>,
}

impl Seen {
    /// Whether a message is new; then it is remembered.
    pub(crate) fn is_new(&mut self, message: u64) -> bool {
        if !self.known.insert(message) {
            return false;
        }
        self.order.push_back(message);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

impl PartialEq for Seen {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.order.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        serializer.serialize_str(&BASE64.encode(&bytes))
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let bytes = BASE64.decode(text.as_bytes()).map_err(D::Error::custom)?;
        let order: VecDeque<u64> =
            bytes.chunks_exact(8).filter_map(|hash| hash.try_into().ok()).map(u64::from_le_bytes).collect();
        let known = order.iter().copied().collect();
        Ok(Self { order, known })
    }
}
