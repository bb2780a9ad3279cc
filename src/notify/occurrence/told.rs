use jiff::Timestamp;

use super::{GameDaySubject, Importance, RunSubject, StepState, Subject, What};
use crate::hypothesis::verdict::RunVerdict;

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
    "game-day.submitted",
    "game-day.waiting-for-approval",
    "game-day.hold",
    "game-day.decided",
    "game-day.started",
    "game-day.step",
    "game-day.finished",
    "game-day.aborted",
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
            Self::GameDaySubmitted { .. } => "game-day.submitted",
            Self::GameDayWaitingForApproval { .. } => "game-day.waiting-for-approval",
            Self::GameDayHold { .. } => "game-day.hold",
            Self::GameDayDecided { .. } => "game-day.decided",
            Self::GameDayStarted { .. } => "game-day.started",
            Self::GameDayStep { .. } => "game-day.step",
            Self::GameDayFinished { .. } => "game-day.finished",
            Self::GameDayAborted { .. } => "game-day.aborted",
        }
    }

    /// The game day that it is about, if it is about one.
    pub fn game_day(&self) -> Option<&GameDaySubject> {
        match self {
            Self::GameDaySubmitted { game_day, .. }
            | Self::GameDayWaitingForApproval { game_day, .. }
            | Self::GameDayHold { game_day, .. }
            | Self::GameDayDecided { game_day, .. }
            | Self::GameDayStarted { game_day }
            | Self::GameDayStep { game_day, .. }
            | Self::GameDayFinished { game_day, .. }
            | Self::GameDayAborted { game_day, .. } => Some(game_day),
            _ => None,
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

    pub(super) fn subject(&self) -> Subject {
        if let Some(run) = self.run() {
            return Subject::Run(run.id.clone());
        }
        if let Some(game_day) = self.game_day() {
            return Subject::GameDay(game_day.id.clone());
        }
        match self {
            Self::FaultStuck { fault, .. } => Subject::Host(fault.host.clone()),
            Self::AgentVanished { host, .. } | Self::AgentReturned { host, .. } => Subject::Host(host.clone()),
            Self::ScheduleMissed { schedule, .. } => Subject::Schedule(schedule.clone()),
            // Only the halt is left: all others have a run or a game day.
            _ => Subject::Halt,
        }
    }

    pub(super) fn importance(&self) -> Importance {
        match self {
            Self::RunQueued { .. } | Self::FaultInjected { .. } | Self::FaultUndone { .. } => Importance::Detail,
            Self::RunCancelled { .. }
            | Self::RunStarted { .. }
            | Self::AgentReturned { .. }
            | Self::GameDaySubmitted { .. }
            | Self::GameDayDecided { .. }
            | Self::GameDayStarted { .. } => Importance::Ordinary,
            Self::GameDayStep { state: StepState::Failed, .. } => Importance::Important,
            Self::GameDayStep { .. } => Importance::Detail,
            Self::RunWaitingForApproval { .. }
            | Self::GuardrailBreached { .. }
            | Self::AgentVanished { .. }
            | Self::ScheduleMissed { .. }
            | Self::GameDayWaitingForApproval { .. }
            | Self::GameDayHold { .. }
            | Self::GameDayFinished { .. }
            | Self::GameDayAborted { .. } => Importance::Important,
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
    pub(super) fn mark(&self, at: Timestamp) -> Option<String> {
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
            // Each of them can come again: approvals expire, plans are made anew.
            Self::GameDayHold { asks, .. } => format!("{asks}/{}", at.as_microsecond()),
            Self::GameDayDecided { asked, .. } => format!("{asked}/{}", at.as_microsecond()),
            Self::GameDayWaitingForApproval { .. } => at.as_microsecond().to_string(),
            Self::HaltSet { .. } => at.as_microsecond().to_string(),
            Self::HaltReleased { since, .. } => since.as_microsecond().to_string(),
            Self::GuardrailBreached { .. } | Self::CleanupNotVerified { .. } | Self::CleanedUp { .. } => {
                at.as_microsecond().to_string()
            }
            _ => return None,
        })
    }
}

/// Everything but letters, digits, `-` and `_` as `%XX`, so that two names never become one.
pub(super) fn encoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => text.push(char::from(byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
