//! The agent of `faultline run`: the engine in this very process, with its guard beside it.

use std::time::Duration;

use faultline_agent::engine::{Engine, EngineOptions, InjectError};
use faultline_agent::facts::{Facts, HostFacts};
use faultline_agent::fault::{AnyFault, PlanContext, PlanError};
use faultline_agent::halt;
use faultline_agent::identity::{FaultId, ProcessIdentity};
use faultline_agent::plan::{Evidence, Plan};
use faultline_agent::recover::{OrphanFate, RecoverResult};
use faultline_agent::state::StateFolder;
use faultline_agent::units::TimeSpan;

use super::{Agent, MustStop, NotInjected, PlanRequest, Undone};
use crate::run::journal::UndoneStep;

/// The agent of this host, in this process.
#[derive(Debug)]
pub struct LocalAgent {
    engine: Engine,
    facts: HostFacts,
    state: StateFolder,
}

impl LocalAgent {
    /// Sweeps what a crash left on this host, and starts the guard.
    ///
    /// # Errors
    /// If the state folder cannot be used or the guard cannot be started.
    pub fn open(state: &StateFolder, run: &str) -> Result<Self, String> {
        let options = EngineOptions::host(state.clone(), Some(run.to_owned()));
        let engine = Engine::open(options).map_err(|error| told(&error, error.hint()))?;
        // What a crash left is undone by now; whoever runs an experiment hears of it all the same.
        for left in &engine.swept().faults {
            let name = left.fault.as_deref().unwrap_or("a fault");
            match &left.result {
                RecoverResult::Undone(undone) if undone.verified => {
                    tracing::warn!("an earlier crash had left {name}; it is undone now");
                }
                RecoverResult::Undone(_) | RecoverResult::Unreadable { .. } => {
                    tracing::warn!("an earlier crash left {name}, which is stuck: see `faultline recover`");
                }
                RecoverResult::Kept { .. } | RecoverResult::Busy => {}
            }
        }
        for orphan in &engine.swept().orphans {
            let what = &orphan.what;
            match &orphan.fate {
                OrphanFate::Removed => tracing::warn!("a crash had left {what} without a record; it is removed now"),
                OrphanFate::Left { because } => tracing::info!("{what} has no record here and was left: {because}"),
                OrphanFate::Failed { because } => {
                    tracing::warn!("a crash left {what} without a record, and it cannot be removed: {because}");
                }
            }
        }
        let facts = HostFacts::new(state.path(), engine.guard().into_iter().collect());
        Ok(Self { engine, facts, state: state.clone() })
    }
}

impl Agent for LocalAgent {
    fn facts(&self) -> &dyn Facts {
        &self.facts
    }

    fn protect(&self, processes: Vec<ProcessIdentity>) {
        self.facts.spare(processes);
    }

    fn new_id(&self) -> FaultId {
        self.engine.new_id()
    }

    fn plan(&self, fault: &AnyFault, request: &PlanRequest<'_>) -> Result<Plan, PlanError> {
        fault.check()?;
        fault.plan(PlanContext {
            id: request.id,
            scope: request.scope,
            facts: &self.facts,
            seed: request.seed,
            lasts: request.lasts,
        })
    }

    fn permits(&self, plan: &Plan, lasts: TimeSpan) -> Result<(), String> {
        self.engine.policy().permits(plan, lasts, 0).map_err(|refusal| told(&refusal, Some(refusal.hint.clone())))
    }

    fn inject(&self, plan: Plan, lasts: TimeSpan) -> Result<Duration, NotInjected> {
        match self.engine.inject(plan, lasts) {
            Ok(injected) => Ok(injected.took),
            Err(error) => Err(not_injected(&error)),
        }
    }

    fn evidence(&self, fault: &FaultId) -> Result<Evidence, String> {
        self.engine.evidence(fault).map_err(|error| error.to_string())
    }

    fn undo(&self, fault: &FaultId) -> Undone {
        let undone = self.engine.undo(fault);
        let steps = undone
            .steps
            .into_iter()
            .map(|step| UndoneStep {
                step: step.step,
                outcome: step.outcome.to_string(),
                clean: step.outcome.is_clean(),
            })
            .collect();
        Undone { steps, verified: undone.verified, took: undone.took }
    }

    fn heartbeat(&self) {
        self.engine.heartbeat();
    }

    fn must_stop(&self) -> Option<MustStop> {
        if let Some(halt) = halt::read(&self.state) {
            return Some(MustStop::Halted(halt));
        }
        self.engine.guard_lost().then_some(MustStop::GuardLost)
    }
}

fn not_injected(error: &InjectError) -> NotInjected {
    NotInjected { reason: told(error, error.hint()), verified: error.stuck().is_empty() }
}

/// An error with its causes and its hint in one text, as the run's journal keeps it.
fn told(error: &dyn std::error::Error, hint: Option<String>) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        if !text.contains(&error.to_string()) {
            text = format!("{text}: {error}");
        }
        cause = error.source();
    }
    match hint {
        Some(hint) => format!("{text} (hint: {hint})"),
        None => text,
    }
}
