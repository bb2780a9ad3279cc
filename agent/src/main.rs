//! The `faultline-agent` command: what runs on a host without a controller, and the guard.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    cli::main()
}
