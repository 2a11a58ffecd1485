//! Benchmarks against ceilings, on a real server: each says how near the real code comes to what the same machine could do at most.
//!
//! A subcommand starts its own servers, loads them for a bounded time, prints a table and ends what it started.
#![allow(clippy::print_stdout, reason = "the figures are what this program is for")]

mod broker;
mod chaos;
mod cpu;
mod decide;
mod drift;
mod figures;
mod launch;
mod route;
mod table;
mod timers;
mod traced;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures Switchyard on this machine.
#[derive(Parser)]
#[command(version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Decides, and nothing else: how many decisions a second one core makes.
    Decide(decide::Args),
    /// Routes queued builds: how many a second, next to a loop that decides nothing, and how soon at a steady rate.
    Route(route::Args),
    /// Launches routed builds: how many a second, next to a loop that only creates and ungates, and how soon at a steady rate.
    Launch(launch::Args),
    /// Kills, freezes and restarts everything while builds go through, then audits what became of them.
    Chaos(chaos::Args),
    /// Counts rows out of files and messages, and decides windows: how many a core, and how soon.
    Drift(drift::Args),
    /// Lets very many clocks run out together: how late each is, and whether each fires once although the broker dies.
    Timers(timers::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let done = match command {
        Command::Decide(args) => decide::run(&args),
        Command::Route(args) => route::run(&args).await,
        Command::Launch(args) => launch::run(&args).await,
        Command::Chaos(args) => Box::pin(chaos::run(&args)).await,
        Command::Drift(args) => drift::run(&args).await,
        Command::Timers(args) => timers::run(&args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
