//! Files that only their owner may read.

use std::fs::{OpenOptions, remove_file};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::StartError;

/// Writes a file that is closed to others from its first moment on; replaces one that is there.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), StartError> {
    let _ = remove_file(path);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(StartError::file(path))
}
