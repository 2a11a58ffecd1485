//! The user's code, at the commit that the file names.

use std::{path::Path, process::Command};

use switchyard_model::Code;

use crate::error::{Error, Result};

/// Brings a commit here. Nothing else of the repository comes along where the server allows it.
///
/// # Errors
/// There is no `git`, no repository, or no such commit.
pub(crate) fn check_out(code: &Code, folder: &Path) -> Result<()> {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(folder).args(arguments).env("GIT_TERMINAL_PROMPT", "0");
        let output = command.output().map_err(|error| Error::new(format!("cannot run git: {error}; put it into the image")))?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if output.status.success() { Ok(output) } else { Err(Error::new(said)) }
    };
    let unfetched = |error: Error| error.prefixed(&format!("commit {} cannot be fetched: ", code.commit)).file(&code.repository);
    git(&["init", "--quiet"])?;
    let one = git(&["fetch", "--quiet", "--depth", "1", "--", &code.repository, &code.commit]);
    one.or_else(|_| git(&["fetch", "--quiet", "--", &code.repository])).map_err(unfetched)?;
    git(&["-c", "advice.detachedHead=false", "checkout", "--quiet", &code.commit]).map_err(unfetched)?;
    let head = git(&["rev-parse", "HEAD"])?;
    if String::from_utf8_lossy(&head.stdout).trim() == code.commit.to_ascii_lowercase() {
        return Ok(());
    }
    Err(Error::new(format!("HEAD is not {}", code.commit)).file(&code.repository))
}
