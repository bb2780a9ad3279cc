use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Describe, Signal};
use crate::facts::Selection;
use crate::identity::ProcessIdentity;
use crate::plan::UndoClass;
use crate::units::TimeSpan;

/// Processes to end by a signal, once or again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessKill {
    /// The processes of this round, chosen beforehand.
    pub processes: Vec<ProcessIdentity>,
    /// The signal that they get.
    pub signal: Signal,
    /// After how long those that still live get `SIGKILL`; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<TimeSpan>,
    /// How further rounds are done; one round only when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<KillAgain>,
}

/// How the rounds after the first are done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KillAgain {
    /// The time between two rounds.
    pub every: TimeSpan,
    /// How the processes of a round are chosen.
    pub selection: Selection,
    /// The seed of that choice; the number of the round is added to it.
    pub seed: u64,
    /// Processes that are never chosen, nor any from which they descend.
    pub spared: Vec<ProcessIdentity>,
    /// Which round `processes` belongs to, from 1.
    pub round: u32,
}

impl Describe for ProcessKill {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Irreversible
    }

    fn describe(&self) -> String {
        let mut line = format!("send {} to {}", self.signal, list(&self.processes));
        if let Some(grace) = self.grace {
            line.push_str(&format!(", and SIGKILL after {grace} to those that still live"));
        }
        if let Some(again) = &self.again {
            line.push_str(&format!("; choose and kill again every {}", again.every));
        }
        line
    }

    fn describe_undo(&self) -> String {
        let stays = "nothing: a killed process stays dead until its supervisor starts it again";
        if self.again.is_some() { format!("kill no more; otherwise {stays}") } else { stays.into() }
    }

    fn manual_undo(&self) -> String {
        "start the killed service again by its own means".into()
    }
}

/// `process 12` or `processes 12, 13`.
pub(super) fn list(processes: &[ProcessIdentity]) -> String {
    let numbers: Vec<_> = processes.iter().map(ToString::to_string).collect();
    let noun = if processes.len() == 1 { "process" } else { "processes" };
    format!("{noun} {}", numbers.join(", "))
}
