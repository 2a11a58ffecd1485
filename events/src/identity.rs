//! Who is who: ids are derived from what they name, never drawn, so that a handler run twice says the same thing.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// The name of a build: 26 characters of lower-case base32, the first 130 bits of the SHA-256 of its request's source,
/// subject id and event id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BuildKey(String);

/// A text that is not a build key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a build key: 26 characters out of a-z and 2-7")]
pub struct InvalidBuildKey(String);

/// The namespace of every UUID that is derived here.
const NAMESPACE: Uuid = Uuid::from_u128(0x5b0c_93a6_5d0e_4c1b_9a7e_3f21_77d4_c05e);

impl BuildKey {
    /// The key of the build that this request asks for.
    #[must_use]
    pub fn of(source: &str, subject_id: &str, request_id: &str) -> Self {
        Self(base32(&digest(&[source, subject_id, request_id])))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BuildKey {
    type Err = InvalidBuildKey;

    fn from_str(text: &str) -> Result<Self, InvalidBuildKey> {
        let valid = text.len() == 26 && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidBuildKey(text.chars().take(64).collect())) }
    }
}

impl TryFrom<String> for BuildKey {
    type Error = InvalidBuildKey;

    fn try_from(text: String) -> Result<Self, InvalidBuildKey> {
        text.parse()
    }
}

impl From<BuildKey> for String {
    fn from(key: BuildKey) -> Self {
        key.0
    }
}

impl fmt::Display for BuildKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of an event about an attempt: a UUID of version 5 of the request, the event's type, the build and the attempt.
#[must_use]
pub fn attempt_event_id(request_source: &str, request_id: &str, event_type: &str, build: &BuildKey, attempt: u32) -> String {
    uuid(&[request_source, request_id, event_type, build.as_str(), &attempt.to_string()])
}

/// The id of any other event of ours: a UUID of version 5 of its cause, its type and its subject.
#[must_use]
pub fn caused_event_id(cause_source: &str, cause_id: &str, event_type: &str, subject_id: &str) -> String {
    uuid(&[cause_source, cause_id, event_type, subject_id])
}

/// The chain of a build whose request names none (CDEvents: the sender then makes one).
#[must_use]
pub fn derived_chain_id(build: &BuildKey) -> String {
    uuid(&["chain", build.as_str()])
}

/// The W3C trace context of a build whose request carries none.
#[must_use]
pub fn derived_traceparent(build: &BuildKey) -> String {
    let hash = digest(&["trace", build.as_str()]);
    let mut context = String::with_capacity(55);
    context.push_str("00-");
    HEXLOWER.encode_append(&hash[..16], &mut context);
    context.push('-');
    HEXLOWER.encode_append(&hash[16..24], &mut context);
    context.push_str("-01");
    context
}

/// The `Nats-Msg-Id` of an event: its source, id and type. `KServe`'s request and response share source and id.
#[must_use]
pub fn message_id(source: &str, id: &str, event_type: &str) -> String {
    base32(&digest(&[source, id, event_type]))
}

/// The SHA-256 of some bytes, in hexadecimal: the name of what is kept by its content.
#[must_use]
pub fn content_digest(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

fn uuid(parts: &[&str]) -> String {
    let mut text = Uuid::encode_buffer();
    version_5(&NAMESPACE, &digest(parts)).hyphenated().encode_lower(&mut text).to_owned()
}

/// RFC 9562, section 5.5, by a SHA-1 that uses the processor's own instructions where it has them.
fn version_5(namespace: &Uuid, name: &[u8]) -> Uuid {
    let hash: [u8; 20] = Sha1::new().chain_update(namespace).chain_update(name).finalize().into();
    let [uuid @ .., _, _, _, _] = hash;
    Builder::from_sha1_bytes(uuid).into_uuid()
}

/// The first 130 bits in lower-case base32 (RFC 4648), five to a character.
fn base32(hash: &[u8; 32]) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let letter = |n: usize| {
        let pair = u16::from_be_bytes([hash[5 * n / 8], hash[5 * n / 8 + 1]]);
        char::from(LETTERS[usize::from(pair >> (11 - 5 * n % 8)) % 32])
    };
    (0..26).map(letter).collect()
}

/// Each part goes in with its length before it, so that no two lists of parts look alike.
fn digest(parts: &[&str]) -> [u8; 32] {
    // What names an event is short: hashed at once, where it fits.
    let mut text = [0; 512];
    let mut length = 0;
    for part in parts {
        let size = (part.len() as u64).to_be_bytes();
        let Some(room) = text.get_mut(length..length + size.len() + part.len()) else { return digest_of_long(parts) };
        let (before, after) = room.split_at_mut(size.len());
        before.copy_from_slice(&size);
        after.copy_from_slice(part.as_bytes());
        length += size.len() + part.len();
    }
    Sha256::digest(&text[..length]).into()
}

fn digest_of_long(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_key_is_a_valid_part_of_a_pod_name_and_of_a_subject() {
        let key = BuildKey::of("/jenkins/job/Foo", "7", "271069a8");
        assert_eq!(key.as_str().parse(), Ok(key.clone()));
        assert_eq!(key, BuildKey::of("/jenkins/job/Foo", "7", "271069a8"));
    }

    #[test]
    fn moving_a_letter_from_one_part_to_the_next_makes_another_build() {
        assert_ne!(BuildKey::of("ab", "c", "d"), BuildKey::of("a", "bc", "d"));
        assert_ne!(BuildKey::of("a", "b", "c"), BuildKey::of("a", "b", "d"));
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        for text in ["", "abc", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxy1", "abcdefghijklmnopqrstuvwxyzz"] {
            assert!(text.parse::<BuildKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_same_attempt_and_type_always_give_the_same_id() {
        let key = BuildKey::of("a", "b", "c");
        let id = |event_type, attempt| attempt_event_id("a", "c", event_type, &key, attempt);
        assert_eq!(id("x", 1), id("x", 1));
        assert_ne!(id("x", 1), id("x", 2));
        assert_ne!(id("x", 1), id("y", 1));
    }

    #[test]
    fn a_long_name_is_hashed_like_a_short_one() {
        for length in [0, 1, 500, 503, 504, 505, 2000] {
            let part = "a".repeat(length);
            assert_eq!(digest(&[&part]), digest_of_long(&[&part]), "{length}");
        }
    }

    #[test]
    fn a_uuid_is_that_of_the_standard() {
        assert_eq!(version_5(&NAMESPACE, b"www.example.com"), Uuid::new_v5(&NAMESPACE, b"www.example.com"));
    }

    #[test]
    fn base32_is_that_of_the_standard() {
        let hash = digest(&["a"]);
        assert_eq!(base32(&hash), data_encoding::BASE32_NOPAD.encode(&hash[..17])[..26].to_ascii_lowercase());
    }

    #[test]
    fn a_derived_trace_context_is_a_valid_one() {
        let context = derived_traceparent(&BuildKey::of("a", "b", "c"));
        let parts: Vec<_> = context.split('-').map(str::len).collect();
        assert_eq!(parts, [2, 32, 16, 2]);
    }
}
