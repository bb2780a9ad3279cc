use std::io;
use std::path::PathBuf;

use faultline_agent::units::TimeSpan;

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// It waits for one that is not there.
    #[error("service `{name}` starts after `{missing}`, which is no service of this experiment")]
    Unknown {
        /// Which.
        name: String,
        /// For whom it waits.
        missing: String,
    },
    /// They wait for each other.
    #[error("services {} wait for each other in a circle", quoted(.names))]
    Circle {
        /// Which.
        names: Vec<String>,
    },
    /// Its user is not there.
    #[error("service `{name}` shall run as user `{user}`, who does not exist on this host")]
    NoSuchUser {
        /// Which.
        name: String,
        /// Whose rights it should get.
        user: String,
    },
    /// Only root can switch users.
    #[error("service `{name}` shall run as user `{user}`, which only root can arrange")]
    NotRoot {
        /// Which.
        name: String,
        /// Whose rights it should get.
        user: String,
    },
    /// A folder or file for it could not be made.
    #[error("cannot make {} for service `{name}`: {source}", path.display())]
    Folder {
        /// Which.
        name: String,
        /// What could not be made.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// No process could be started for it.
    #[error("cannot start service `{name}`: {source}")]
    Start {
        /// Which.
        name: String,
        /// The reason.
        source: io::Error,
    },
    /// It ended before it was up.
    #[error("service `{name}` {how} before it was up{}", ending(.output))]
    Ended {
        /// Which.
        name: String,
        /// How.
        how: String,
        /// The last lines that it wrote.
        output: String,
    },
    /// It was not up in time.
    #[error("service `{name}` was not up within {within}: {missing}{}", ending(.output))]
    NotUp {
        /// Which.
        name: String,
        /// In which time.
        within: TimeSpan,
        /// What was missing at the last look.
        missing: String,
        /// The last lines that it wrote.
        output: String,
    },
}

impl ServiceError {
    /// Whether the document is wrong, rather than something on this host.
    pub fn is_of_the_document(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Circle { .. })
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "`after` takes the names of other services of the same document",
            Self::Circle { .. } => "remove one of their `after`",
            Self::NoSuchUser { .. } => "install the package that makes this user, or name another one",
            Self::NotRoot { .. } => "run as root, or leave out `user`",
            Self::Folder { .. } => "see that the folder can be written and has space, or choose another with --state",
            Self::Start { .. } => "see that there is memory and room for another process (`ulimit -u`)",
            Self::Ended { .. } => "a service must stay in the foreground; try its command by hand",
            Self::NotUp { .. } => "check `ready`, or give it longer with `within`",
        }
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn ending(output: &str) -> String {
    if output.is_empty() {
        "; it wrote nothing".into()
    } else {
        format!("; its output ends with:\n    {}", output.replace('\n', "\n    "))
    }
}
