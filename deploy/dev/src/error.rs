//! What can go wrong on the way to a running stack.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::process::Exit;
use crate::tools::ToolError;

/// Why a server of the stack did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A binary could not be found or built.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The operating system did not start the process.
    #[error("start {name}")]
    Spawn {
        /// The server.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file of the stack's folder could not be written or read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No port of 127.0.0.1 could be bound.
    #[error("no free port on 127.0.0.1 between {from} and {to}")]
    NoPort {
        /// The lowest port that was looked at.
        from: u16,
        /// The highest.
        to: u16,
    },
    /// A name that would change the meaning of a permission or of a file.
    #[error("the name {0:?} of an executor, tenant or namespace must be lower-case letters, digits and dashes")]
    Name(String),
    /// The server ended before it was ready.
    #[error("{name} ended with {exit} before it was ready; its log ends:\n{log}")]
    Exited {
        /// The server.
        name: String,
        /// How it ended.
        exit: Exit,
        /// The last lines of its log.
        log: String,
    },
    /// The server runs, but was not ready in time.
    #[error("{name} was not ready after {after:?} ({why}); its log ends:\n{log}")]
    NotReady {
        /// The server.
        name: String,
        /// How long it was given.
        after: Duration,
        /// What was missing at the last look.
        why: String,
        /// The last lines of its log.
        log: String,
    },
    /// The control plane runs, but cannot be set up.
    #[error("{what}: {why}")]
    ControlPlane {
        /// What was being done.
        what: String,
        /// The answer.
        why: String,
    },
}

impl StartError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    pub(crate) fn control_plane<E: ToString>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |why| Self::ControlPlane { what, why: why.to_string() }
    }
}

/// Checks a name that becomes part of subjects, permissions and object names.
pub(crate) fn checked(name: &str) -> Result<&str, StartError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
        return Err(StartError::Name(name.to_owned()));
    }
    Ok(name)
}
