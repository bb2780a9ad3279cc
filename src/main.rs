//! The `faultline` command: parse the arguments, run the subcommand, answer with its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    faultline::cli::main()
}
