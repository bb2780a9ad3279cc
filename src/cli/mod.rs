//! The command line: one file a subcommand. Printing happens only here.
#![allow(clippy::print_stderr, reason = "errors are printed here")]

pub mod sample;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "faultline", version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Sample(sample::Arguments),
}

/// Parses the arguments and runs the subcommand.
pub fn main() -> ExitCode {
    let done = match CommandLine::parse().command {
        Command::Sample(arguments) => sample::run(arguments),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(1)
    })
}
