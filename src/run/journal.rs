//! The run's journal: one JSON object a line, appended from the run's first moment. A report, and a second judgement,
//! need nothing else.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use faultline_agent::identity::FaultId;
pub use faultline_agent::node::UndoneStep;
use faultline_agent::plan::{Evidence, Plan};

use crate::experiment::document::{Experiment, WHOLE_HOST};
use crate::hypothesis::verdict::{ObjectiveVerdict, RunVerdict};
use crate::signals::sample::Sample;
use crate::slo::budget::BudgetState;
use crate::targets::hosts::HostEvent;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// Seconds since the run began.
    pub at: f64,
    /// What happened.
    pub event: Event,
}

/// The states of a run, in the design's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Nothing has happened yet.
    Planned,
    /// The baseline is taken and judged.
    Steady,
    /// A fault is being applied.
    Injecting,
    /// The fault is applied; its effect is not proven yet.
    Biting,
    /// The fault acts; the signals are watched.
    Watching,
    /// The fault is being undone.
    Undoing,
    /// Undone and verified; waiting for the signals to be steady again.
    Recovering,
    /// Finished.
    Judged,
}

/// What can happen in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The run began.
    Started(Box<Started>),
    /// The run entered a state.
    State {
        /// Which.
        state: RunState,
        /// Why, where that is not plain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    },
    /// A service of the run changed.
    Service {
        /// Its name.
        name: String,
        /// What became of it: `up after 120 ms`, `exited with code 1`, `taken down`.
        change: String,
    },
    /// A sample was taken.
    Sample(Sample),
    /// A fault was planned.
    Planned {
        /// The name of the target in the document, or `host`.
        target: String,
        /// The host on which it acts; nothing for the host of the run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// The plan.
        plan: Box<Plan>,
    },
    /// A fault is in place.
    Injected {
        /// Which.
        fault: FaultId,
        /// From the command to the last step in place, in seconds.
        took: f64,
    },
    /// A fault could not be put in place; what was done of it was undone.
    InjectionFailed {
        /// Which.
        fault: FaultId,
        /// Why, with its hint.
        reason: String,
    },
    /// What a fault was measured to do.
    Evidence {
        /// Which.
        fault: FaultId,
        /// The measures.
        evidence: Evidence,
    },
    /// A fault was undone, or could not be.
    Undone {
        /// Which.
        fault: FaultId,
        /// One line a step: what was found and done.
        steps: Vec<UndoneStep>,
        /// Whether the host was seen to be as before.
        verified: bool,
        /// How long it took, in seconds.
        took: f64,
    },
    /// Something happened to a host of the fleet.
    Host {
        /// Which.
        host: String,
        /// What.
        what: HostEvent,
        /// The same in words, and what follows from it.
        note: String,
        /// The faults that can no longer be taken to be in place there, or will never be put there.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lost: Vec<FaultId>,
    },
    /// The fleet is not as it was when the plan was made and approved.
    Drifted {
        /// One sentence a difference.
        differences: Vec<String>,
    },
    /// Something of the run itself is still there: a process of a service, a scratch folder.
    LeftBehind {
        /// What.
        what: String,
    },
    /// What was left of the error budget of which the run may spend some.
    Budget(Box<BudgetState>),
    /// A guardrail was breached.
    Breached {
        /// The guardrail, judged.
        guardrail: Box<ObjectiveVerdict>,
    },
    /// Somebody or something ended the run early.
    Stopped {
        /// Who or what: `interrupted (SIGINT)`, `halted: reason`.
        by: String,
    },
    /// Everything was steady again, so many seconds after the undo.
    Recovered {
        /// Seconds since the last undo.
        after: f64,
    },
    /// The objectives, judged.
    Judged {
        /// Each objective in each phase.
        objectives: Vec<ObjectiveVerdict>,
    },
    /// The run ended.
    Finished {
        /// Its verdict.
        verdict: RunVerdict,
        /// In one sentence, why.
        because: String,
    },
}

impl RunState {
    /// Its entry's kind: `state-` and the word in the journal.
    const fn kind(self) -> &'static str {
        match self {
            Self::Planned => "state-planned",
            Self::Steady => "state-steady",
            Self::Injecting => "state-injecting",
            Self::Biting => "state-biting",
            Self::Watching => "state-watching",
            Self::Undoing => "state-undoing",
            Self::Recovering => "state-recovering",
            Self::Judged => "state-judged",
        }
    }
}

impl Event {
    /// Which kind of entry it is, in one word: as in the journal, and each state is a kind of its own.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Started(_) => "started",
            Self::State { state, .. } => state.kind(),
            Self::Service { .. } => "service",
            Self::Sample(_) => "sample",
            Self::Planned { .. } => "planned",
            Self::Injected { .. } => "injected",
            Self::InjectionFailed { .. } => "injection-failed",
            Self::Evidence { .. } => "evidence",
            Self::Undone { .. } => "undone",
            Self::LeftBehind { .. } => "left-behind",
            Self::Budget(_) => "budget",
            Self::Breached { .. } => "breached",
            Self::Stopped { .. } => "stopped",
            Self::Recovered { .. } => "recovered",
            Self::Judged { .. } => "judged",
            Self::Host { .. } => "host",
            Self::Drifted { .. } => "drifted",
            Self::Finished { .. } => "finished",
        }
    }
}

/// What a fault meets, in words: the target by its name in the document, and the host where there are several.
pub fn met(target: &str, host: Option<&str>) -> String {
    match host {
        None => target.to_owned(),
        Some(host) if target == WHOLE_HOST => host.to_owned(),
        Some(host) => format!("{target} of {host}"),
    }
}

/// How a run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Started {
    /// The run's id.
    pub run: String,
    /// The program's version.
    pub version: String,
    /// The host's name and kernel.
    pub host: String,
    /// The wall clock at the start, RFC 3339; everything else counts seconds from here.
    pub time: String,
    /// The seed that the run uses.
    pub seed: u64,
    /// The document as parsed, after `--set`.
    pub experiment: Experiment,
    /// The file that it came from.
    pub file: String,
    /// Whether everything was done but the faults' own steps: nothing was injected, and what was judged is the system as it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub placebo: bool,
    /// On a fleet, the hosts of each injection of the method, in the order of the document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Vec<String>>,
}

impl Started {
    /// How many faults the run asks for: each injection on each of its hosts.
    pub fn faults_asked(&self) -> usize {
        let here = self.experiment.spec.injections().count();
        if self.hosts.is_empty() { here } else { self.hosts.iter().map(Vec::len).sum() }
    }
}
