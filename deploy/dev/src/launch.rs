//! What to run: a program, its arguments, its environment, its folder.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::StartError;

const WRAPPER: &str = include_str!("wrapper.sh");

/// What to run, and where.
#[derive(Clone, Debug)]
pub struct Launch {
    name: String,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: PathBuf,
}

impl Launch {
    /// Names a program to be run in `folder`, where its output goes to `<name>.log`.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>, folder: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), program: program.into(), arguments: Vec::new(), environment: Vec::new(), folder: folder.into() }
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds a variable to the environment, which is otherwise inherited.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Its name, as it stands in errors and in the name of its log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that its output is appended to.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    /// Starts the wrapper around the program.
    pub(crate) fn spawn(&self) -> Result<Child, StartError> {
        let io = |source| StartError::Spawn { name: self.name.clone(), source };
        let log = OpenOptions::new().create(true).append(true).open(self.log()).map_err(io)?;
        Command::new("/bin/sh")
            .arg("-c")
            .arg(WRAPPER)
            .arg(&self.name)
            .arg(&self.program)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            // Its own group: Ctrl-C in the terminal reaches only the parent, which then stops its children in order.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(io)
    }
}
