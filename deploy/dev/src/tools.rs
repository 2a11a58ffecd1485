//! The servers' binaries: found, or built once from the versions pinned in `tools/<module>/go.mod`.

mod build;
mod find;
mod module;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::process::Exit;
use build::Pace;

/// A server that the stack can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tool {
    /// nats-server.
    NatsServer,
    /// etcd.
    Etcd,
    /// kube-apiserver.
    KubeApiserver,
    /// kube-scheduler.
    KubeScheduler,
    /// kwok, which simulates nodes and pods.
    Kwok,
    /// Jaeger, all in one.
    Jaeger,
    /// Helm, for the test of the chart.
    Helm,
}

/// Why there is no binary of a tool.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The environment names a binary that is not there.
    #[error("{variable} names {}, which is not a file", path.display())]
    NotAFile {
        /// The variable.
        variable: &'static str,
        /// What it says.
        path: PathBuf,
    },
    /// There is no Go to build with.
    #[error(
        "building {tool} {version} needs Go 1.26 or newer, and there is no `go` on PATH: install it from https://go.dev/dl, or let {variable} name a {tool} {version} binary"
    )]
    NoGo {
        /// The binary.
        tool: &'static str,
        /// The version wanted.
        version: &'static str,
        /// What to set instead.
        variable: &'static str,
    },
    /// There is nowhere to keep what is built.
    #[error("nowhere to keep built tools: set XDG_CACHE_HOME or HOME")]
    NoCache,
    /// `go build` failed.
    #[error("building {module} {version} failed with {exit}; its output ends:\n{log}")]
    Build {
        /// The Go module.
        module: &'static str,
        /// The version wanted.
        version: &'static str,
        /// How the build ended.
        exit: Exit,
        /// The last lines of its output.
        log: String,
    },
    /// A file of the cache could not be written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The build could not be started.
    #[error("start `go build`: {0}")]
    Go(String),
}

impl ToolError {
    fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

/// Where the binaries are.
#[derive(Clone, Debug, Default)]
pub struct Tools {
    paths: HashMap<Tool, PathBuf>,
}

impl Tools {
    /// Finds each tool, or builds it, which takes minutes the first time; stderr says what is being built.
    ///
    /// Looked at in this order: the variable `SWITCHYARD_<TOOL>`, a binary of the pinned version on PATH, the user's cache.
    ///
    /// # Errors
    /// When a tool is neither there nor can be built.
    pub async fn ready(wanted: &[Tool]) -> Result<Self, ToolError> {
        Self::find(wanted, Pace::Told).await
    }

    /// The same, but what has to be built is built without a word and with low priority, while other things go on.
    ///
    /// # Errors
    /// When a tool is neither there nor can be built.
    pub async fn ready_in_the_background(wanted: &[Tool]) -> Result<Self, ToolError> {
        Self::find(wanted, Pace::Background).await
    }

    /// Whether all of them are there, so that nothing has to be built.
    pub async fn are_there(wanted: &[Tool]) -> bool {
        for tool in wanted {
            let given = matches!(find::given(*tool), Ok(Some(_)));
            if !given && build::built(*tool).is_none() && find::on_path(*tool).await.is_none() {
                return false;
            }
        }
        true
    }

    async fn find(wanted: &[Tool], pace: Pace) -> Result<Self, ToolError> {
        let mut paths = HashMap::new();
        for tool in wanted {
            let path = match find::given(*tool)? {
                Some(path) => path,
                None => match find::on_path(*tool).await {
                    Some(path) => path,
                    None => build::cached(*tool, pace).await?,
                },
            };
            paths.insert(*tool, path);
        }
        Ok(Self { paths })
    }

    /// The binary of a tool; the bare name if [`Tools::ready`] was not asked for it.
    #[must_use]
    pub fn path(&self, tool: Tool) -> &Path {
        self.paths.get(&tool).map_or_else(|| Path::new(tool.name()), PathBuf::as_path)
    }
}
