//! How far a run is: a bar on a terminal, a line for each step in a log. On standard error, so that results can be piped.

use std::{
    cell::Cell,
    io::{IsTerminal, Write, stderr},
    time::Duration,
};

/// How wide the bar is.
const WIDTH: usize = 24;

/// Tells how far a run is.
pub(crate) struct Progress {
    terminal: bool,
    steps: usize,
    done: Cell<usize>,
    quiet: bool,
}

impl Progress {
    /// Of so many steps.
    pub(crate) fn new(steps: usize, quiet: bool) -> Self {
        Self { terminal: stderr().is_terminal(), steps, done: Cell::new(0), quiet }
    }

    /// A step begins, or says what it is at.
    pub(crate) fn at(&self, step: &str, what: &str) {
        if self.terminal && !self.quiet {
            let full = (self.done.get() * WIDTH / self.steps.max(1)).min(WIDTH);
            let bar = format!("{}{}", "█".repeat(full), "░".repeat(WIDTH - full));
            let _ = write!(stderr(), "\r\x1b[K{bar} {}/{} {step} {what}", self.done.get(), self.steps);
        }
    }

    /// A command of the user's takes over the screen.
    pub(crate) fn aside(&self, step: &str, what: &str) {
        if !self.quiet {
            self.clear();
            let _ = writeln!(stderr(), "{step}: {what}");
        }
    }

    /// A step has ended.
    pub(crate) fn done(&self, step: &str, what: &str, cached: bool, took: Duration) {
        self.done.set(self.done.get() + 1);
        if !self.quiet {
            self.clear();
            let how = if cached { "kept from before".to_owned() } else { format!("{:.1} s", took.as_secs_f64()) };
            let _ = writeln!(stderr(), "{step}: {what} ({how})");
            self.at("", "");
        }
    }

    /// The end.
    pub(crate) fn clear(&self) {
        if self.terminal && !self.quiet {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
