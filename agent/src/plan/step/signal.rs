use std::fmt;
use std::str::FromStr;

use nix::sys::signal::Signal as Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A signal, by its name or number: `SIGTERM`, `TERM`, `15`. Written back as its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Notation", into = "String")]
pub struct Signal(Name);

impl Signal {
    /// Ends a process at once; it cannot object.
    pub const KILL: Self = Self(Name::SIGKILL);
    /// Asks a process to end.
    pub const TERMINATE: Self = Self(Name::SIGTERM);

    /// Its number on this machine.
    pub fn number(self) -> i32 {
        self.0 as i32
    }

    /// Whether its default action ends a process (`signal(7)`); stopping, continuing and ignored signals never do.
    pub fn ends(self) -> bool {
        use Name::{SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH};
        !matches!(self.0, SIGCHLD | SIGCONT | SIGSTOP | SIGTSTP | SIGTTIN | SIGTTOU | SIGURG | SIGWINCH)
    }
}

/// The two ways in which a signal is written in a document.
#[derive(Deserialize)]
#[serde(untagged)]
enum Notation {
    Number(i32),
    Name(String),
}

/// A text or number that is no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a signal, such as SIGTERM, TERM or 15")]
pub struct SignalError(String);

impl TryFrom<Notation> for Signal {
    type Error = SignalError;

    fn try_from(notation: Notation) -> Result<Self, SignalError> {
        match notation {
            Notation::Number(number) => number.to_string().parse(),
            Notation::Name(name) => name.parse(),
        }
    }
}

impl FromStr for Signal {
    type Err = SignalError;

    fn from_str(text: &str) -> Result<Self, SignalError> {
        let refuse = || SignalError(text.into());
        if let Ok(number) = text.parse::<i32>() {
            return Name::try_from(number).map(Self).map_err(|_| refuse());
        }
        let upper = text.to_ascii_uppercase();
        let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
        full.parse().map(Self).map_err(|_| refuse())
    }
}

impl From<Signal> for String {
    fn from(signal: Signal) -> Self {
        signal.to_string()
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.0.as_str())
    }
}

impl JsonSchema for Signal {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Signal".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "integer"],
            "description": "A signal by its name or number: SIGTERM, TERM or 15",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_numbers_and_writes_the_name() {
        for text in ["\"SIGTERM\"", "\"term\"", "15", "\"15\""] {
            assert_eq!(serde_json::from_str::<Signal>(text).unwrap(), Signal::TERMINATE, "{text}");
        }
        assert_eq!(serde_json::to_string(&Signal::KILL).unwrap(), "\"SIGKILL\"");
        for text in ["\"SIGNOTHING\"", "0", "-9", "99", "\"\"", "true"] {
            assert!(serde_json::from_str::<Signal>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn knows_which_ones_end_a_process() {
        let ends = |name: &str| name.parse::<Signal>().unwrap().ends();
        assert!(["KILL", "TERM", "HUP", "USR1", "SEGV", "ABRT"].into_iter().all(ends));
        assert!(!["STOP", "TSTP", "CONT", "CHLD", "WINCH", "URG"].into_iter().any(ends));
    }
}
