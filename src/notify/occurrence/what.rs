use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{FaultSubject, GameDaySubject, RunSubject, StepState, StoppedBy};
use crate::game_day::machine::Answer;
use crate::hypothesis::verdict::RunVerdict;

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
    /// A game day was asked for.
    #[serde(rename = "game-day.submitted")]
    GameDaySubmitted {
        /// The game day.
        game_day: GameDaySubject,
        /// Who asked for it.
        requested_by: String,
    },
    /// A game day waits for approvals of its plan.
    #[serde(rename = "game-day.waiting-for-approval")]
    GameDayWaitingForApproval {
        /// The game day.
        game_day: GameDaySubject,
        /// The hash of the plan to be approved.
        plan_hash: String,
        /// How many approvals are missing.
        approvals_missing: u32,
        /// Roles and people who may approve.
        of: Vec<String>,
        /// When its window ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
    },
    /// A game day stands still until a person says go or no-go: at a question of its checklist, before or after an
    /// experiment.
    #[serde(rename = "game-day.hold")]
    GameDayHold {
        /// The game day.
        game_day: GameDaySubject,
        /// What is asked, by the word that an answer names: `question-1`, `before-2`.
        asks: String,
        /// The same as a sentence.
        ask: String,
        /// Roles of whom one must answer.
        of: Vec<String>,
    },
    /// Somebody said go or no-go, or left something out.
    #[serde(rename = "game-day.decided")]
    GameDayDecided {
        /// The game day.
        game_day: GameDaySubject,
        /// What was asked, as in `game-day.hold`.
        asked: String,
        /// Who answered.
        by: String,
        /// How.
        answer: Answer,
        /// What they said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remark: Option<String>,
        /// Of a hold: since when the game day stood still there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    },
    /// The first experiment of a game day is asked to start.
    #[serde(rename = "game-day.started")]
    GameDayStarted {
        /// The game day.
        game_day: GameDaySubject,
    },
    /// Something became of an experiment of a game day.
    #[serde(rename = "game-day.step")]
    GameDayStep {
        /// The game day.
        game_day: GameDaySubject,
        /// What the experiment is called there.
        step: String,
        /// What became of it.
        state: StepState,
        /// What people should know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A game day went to its end.
    #[serde(rename = "game-day.finished")]
    GameDayFinished {
        /// The game day.
        game_day: GameDaySubject,
        /// What was found, in one sentence.
        summary: String,
        /// When its first experiment was asked to start, if one was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    },
    /// A game day was ended early; what ran is undone.
    #[serde(rename = "game-day.aborted")]
    GameDayAborted {
        /// The game day.
        game_day: GameDaySubject,
        /// Why.
        because: String,
        /// When its first experiment was asked to start, if one was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    },
}
