//! What the one binary does when an executor of plugin `process` calls it: `supervise FOLDER`, `confined FOLDER SUPERVISOR`.

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["supervise", folder] => switchyard_executor::supervise(Path::new(folder)),
        ["confined", folder, supervisor] => {
            switchyard_executor::confined(Path::new(folder), supervisor.parse().unwrap_or_default())
        }
        _ => ExitCode::FAILURE,
    }
}
