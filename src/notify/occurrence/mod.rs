//! What is told: something that happened to a run, a host, a schedule, a game day, or everything at once.
//!
//! An [`Occurrence`] is data alone. What it looks like to a receiver is for [`super::format`] to say, and who gets it for
//! [`super::settings`].

mod told;
mod what;

use std::collections::BTreeMap;

use faultline_agent::units::TimeSpan;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use told::EVENTS;
use told::encoded;
pub use what::What;

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

/// A holding of a game day, as others know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GameDaySubject {
    /// Its id.
    pub id: String,
    /// The document's name.
    pub name: String,
    /// Its title.
    pub title: String,
}

/// What becomes of an experiment of a game day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// It has begun.
    Started,
    /// It is done, and held.
    Done,
    /// It was left out.
    Skipped,
    /// It ended in any other way.
    Failed,
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
