use std::fmt;

use serde::{Deserialize, Serialize};

use super::ceilings::CeilingUse;

/// A host that a target does not mean or did not get, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// The host.
    pub host: String,
    /// Why it was not chosen.
    pub reason: LeftOutReason,
}

/// Why a host was not chosen: the first of these that is so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum LeftOutReason {
    /// The target does not mean it.
    NotSelected {
        /// The first condition that is not true of it.
        condition: String,
    },
    /// The target names it, and the fleet has no host of this name.
    Unknown,
    /// Its agent is not connected.
    Disconnected,
    /// It is not fit.
    Unhealthy {
        /// Why, in the words of its agent.
        because: String,
    },
    /// A run may have left something on it.
    Unclean {
        /// Its name.
        host: String,
        /// That run.
        run: String,
        /// What it may have left.
        left: String,
    },
    /// Whoever runs it keeps it out of every choice.
    Protected {
        /// What its label says.
        because: String,
    },
    /// Another run has it.
    Held {
        /// That run.
        run: String,
        /// Its experiment.
        experiment: String,
    },
    /// It would go beyond a ceiling.
    Ceiling {
        /// Which one, and who had used it up.
        ceiling: CeilingUse,
    },
    /// Enough were chosen before it.
    NotPicked,
}

impl LeftOutReason {
    /// Whether the target means the host at all.
    pub fn is_selected(&self) -> bool {
        !matches!(self, Self::NotSelected { .. })
    }
}

impl fmt::Display for LeftOutReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSelected { condition } => write!(formatter, "not meant: {condition}"),
            Self::Unknown => formatter.write_str("no host of this name is known"),
            Self::Disconnected => formatter.write_str("not connected"),
            Self::Unhealthy { because } => write!(formatter, "not healthy: {because}"),
            Self::Unclean { host, run, left } => write!(
                formatter,
                "left unclean by run {run}: {left} (hint: see to it, then `faultline agents acknowledge {host} --reason \"…\"`)"
            ),
            Self::Protected { because } => match because.as_str() {
                "" | "true" => formatter.write_str("protected by its label"),
                _ => write!(formatter, "protected by its label: {because}"),
            },
            Self::Held { run, experiment } => write!(formatter, "held by run {run} of {experiment}"),
            Self::Ceiling { ceiling } => write!(formatter, "ceiling: {ceiling}"),
            Self::NotPicked => formatter.write_str("enough were picked before it"),
        }
    }
}
