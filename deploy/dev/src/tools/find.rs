//! Binaries that are there already.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::{Tool, ToolError};

const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// The binary that the environment names.
pub(crate) fn given(tool: Tool) -> Result<Option<PathBuf>, ToolError> {
    match env::var_os(tool.variable()).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(path) if Path::new(&path).is_file() => {
            let path = PathBuf::from(path);
            std::path::absolute(&path).map(Some).map_err(ToolError::file(path))
        }
        Some(path) => Err(ToolError::NotAFile { variable: tool.variable(), path: path.into() }),
    }
}

/// A binary on PATH that says it is of the pinned version.
pub(crate) async fn on_path(tool: Tool) -> Option<PathBuf> {
    for path in everywhere(tool.name()) {
        let answer = says(&path, tool.asks_version()).await.unwrap_or_default();
        if names(&answer, tool.module().version) {
            return Some(path);
        }
    }
    None
}

/// Whether a program of that name is on PATH.
pub(crate) fn exists(name: &str) -> bool {
    everywhere(name).next().is_some()
}

fn names(answer: &str, version: &str) -> bool {
    answer.split(|c: char| !c.is_ascii_digit() && c != '.').any(|number| number == version)
}

fn everywhere(name: &str) -> impl Iterator<Item = PathBuf> {
    let folders: Vec<PathBuf> = env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    folders.into_iter().map(move |folder| folder.join(name)).filter(|path| path.is_absolute() && path.is_file())
}

async fn says(binary: &Path, argument: &str) -> Option<String> {
    let run = Command::new(binary).arg(argument).kill_on_drop(true).output();
    let output = tokio::time::timeout(ANSWERS_WITHIN, run).await.ok()?.ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_version_is_recognised_as_a_whole() {
        assert!(names("nats-server: v2.15.2\n", "2.15.2"));
        assert!(names("{\"gitVersion\":\"v1.62.0\"}", "1.62.0"));
        assert!(!names("nats-server: v2.15.20", "2.15.2"));
        assert!(!names("", "2.15.2"));
    }
}
