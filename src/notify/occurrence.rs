//! What is told: something that happened to a run, a host, a schedule, a game day, or everything at once.
//!
//! An [`Occurrence`] is data alone. What it looks like to a receiver is for [`super::format`] to say, and who gets it for
//! [`super::settings`].

use std::collections::BTreeMap;

use faultline_agent::units::TimeSpan;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::hypothesis::verdict::RunVerdict;

/// Something that happened, and that others may want to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Occurrence {
    /// What it is known by, made of what happened to whom: telling the same again, after a crash too, tells it once. It
    /// has letters, digits, `-`, `_`, `/` and `%`, no dot.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// The labels of the document (experiment, schedule, game day) or of the host that it is about.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What happened.
    pub what: What,
}

/// A run, as others know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunSubject {
    /// Its id.
    pub id: String,
    /// The experiment's name.
    pub experiment: String,
    /// The hosts on which it acts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

/// One fault on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultSubject {
    /// Its id, the same in the agent's journal.
    pub id: String,
    /// Its name in the catalogue: `network-latency`.
    pub name: String,
    /// The host.
    pub host: String,
    /// What it does there, in a few words: `delay 100ms on port 5432`.
    pub dose: String,
}

/// Who or what ended a run before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoppedBy {
    /// A guardrail was breached: the system was about to be hurt.
    Guardrail,
    /// Everything was halted.
    Halt,
    /// A person or a program asked for it.
    Request,
    /// The controller and the agent lost each other for longer than the lease.
    LostLease,
    /// It took longer than it may.
    TimeBox,
}

/// What becomes of a step of a game day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// It has begun.
    Started,
    /// It waits for people: a checklist, a hold point, an approval.
    Holding,
    /// It is done as planned.
    Done,
    /// It was left out.
    Skipped,
    /// It ended otherwise than planned.
    Failed,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum What {
    /// A run was asked for and waits to be started.
    #[serde(rename = "run.queued")]
    RunQueued {
        /// The run.
        run: RunSubject,
        /// Who asked for it.
        requested_by: String,
    },
    /// A run waits for approvals of its plan.
    #[serde(rename = "run.waiting-for-approval")]
    RunWaitingForApproval {
        /// The run.
        run: RunSubject,
        /// Who asked for it.
        requested_by: String,
        /// The hash of the plan to be approved.
        plan_hash: String,
        /// How many approvals it needs.
        approvals_needed: u32,
        /// When it is cancelled if they are not there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
    },
    /// A run never started and will not.
    #[serde(rename = "run.cancelled")]
    RunCancelled {
        /// The run.
        run: RunSubject,
        /// Why.
        because: String,
    },
    /// A run began.
    #[serde(rename = "run.started")]
    RunStarted {
        /// The run.
        run: RunSubject,
        /// Who asked for it.
        requested_by: String,
        /// What is to be shown, as the document says it.
        hypothesis: String,
    },
    /// A fault acts.
    #[serde(rename = "fault.injected")]
    FaultInjected {
        /// Its run.
        run: RunSubject,
        /// The fault.
        fault: FaultSubject,
    },
    /// An objective that guards the system was breached; the run aborts and undoes.
    #[serde(rename = "guardrail.breached")]
    GuardrailBreached {
        /// The run.
        run: RunSubject,
        /// The guardrail in a few words: `checkout: errors below 5%`.
        guardrail: String,
        /// What was measured.
        because: String,
    },
    /// A fault was undone, and that was verified.
    #[serde(rename = "fault.undone")]
    FaultUndone {
        /// Its run.
        run: RunSubject,
        /// The fault.
        fault: FaultSubject,
        /// From when on it acted.
        since: Timestamp,
    },
    /// A fault cannot be undone by the agent: a person must.
    #[serde(rename = "fault.stuck")]
    FaultStuck {
        /// Its run, where it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunSubject>,
        /// The fault.
        fault: FaultSubject,
        /// Why.
        because: String,
        /// The command by which a person undoes it on the host.
        command: String,
    },
    /// It was not verified that everything of a run is undone.
    #[serde(rename = "run.cleanup-not-verified")]
    CleanupNotVerified {
        /// The run.
        run: RunSubject,
        /// The hosts of which it is not known.
        hosts: Vec<String>,
        /// Why.
        because: String,
    },
    /// What was stuck or not verified is undone after all.
    #[serde(rename = "run.cleaned-up")]
    CleanedUp {
        /// The run.
        run: RunSubject,
        /// How that is known.
        because: String,
    },
    /// A run has its verdict.
    #[serde(rename = "run.finished")]
    RunFinished {
        /// The run.
        run: RunSubject,
        /// The verdict.
        verdict: RunVerdict,
        /// The verdict's reason, in one sentence.
        because: String,
        /// When it began.
        started_at: Timestamp,
        /// Who or what ended it before its time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stopped_by: Option<StoppedBy>,
    },
    /// Everything was halted: what acts is undone, nothing new starts.
    #[serde(rename = "halt.set")]
    HaltSet {
        /// Who halted.
        by: String,
        /// Why.
        reason: String,
        /// How many runs were stopped.
        stopped: u64,
        /// How many were cancelled before they began.
        cancelled: u64,
    },
    /// The halt was released.
    #[serde(rename = "halt.released")]
    HaltReleased {
        /// Who released it.
        by: String,
        /// When it had been set.
        since: Timestamp,
        /// Why it had been set.
        reason: String,
    },
    /// An agent is no longer heard of. It undoes alone what is active on its host.
    #[serde(rename = "agent.vanished")]
    AgentVanished {
        /// The host.
        host: String,
        /// When it was last heard of.
        last_seen: Timestamp,
        /// How many faults were active on it then.
        active_faults: u32,
    },
    /// An agent that had vanished is heard of again.
    #[serde(rename = "agent.returned")]
    AgentReturned {
        /// The host.
        host: String,
        /// When it was last heard of before it vanished.
        last_seen: Timestamp,
    },
    /// A schedule did not fire at one of its times.
    #[serde(rename = "schedule.missed")]
    ScheduleMissed {
        /// The schedule's name.
        schedule: String,
        /// The time.
        slot: Timestamp,
        /// Why.
        because: String,
    },
    /// A game day began.
    #[serde(rename = "game-day.started")]
    GameDayStarted {
        /// The id of this holding of it.
        id: String,
        /// The document's name.
        game_day: String,
        /// Its title.
        title: String,
        /// Who leads it.
        by: String,
    },
    /// Something became of a step of a game day.
    #[serde(rename = "game-day.step")]
    GameDayStep {
        /// The id of this holding of it.
        id: String,
        /// The document's name.
        game_day: String,
        /// The step's name.
        step: String,
        /// What became of it.
        state: StepState,
        /// What people should know or do now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A game day ended.
    #[serde(rename = "game-day.finished")]
    GameDayFinished {
        /// The id of this holding of it.
        id: String,
        /// The document's name.
        game_day: String,
        /// What was found, in one sentence.
        summary: String,
    },
}

/// How much is lost when it is not told. A full queue drops the least important first, of those the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Importance {
    /// A step on the way, of which the end tells too.
    Detail,
    /// What somebody may wait for.
    Ordinary,
    /// What somebody must know or decide.
    Important,
    /// A halt, and what is or may be left behind. Never dropped.
    Vital,
}

/// What an occurrence is about. Those about one subject reach a receiver in the order in which they happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A run.
    Run(String),
    /// A host.
    Host(String),
    /// The halt.
    Halt,
    /// A schedule.
    Schedule(String),
    /// A holding of a game day.
    GameDay(String),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Run(id) => write!(formatter, "runs/{id}"),
            Self::Host(name) => write!(formatter, "agents/{name}"),
            Self::Halt => write!(formatter, "halt"),
            Self::Schedule(name) => write!(formatter, "schedules/{name}"),
            Self::GameDay(id) => write!(formatter, "game-days/{id}"),
        }
    }
}

/// The names of all events, as [`What::name`] gives them.
pub const EVENTS: &[&str] = &[
    "run.queued",
    "run.waiting-for-approval",
    "run.cancelled",
    "run.started",
    "fault.injected",
    "guardrail.breached",
    "fault.undone",
    "fault.stuck",
    "run.cleanup-not-verified",
    "run.cleaned-up",
    "run.finished",
    "halt.set",
    "halt.released",
    "agent.vanished",
    "agent.returned",
    "schedule.missed",
    "game-day.started",
    "game-day.step",
    "game-day.finished",
];

impl What {
    /// The event's name, such as `run.finished`: the same word that settings filter by.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RunQueued { .. } => "run.queued",
            Self::RunWaitingForApproval { .. } => "run.waiting-for-approval",
            Self::RunCancelled { .. } => "run.cancelled",
            Self::RunStarted { .. } => "run.started",
            Self::FaultInjected { .. } => "fault.injected",
            Self::GuardrailBreached { .. } => "guardrail.breached",
            Self::FaultUndone { .. } => "fault.undone",
            Self::FaultStuck { .. } => "fault.stuck",
            Self::CleanupNotVerified { .. } => "run.cleanup-not-verified",
            Self::CleanedUp { .. } => "run.cleaned-up",
            Self::RunFinished { .. } => "run.finished",
            Self::HaltSet { .. } => "halt.set",
            Self::HaltReleased { .. } => "halt.released",
            Self::AgentVanished { .. } => "agent.vanished",
            Self::AgentReturned { .. } => "agent.returned",
            Self::ScheduleMissed { .. } => "schedule.missed",
            Self::GameDayStarted { .. } => "game-day.started",
            Self::GameDayStep { .. } => "game-day.step",
            Self::GameDayFinished { .. } => "game-day.finished",
        }
    }

    /// The run that it is about, if it is about one.
    pub fn run(&self) -> Option<&RunSubject> {
        match self {
            Self::RunQueued { run, .. }
            | Self::RunWaitingForApproval { run, .. }
            | Self::RunCancelled { run, .. }
            | Self::RunStarted { run, .. }
            | Self::FaultInjected { run, .. }
            | Self::GuardrailBreached { run, .. }
            | Self::FaultUndone { run, .. }
            | Self::CleanupNotVerified { run, .. }
            | Self::CleanedUp { run, .. }
            | Self::RunFinished { run, .. } => Some(run),
            Self::FaultStuck { run, .. } => run.as_ref(),
            _ => None,
        }
    }

    fn subject(&self) -> Subject {
        if let Some(run) = self.run() {
            return Subject::Run(run.id.clone());
        }
        match self {
            Self::FaultStuck { fault, .. } => Subject::Host(fault.host.clone()),
            Self::AgentVanished { host, .. } | Self::AgentReturned { host, .. } => Subject::Host(host.clone()),
            Self::ScheduleMissed { schedule, .. } => Subject::Schedule(schedule.clone()),
            Self::GameDayStarted { id, .. } | Self::GameDayStep { id, .. } | Self::GameDayFinished { id, .. } => {
                Subject::GameDay(id.clone())
            }
            // Only the halt is left: all others have a run.
            _ => Subject::Halt,
        }
    }

    fn importance(&self) -> Importance {
        match self {
            Self::RunQueued { .. } | Self::FaultInjected { .. } | Self::FaultUndone { .. } => Importance::Detail,
            Self::RunCancelled { .. }
            | Self::RunStarted { .. }
            | Self::AgentReturned { .. }
            | Self::GameDayStarted { .. } => Importance::Ordinary,
            Self::GameDayStep { state, .. } => match state {
                StepState::Holding | StepState::Failed => Importance::Important,
                StepState::Started | StepState::Done | StepState::Skipped => Importance::Detail,
            },
            Self::RunWaitingForApproval { .. }
            | Self::GuardrailBreached { .. }
            | Self::AgentVanished { .. }
            | Self::ScheduleMissed { .. }
            | Self::GameDayFinished { .. } => Importance::Important,
            Self::RunFinished { verdict, .. } => match verdict {
                RunVerdict::CleanupUnverified => Importance::Vital,
                _ => Importance::Important,
            },
            Self::FaultStuck { .. }
            | Self::CleanupNotVerified { .. }
            | Self::CleanedUp { .. }
            | Self::HaltSet { .. }
            | Self::HaltReleased { .. } => Importance::Vital,
        }
    }

    /// What tells it from others of the same name and subject.
    fn mark(&self, at: Timestamp) -> Option<String> {
        Some(match self {
            Self::FaultInjected { fault, .. } | Self::FaultUndone { fault, .. } | Self::FaultStuck { fault, .. } => {
                format!("{}/{}", encoded(&fault.host), encoded(&fault.id))
            }
            Self::AgentVanished { last_seen, .. } | Self::AgentReturned { last_seen, .. } => {
                last_seen.as_microsecond().to_string()
            }
            Self::ScheduleMissed { slot, .. } => slot.as_microsecond().to_string(),
            Self::GameDayStep { step, state, .. } => {
                format!("{}/{}/{}", encoded(step), format!("{state:?}").to_lowercase(), at.as_microsecond())
            }
            Self::HaltSet { .. } => at.as_microsecond().to_string(),
            Self::HaltReleased { since, .. } => since.as_microsecond().to_string(),
            Self::GuardrailBreached { .. } | Self::CleanupNotVerified { .. } | Self::CleanedUp { .. } => {
                at.as_microsecond().to_string()
            }
            _ => return None,
        })
    }
}

impl Occurrence {
    /// What happened at a time. Where the same can happen to a subject more than once (a halt, a breach), `at` tells one
    /// from the other: give the time at which it was recorded, not the time of telling.
    pub fn new(at: Timestamp, labels: BTreeMap<String, String>, what: What) -> Self {
        let (kind, name) = match what.subject() {
            Subject::Run(id) => ("run", Some(id)),
            Subject::Host(name) => ("agent", Some(name)),
            Subject::Halt => ("halt", None),
            Subject::Schedule(name) => ("schedule", Some(name)),
            Subject::GameDay(id) => ("game-day", Some(id)),
        };
        let event = what.name().replace('.', "-");
        let parts = [Some(kind.to_owned()), name.map(|name| encoded(&name)), Some(event), what.mark(at)];
        let id = parts.into_iter().flatten().collect::<Vec<_>>().join("/");
        Self { id, at, labels, what }
    }

    /// What it is about.
    pub fn subject(&self) -> Subject {
        self.what.subject()
    }

    /// How much is lost when it is not told.
    pub fn importance(&self) -> Importance {
        self.what.importance()
    }
}

/// How long something took, as people write it: whole seconds from ten on.
pub(super) fn between(since: Timestamp, until: Timestamp) -> TimeSpan {
    let time = std::time::Duration::try_from(until.duration_since(since)).unwrap_or_default();
    if time.as_secs() >= 10 {
        return TimeSpan::from_secs(time.as_secs());
    }
    TimeSpan::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Everything but letters, digits, `-` and `_` as `%XX`, so that two names never become one.
fn encoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => text.push(char::from(byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
