//! The name of a run: what would be trained twice the same has the same.

use data_encoding::BASE32_NOPAD;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use switchyard_file::canonical;

use crate::Model;

/// The parts of a file that a training cannot notice.
const UNSEEN: [&str; 3] = ["monitor", "policy", "serve"];

/// The key of a run: 26 characters of base32. The same declaration, data, code and seed always give the same key.
///
/// `manifest` is the SHA-256 of the data's manifest; `code` is what the code is known by beside the image and the commit that
/// the file names, and empty where there is no more.
#[must_use]
pub fn run_key(model: &Model, manifest: &str, code: &str) -> String {
    let mut declaration = model.value();
    if let Some(parts) = declaration.as_object_mut() {
        parts.retain(|part, _| !UNSEEN.contains(&part.as_str()));
    }
    let whole = json!({"declaration": declaration, "manifest": manifest, "code": code, "seed": model.seed()});
    let mut key = BASE32_NOPAD.encode(&Sha256::digest(canonical(&whole))).to_ascii_lowercase();
    key.truncate(26);
    key
}
