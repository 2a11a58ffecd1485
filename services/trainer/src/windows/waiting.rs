//! Predictions that wait for their labels, and labels that came first. Bounded: where too many wait, a sample of the ids is kept,
//! the same for predictions and labels, so that what is left is still a fair picture.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many may wait in one partition.
const MOST: usize = 10_000;

/// What waits, by the hash of the row's id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    rows: BTreeMap<u64, Half>,
    /// Ids are kept whose hash begins with so many zeros.
    #[serde(default)]
    zeros: u32,
}

/// One of the two that make a pair: what it says, and when it came (seconds since 1970).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Half {
    #[serde(rename = "p")]
    Prediction(String, i64),
    #[serde(rename = "l")]
    Label(String, i64),
}

/// A prediction and its label.
pub(crate) type Pair = (String, String);

impl Waiting {
    /// A prediction came. What has waited longer than `wait` seconds waits for nothing any more.
    pub(crate) fn predicted(&mut self, id: &str, prediction: String, at: i64, wait: i64) -> Option<Pair> {
        let id = hash(&[id]);
        match self.rows.remove(&id) {
            Some(Half::Label(label, since)) if at - since <= wait => Some((prediction, label)),
            Some(Half::Label(..) | Half::Prediction(..)) | None => {
                self.wait(id, Half::Prediction(prediction, at));
                None
            }
        }
    }

    /// A label came.
    pub(crate) fn labelled(&mut self, id: &str, label: String, at: i64, wait: i64) -> Option<Pair> {
        let id = hash(&[id]);
        match self.rows.remove(&id) {
            Some(Half::Prediction(prediction, since)) if at - since <= wait => Some((prediction, label)),
            Some(Half::Label(..) | Half::Prediction(..)) | None => {
                self.wait(id, Half::Label(label, at));
                None
            }
        }
    }

    fn wait(&mut self, id: u64, half: Half) {
        if id.leading_zeros() < self.zeros {
            return;
        }
        self.rows.insert(id, half);
        while self.rows.len() > MOST {
            self.zeros += 1;
            let zeros = self.zeros;
            self.rows.retain(|id, _| id.leading_zeros() >= zeros);
        }
    }

    /// Forgets what came before that time. Where few are left, more are kept again.
    pub(crate) fn forget(&mut self, before: i64) {
        self.rows.retain(|_, half| {
            let (Half::Prediction(_, at) | Half::Label(_, at)) = half;
            *at >= before
        });
        if self.rows.len() < MOST / 4 {
            self.zeros = self.zeros.saturating_sub(1);
        }
    }
}

/// A hash of some texts that is the same on every machine (FNV-1a, Fowler, Noll and Vo, and a last mix).
pub(crate) fn hash(texts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for text in texts {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}
