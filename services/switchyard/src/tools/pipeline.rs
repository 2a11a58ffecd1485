//! `pipeline`: hands over to `switchyard-pipeline`, a program of its own, so that this one does not carry what reads data.

use std::{
    ffi::OsString,
    io::{ErrorKind, Write, stderr},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitCode},
};

/// The program.
const PROGRAM: &str = "switchyard-pipeline";

/// What is handed over.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// The command and its arguments; `--help` shows them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

/// Becomes the other program. Returns only where there is none.
pub(crate) fn pipeline(args: &Args) -> ExitCode {
    let program = beside().unwrap_or_else(|| PROGRAM.into());
    let error = Command::new(&program).args(&args.arguments).exec();
    let remedy = if error.kind() == ErrorKind::NotFound {
        "put it beside `switchyard` or on PATH: `cargo build --release --package switchyard-pipeline` makes it"
    } else {
        "it is there, and cannot be run"
    };
    let _ = writeln!(stderr(), "cannot run {}: {error}; {remedy}", program.display());
    ExitCode::FAILURE
}

/// The program in this one's folder, where it is.
fn beside() -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.with_file_name(PROGRAM);
    path.is_file().then_some(path)
}
