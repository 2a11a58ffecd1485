//! The program of a training build: everything that touches data or a model's store.

use std::process::ExitCode;

fn main() -> ExitCode {
    switchyard_pipeline::main()
}
