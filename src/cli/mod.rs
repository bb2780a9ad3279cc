//! The command line: one file a subcommand. Printing happens only here.

use std::process::ExitCode;

/// Parses the arguments and runs the subcommand.
pub fn main() -> ExitCode {
    ExitCode::from(2)
}
