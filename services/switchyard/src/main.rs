//! The switchyard command: every service, the development stack and the tools to look at builds.

mod provision;
mod services;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use switchyard_runtime::Settings;

/// Turns CI events on NATS into builds in Kata containers, and sees every one of them to its end.
#[derive(Parser)]
#[command(version, max_term_width = 120)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Chooses the executor of each build.
    Router(switchyard_router::Args),
    /// Creates one pod per build that is routed to an executor.
    Launcher(services::LauncherArgs),
    /// Keeps the time limits of an executor's builds, reports how they went, and buries them.
    Reaper(switchyard_reaper::Args),
    /// Makes the streams, buckets and consumers, and brings those that exist up to date.
    Provision(provision::Args),
}

fn main() -> ExitCode {
    let Cli { settings, command } = Cli::parse();
    match command {
        Command::Router(args) => services::router(&settings, args),
        Command::Launcher(args) => services::launcher(&settings, args),
        Command::Reaper(args) => services::reaper(&settings, args),
        Command::Provision(args) => provision::run(&settings, args),
    }
}
