//! The switchyard command: every service, the development stack and the tools to look at builds.

mod health;
mod measure;
mod provision;
mod services;
mod source;
mod tools;
mod up;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use switchyard_runtime::Settings;

/// Turns CI events on NATS into builds in Kata containers, and sees every one of them to its end.
#[derive(Parser)]
#[command(version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Chooses the executor of each build.
    Router(Service<switchyard_router::Args>),
    /// Creates one pod per build that is routed to an executor.
    Launcher(Service<services::LauncherArgs>),
    /// Keeps the time limits of an executor's builds, reports how they went, and buries them.
    Reaper(Service<services::ReaperArgs>),
    /// Watches what models see, and has them trained again when it has changed.
    Trainer(Service<switchyard_trainer::Args>),
    /// Makes the streams, buckets and consumers, and brings those that exist up to date.
    Provision(Service<provision::Args>),
    /// Starts everything on this machine: NATS, Jaeger and every service; builds are processes, or pods of a simulated cluster.
    Up(up::Args),
    /// Sees to one build of an executor of plugin `process`.
    #[command(hide = true)]
    Supervise {
        /// The build's folder.
        folder: PathBuf,
    },
    /// Becomes a build of an executor of plugin `process`, within its limits.
    #[command(hide = true)]
    Confined {
        /// The build's folder.
        folder: PathBuf,
        /// The process id of its supervisor.
        supervisor: i32,
    },
    /// Checks, applies and shows the fleet that the services work by.
    Config(tools::config::Args),
    /// Checks, applies and shows model files: what models are made from, watched by, and trained again for.
    Model(tools::model::Args),
    /// Says where a build goes, or went, and why: every executor, what speaks against it, and what it draws.
    Explain(tools::Told<tools::explain::Args>),
    /// Routes recorded requests by the fleet that holds and by another, and says what would move. Publishes nothing.
    Simulate(tools::Told<tools::simulate::Args>),
    /// Trains a model as its file declares, compares runs, applies a preprocessing: hands over to `switchyard-pipeline`.
    Pipeline(tools::pipeline::Args),
    /// Publishes events and build files, and says each one's id, build and trace.
    Publish(tools::Told<tools::publish::Args>),
    /// Asks for builds to be stopped.
    Cancel(tools::Told<tools::cancel::Args>),
    /// Examines an executor, and proves that its builds run in virtual machines of their own.
    Doctor(tools::Told<tools::doctor::Args>),
    /// Shows builds: where they run, how far they are, how they ended and why.
    Builds(tools::Told<tools::builds::Args>),
    /// Shows the end of what a build has said.
    Logs(tools::Told<tools::logs::Args>),
    /// Shows a build's trace as a tree of spans.
    Trace(tools::Told<tools::trace::Args>),
    /// Looks once for what clocks and watches have missed, and sees to it.
    Sweep(tools::Told<tools::sweep::Args>),
    /// Lets go of all pods of an executor, when an installation is removed.
    Release(tools::Told<tools::sweep::ReleaseArgs>),
    /// Shows, replays and drops what no service could handle.
    Dead(tools::dead::Args),
}

/// What every service is told, and what only this one is.
#[derive(clap::Args)]
struct Service<A: clap::Args> {
    #[command(flatten)]
    args: A,
    #[command(flatten)]
    settings: Settings,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Router(Service { args, settings }) => services::router(&settings, &args),
        Command::Launcher(Service { args, settings }) => services::launcher(&settings, &args),
        Command::Reaper(Service { args, settings }) => services::reaper(&settings, &args),
        Command::Trainer(Service { args, settings }) => services::trainer(&settings, &args),
        Command::Provision(Service { args, settings }) => provision::run(&settings, args),
        Command::Up(args) => up::run(&args),
        Command::Supervise { folder } => switchyard_executor::supervise(&folder),
        Command::Confined { folder, supervisor } => switchyard_executor::confined(&folder, supervisor),
        Command::Config(args) => tools::config::config(&args),
        Command::Model(args) => tools::model::model(&args),
        Command::Explain(told) => tools::explain::explain(&told),
        Command::Simulate(told) => tools::simulate::simulate(&told),
        Command::Pipeline(args) => tools::pipeline::pipeline(&args),
        Command::Publish(told) => tools::publish::publish(&told),
        Command::Cancel(told) => tools::cancel::cancel(&told),
        Command::Doctor(told) => tools::doctor::doctor(&told),
        Command::Builds(told) => tools::builds::builds(&told),
        Command::Logs(told) => tools::logs::logs(&told),
        Command::Trace(told) => tools::trace::trace(&told),
        Command::Sweep(told) => tools::sweep::sweep(&told),
        Command::Release(told) => tools::sweep::release(&told),
        Command::Dead(args) => tools::dead::dead(&args),
    }
}
