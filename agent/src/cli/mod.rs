//! The command line of the agent: one file a subcommand. Printing happens only here.

mod config;
mod doctor;
mod enrol;
mod fingerprint;
mod halt;
mod labels;
mod list;
mod output;
mod recover;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use faultline_agent::state::StateFolder;

/// Exit code: the host is not as it was.
pub(crate) const DIFFERS: u8 = 1;
/// Exit code: the arguments make no sense.
const USAGE: u8 = 2;
/// Exit code: what the command needs is not there.
pub(crate) const PRECONDITION: u8 = 3;
/// Exit code: something may be left on the host.
pub(crate) const STUCK: u8 = 7;

/// The part of Faultline that touches a host.
#[derive(Debug, Parser)]
#[command(
    name = "faultline-agent",
    version,
    after_help = "Exit codes: 0 done, 1 the fingerprint differs, 2 usage wrong, 3 precondition, 7 something is left on this host and needs a person.",
    disable_help_subcommand = true,
    max_term_width = 110
)]
struct CommandLine {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every subcommand understands.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The folder of the fault journal [default: $FAULTLINE_STATE, else /var/lib/faultline for root and
    /// $XDG_STATE_HOME/faultline for anybody else]
    #[arg(long, global = true, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

impl Global {
    fn state(&self) -> Result<StateFolder, Failure> {
        StateFolder::resolve(self.state.as_deref())
            .map_err(|error| Failure { hint: Some(error.hint.clone()), ..Failure::of(&error) })
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Connect to the controller and do what it asks, within the bounds of this host's policy
    Run(run::Arguments),
    /// Make this host an agent of a controller, by a one-time token
    Enrol(enrol::Arguments),
    /// Undo what a crash left, and report it
    Recover,
    /// List the faults that are, or may be, in place
    List,
    Halt(halt::Arguments),
    /// Tell what can be injected on this host, what cannot, and why
    Doctor,
    /// Print every piece of host state that a fault can change
    Fingerprint(fingerprint::Arguments),
}

/// Why a subcommand failed, to be printed once.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    hint: Option<String>,
}

impl Failure {
    fn of(error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(&format!("\n  caused by: {error}"));
            cause = error.source();
        }
        Self { message, hint: None }
    }
}

/// Is the guard if asked to be one, else parses the arguments and runs the subcommand.
pub(crate) fn main() -> ExitCode {
    if let Some(report) = faultline_agent::guard::enter_if_asked() {
        for line in report.lines() {
            output::tell(&format!("faultline guard: {line}"));
        }
        return if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(STUCK) };
    }
    let CommandLine { global, command } = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let ended = match command {
        Command::Run(arguments) => run::run(&global, arguments),
        Command::Enrol(arguments) => enrol::run(&global, arguments),
        Command::Recover => recover::run(&global),
        Command::List => list::run(&global),
        Command::Halt(arguments) => halt::run(&global, &arguments),
        Command::Doctor => doctor::run(&global),
        Command::Fingerprint(arguments) => fingerprint::run(&global, arguments),
    };
    ended.unwrap_or_else(|Failure { message, hint }| {
        output::tell(&format!("error: {message}"));
        if let Some(hint) = hint {
            output::tell(&format!("hint: {hint}"));
        }
        ExitCode::from(PRECONDITION)
    })
}
