//! What every subcommand understands, and how the log and colours follow from it.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

use crate::document::set::Setting;

/// Flags before or after any subcommand.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Where Faultline keeps its own files on this host [default: /var/lib/faultline for root, else
    /// $XDG_STATE_HOME/faultline]
    #[arg(long, global = true, value_name = "DIR", env = "FAULTLINE_STATE", hide_env = true, help_heading = "Global")]
    pub state: Option<PathBuf>,
    /// When to use colours; they never carry meaning alone
    #[arg(
        long = "color",
        alias = "colour",
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        help_heading = "Global"
    )]
    pub colour: Colour,
    /// Say more on standard error; twice for details, thrice for everything
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet", help_heading = "Global")]
    pub verbose: u8,
    /// Say nothing on standard error but errors
    #[arg(short, long, global = true, help_heading = "Global")]
    pub quiet: bool,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// A flag for subcommands that print data.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct DataFormat {
    /// Print JSON for other programs instead of text for people
    #[arg(long, global = true)]
    pub json: bool,
}

/// How runs are made: flags of every subcommand that makes some. Where one of them means more to a subcommand, that one says so
/// by `mut_arg`.
#[derive(Debug, Clone, Default, Args)]
pub struct RunFlags {
    /// Change a value of the document, as in `spec.method[1].inject.for=5s`; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<Setting>,
    /// The seed of everything left to chance, instead of the document's
    #[arg(long)]
    pub seed: Option<u64>,
    /// Print the plan and touch nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Make the folders of runs below this one instead of in the state folder
    #[arg(long, value_name = "DIR", conflicts_with = "controller")]
    pub out: Option<PathBuf>,
}

impl Global {
    /// Whether text for standard output may have colours.
    pub fn colour_on_stdout(&self) -> bool {
        self.colour.applies_to(std::io::stdout().is_terminal())
    }

    /// Whether text for standard error may have colours.
    pub fn colour_on_stderr(&self) -> bool {
        self.colour.applies_to(std::io::stderr().is_terminal())
    }

    /// Sends the log to standard error: warnings unless told otherwise by `-v`, `-q` or `FAULTLINE_LOG`. Of a service, which
    /// nobody watches, it is more, with the time, and one JSON object a line.
    pub fn start_log(&self, of_a_service: bool) {
        let level = match (self.quiet, self.verbose + u8::from(of_a_service)) {
            (true, _) => LevelFilter::ERROR,
            (false, 0) => LevelFilter::WARN,
            (false, 1) => LevelFilter::INFO,
            (false, 2) => LevelFilter::DEBUG,
            (false, _) => LevelFilter::TRACE,
        };
        let filter = EnvFilter::builder().with_default_directive(level.into());
        let filter = match std::env::var("FAULTLINE_LOG") {
            Ok(directives) if !directives.is_empty() => filter.parse_lossy(directives),
            _ => filter.parse_lossy(""),
        };
        if of_a_service {
            let log = tracing_subscriber::fmt().json().flatten_event(true).with_writer(std::io::stderr);
            let _ = log.with_env_filter(filter).try_init();
            return;
        }
        let log = tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_target(self.verbose > 1)
            .without_time()
            .with_env_filter(filter);
        // Fails only if a log was started before, as by a test in the same process; that one then serves.
        let _ = log.try_init();
    }
}

impl Colour {
    /// See <https://no-color.org>: set and not empty means no colours, unless the flag asks for them.
    fn applies_to(self, is_terminal: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                is_terminal
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;
    use crate::cli::{find_limit, gate, run};

    #[test]
    fn flags_for_runs_say_what_they_mean_to_each_command() {
        let mut told = String::new();
        for command in [
            run::Arguments::augment_args(Command::new("run")),
            gate::Arguments::augment_args(Command::new("gate")),
            find_limit::Arguments::augment_args(Command::new("find-limit")),
        ] {
            for flag in ["set", "seed", "dry_run", "out"] {
                let flag = command.get_arguments().find(|argument| argument.get_id() == flag).unwrap();
                let (long, help) = (flag.get_long().unwrap(), flag.get_help().unwrap());
                let heading = flag.get_help_heading().unwrap_or("Options");
                told += &format!("{}, {heading}: --{long}  {help}\n", command.get_name());
            }
        }
        insta::assert_snapshot!(told, @r"
        run, Options: --set  Change a value of the document, as in `spec.method[1].inject.for=5s`; may be given several times
        run, Options: --seed  The seed of everything left to chance, instead of the document's
        run, Options: --dry-run  Print the plan and touch nothing
        run, Options: --out  Make the folders of runs below this one instead of in the state folder
        gate, Options: --set  Change a value of every document first, as `faultline run --set` does
        gate, Options: --seed  The seed of everything left to chance, instead of the documents'
        gate, Options: --dry-run  Say what would run, how long it takes and what does not run beside one another; touch nothing
        gate, Running: --out  Make the folders of runs below this one instead of in the state folder
        find-limit, Options: --set  Change a value of the document first, as `faultline run --set` does
        find-limit, Options: --seed  The seed of everything left to chance, instead of the document's
        find-limit, Options: --dry-run  Say how many runs there may be, how long they take and which doses come first; touch nothing
        find-limit, Search: --out  Make the folders of runs below this one instead of in the state folder
        ");
        let help = run::Arguments::augment_args(Command::new("run")).term_width(100).render_help().to_string();
        let place = |flag: &str| help.find(&format!("      --{flag}")).unwrap();
        let order = ["set", "seed", "dry-run", "placebo", "out", "junit"].map(place);
        assert!(order.is_sorted(), "{help}");
    }
}
