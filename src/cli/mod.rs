//! The command line: one file a subcommand. Printing happens only here.
//!
//! A new subcommand is a file with `pub struct Arguments` (clap derive; its documentation is the help) and
//! `pub fn run(arguments, &Global) -> anyhow::Result<ExitCode>`, one `pub mod` line here, and one line in
//! [`Command`]. Data goes to standard output by [`output::print`], everything else to standard error; errors are
//! returned and printed in one place ([`failure`]), which also chooses the exit code.

#![allow(clippy::needless_pass_by_value, reason = "a subcommand consumes its arguments, whether it needs to or not")]

pub mod agents;
pub mod audit;
pub mod budgets;
pub mod check;
pub mod client;
pub mod completions;
pub mod demo;
pub mod doctor;
pub mod failure;
pub mod faults;
pub mod find_limit;
pub mod flags;
pub mod gameday;
pub mod gate;
mod guard;
pub mod halt;
pub mod init;
pub mod judge;
pub mod keep_service;
pub mod list;
pub mod live;
pub mod man;
pub mod output;
mod panic;
pub mod plan;
pub mod recover;
pub mod report;
pub mod rotate;
pub mod run;
pub mod runs;
pub mod sample;
pub mod schedule;
pub mod schema;
pub mod score;
pub mod serve;
mod table;
pub mod token;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use flags::Global;

/// What `faultline` may be told.
#[derive(Debug, Parser)]
#[command(
    name = "faultline",
    version,
    about = "Injects real faults into running systems, judges a steady-state hypothesis, and leaves nothing behind",
    after_help = "Start with `faultline demo`. Exit codes: 0 held (or done), 1 violated, 2 document or usage wrong, \
                  3 precondition, 4 inconclusive or no data, 5 aborted and recovered, 6 fault not applied or without \
                  effect, 7 cleanup not verified, 130 interrupted and recovered.",
    disable_help_subcommand = true,
    max_term_width = 110
)]
pub struct CommandLine {
    /// What every subcommand understands.
    #[command(flatten)]
    pub global: Global,
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// Declares the subcommands: clap's enum and its dispatch.
macro_rules! commands {
    ($($kind:ident => $module:ident,)+) => {
        /// A subcommand with its arguments.
        #[derive(Debug, Subcommand)]
        pub enum Command {
            $(
                #[allow(missing_docs, reason = "each subcommand documents its own arguments, which become its help")]
                $kind($module::Arguments),
            )+
        }

        impl Command {
            fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
                match self { $(Self::$kind(arguments) => $module::run(arguments, global),)+ }
            }
        }
    };
}

// In the order of the help.
commands! {
    Run => run,
    Gate => gate,
    FindLimit => find_limit,
    Check => check,
    Plan => plan,
    Faults => faults,
    Doctor => doctor,
    List => list,
    Halt => halt,
    Recover => recover,
    Init => init,
    Report => report,
    Judge => judge,
    Score => score,
    Budgets => budgets,
    Agents => agents,
    Runs => runs,
    Schedule => schedule,
    Gameday => gameday,
    Token => token,
    Rotate => rotate,
    Audit => audit,
    Demo => demo,
    Sample => sample,
    Serve => serve,
    Schema => schema,
    Completions => completions,
    Man => man,
    KeepService => keep_service,
}

/// The whole command line as clap knows it, for completions and the manual page.
pub fn description() -> clap::Command {
    CommandLine::command()
}

/// Parses the arguments and runs the subcommand.
pub fn main() -> ExitCode {
    if let Some(code) = guard::enter_if_asked() {
        return code;
    }
    panic::announce();
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // Help and version are clap's "errors" with code 0; a closed pipe is no reason to complain about them.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(failure::USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let CommandLine { global, command } = line;
    global.start_log(matches!(command, Command::Serve(_)));
    match panic::caught(|| command.run(&global)) {
        Some(Ok(code)) => code,
        Some(Err(error)) => {
            failure::report(&error, &global);
            ExitCode::from(failure::exit_code(&error))
        }
        None => ExitCode::from(failure::UNCERTAIN),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn clap_finds_no_contradiction_in_the_command_line() {
        super::description().debug_assert();
    }
}
