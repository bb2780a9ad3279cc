//! All that an agent does on its host, for whoever asks: a run in the same process, or a controller over the wire.
//!
//! Invariants:
//! - **No step comes from outside.** Who asks names a fault, a target and a dose; the plan is made here, of this host, and
//!   the host's own policy is asked before the first step.
//! - **One injection an id.** The same request again answers the same and does nothing; an id whose fault was undone never
//!   comes back.
//! - What is answered to be undone and verified was looked at here, by this process.

mod answer;
mod error;
mod issued;
mod met;
mod readings;
mod status;

pub use answer::{Injected, MustStop, NotInjected, NotPlanned, Planned, Undone, UndoneStep};
pub use error::NodeError;
pub use readings::ReadRequest;
pub use status::{ActiveFault, NodeStatus, StuckFault};

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::engine::{self, Engine, EngineOptions, InjectError};
use crate::facts::{Facts, HostFacts};
use crate::fault::{AnyFault, PlanContext, PlanError};
use crate::halt;
use crate::identity::{FaultId, ProcessIdentity};
use crate::journal::Journal;
use crate::plan::{Evidence, Plan};
use crate::recover::{OrphanFate, RecoverResult};
use crate::signals::{HostReading, HostSubject};
use crate::state::StateFolder;
use crate::target::{Ground, HostTarget, Resolved, TargetContext, TargetError, resolve};
use crate::units::TimeSpan;
use answer::told;
use issued::{Issued, Standing};
use met::{Meeting, Met};
use readings::Readings;

/// A fault that is asked for: which, on what of this host, how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultRequest {
    /// The fault's name, by which it is journaled, measured and undone.
    pub id: FaultId,
    /// The run to which it belongs.
    pub run: String,
    /// The fault with its parameters.
    pub fault: AnyFault,
    /// The target's name in the document, or what people call the whole host.
    pub target_name: String,
    /// What of this host it meets; nothing for the whole of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<HostTarget>,
    /// How long it is to last, from when it is in place.
    pub lasts: TimeSpan,
    /// The seed of all its chance.
    pub seed: u64,
    /// Whether it is a placebo: planned, journaled, guarded and undone like any other, with a dose of nothing and no step at all. An
    /// agent that does not know the word refuses the request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub placebo: bool,
}

/// The agent of this host.
#[derive(Debug)]
pub struct Node {
    engine: Engine,
    facts: HostFacts,
    state: StateFolder,
    issued: Issued,
    met: Met,
    readings: Readings,
}

impl Node {
    /// Sweeps what a crash left on this host, and starts the guard, which inherits the namespaces of the calling thread.
    ///
    /// # Errors
    /// If the state folder cannot be used or the guard cannot be started.
    pub fn open(state: &StateFolder) -> Result<Self, NodeError> {
        Self::with(EngineOptions::host(state.clone(), None))
    }

    fn with(options: EngineOptions) -> Result<Self, NodeError> {
        let state = options.state.clone();
        let engine = Engine::open(options)?;
        report_what_a_crash_left(&engine);
        let facts = HostFacts::new(state.path(), engine.guard().into_iter().collect());
        Ok(Self { engine, facts, state, issued: Issued::default(), met: Met::default(), readings: Readings::default() })
    }

    /// The host, to be read.
    pub fn facts(&self) -> &dyn Facts {
        &self.facts
    }

    /// Spares these processes, beside the agent's own, whatever a target says; replaces what was spared before.
    pub fn protect(&self, processes: Vec<ProcessIdentity>) {
        self.facts.spare(processes);
    }

    /// An id that no fault of this host bears.
    pub fn new_id(&self) -> FaultId {
        self.engine.new_id()
    }

    /// What a fault would do, and whether the host's policy lets it.
    ///
    /// # Errors
    /// If its parameters, its target, the host or the rules of safety forbid it.
    pub fn plan(&self, request: &FaultRequest, ground: &Ground) -> Result<Planned, NotPlanned> {
        let (plan, Resolved { description: targets, .. }) = self.plan_of(request, ground)?;
        let beside = self.engine.active().len();
        let permitted = self.engine.policy().permits(&plan, request.lasts, beside);
        let refused = permitted.err().map(|refusal| told(&refusal, Some(refusal.hint.clone())));
        Ok(Planned { plan, targets, refused })
    }

    /// Plans a fault as things are now, and puts it in place. The same request again answers as it did.
    ///
    /// # Errors
    /// If it is refused or a step fails; everything was taken back then, as far as the error says.
    pub fn inject(&self, request: &FaultRequest, ground: &Ground) -> Result<Injected, NotInjected> {
        match self.issued.begin(&request.id) {
            Standing::New => {}
            Standing::InPlace(injected) => return Ok(*injected),
            Standing::Pending => return Err(NotInjected::nothing("it is being put in place already".into())),
            Standing::Over => {
                let reason = format!("fault {} was here already and is over; it does not come back", request.id);
                return Err(NotInjected::nothing(reason));
            }
        }
        let outcome = self.put_in_place(request, ground);
        match &outcome {
            Ok(injected) => self.issued.in_place(&request.id, injected),
            Err(_) => self.issued.over(&request.id),
        }
        outcome
    }

    fn put_in_place(&self, request: &FaultRequest, ground: &Ground) -> Result<Injected, NotInjected> {
        let (plan, target) = self.plan_of(request, ground).map_err(|error| NotInjected::nothing(error.reason))?;
        let meeting = Meeting::of(target);
        let injected = self.engine.inject_for(Some(&request.run), plan.clone(), request.lasts);
        match injected {
            Ok(injected) => {
                self.met.keep(&request.id, meeting);
                Ok(Injected { plan, took: injected.took })
            }
            Err(error) => Err(not_injected(&error)),
        }
    }

    fn plan_of(&self, request: &FaultRequest, ground: &Ground) -> Result<(Plan, Resolved), NotPlanned> {
        let target = self.resolve(request, ground)?;
        let context = PlanContext {
            id: &request.id,
            scope: &target.scope,
            facts: &self.facts,
            seed: request.seed,
            lasts: request.lasts,
        };
        let planned = request.fault.check().and_then(|()| request.fault.plan(context));
        let planned = planned.map(|plan| if request.placebo { plan.placebo() } else { plan });
        planned.map(|plan| (plan, target)).map_err(|error| {
            let unsupported = matches!(error, PlanError::Unsupported { .. });
            NotPlanned { reason: with_hint(format!("{}: {error}", request.fault.name()), error.hint()), unsupported }
        })
    }

    fn resolve(&self, request: &FaultRequest, ground: &Ground) -> Result<Resolved, NotPlanned> {
        let context = TargetContext { facts: &self.facts, ground, seed: request.seed };
        resolve(&request.target_name, request.target.as_ref(), &context)
            .map_err(|error| NotPlanned { reason: with_hint(error.to_string(), error.hint()), unsupported: false })
    }

    /// Whom a `host` signal reads: what a target is now.
    ///
    /// # Errors
    /// If it is nowhere to be found.
    pub fn subject(
        &self,
        name: &str,
        target: Option<&HostTarget>,
        seed: u64,
        ground: &Ground,
    ) -> Result<HostSubject, TargetError> {
        let scope = resolve(name, target, &TargetContext { facts: &self.facts, ground, seed })?.scope;
        Ok(match (scope.processes, scope.cgroup) {
            (Some(processes), _) => {
                HostSubject::Processes(processes.into_iter().map(|process| process.identity).collect())
            }
            (None, Some(cgroup)) => HostSubject::Cgroup(cgroup),
            (None, None) => HostSubject::Host,
        })
    }

    /// Reads the kernel for a `host` signal; each reading covers the time since the one before of the same signal.
    ///
    /// # Errors
    /// If the target is nowhere to be found, or was another the time before.
    pub fn read(&self, request: &ReadRequest, ground: &Ground) -> Result<HostReading, String> {
        let subject = self.subject(&request.target_name, request.target.as_ref(), request.seed, ground);
        self.readings.read(request, subject.map_err(|error| error.to_string())?)
    }

    /// What a fault in place was measured to do so far.
    ///
    /// # Errors
    /// If the fault is not there or the kernel cannot be asked.
    pub fn evidence(&self, fault: &FaultId) -> Result<Evidence, String> {
        let mut evidence = self.engine.evidence(fault).map_err(|error| error.to_string())?;
        evidence.changes = self.met.changes(fault, &self.facts);
        Ok(evidence)
    }

    /// Undoes a fault. Never fails: what could not be undone is in the answer.
    pub fn undo(&self, fault: &FaultId) -> Undone {
        self.issued.over(fault);
        self.met.forget(fault);
        self.engine.undo(fault).into()
    }

    /// Undoes every fault of this agent.
    pub fn undo_all(&self) -> Vec<(FaultId, Undone)> {
        self.engine
            .undo_all()
            .into_iter()
            .map(|(fault, undone)| {
                self.issued.over(&fault);
                self.met.forget(&fault);
                (fault, undone.into())
            })
            .collect()
    }

    /// Shows that this process is alive; without it for long, the guard undoes everything.
    pub fn heartbeat(&self) {
        self.engine.heartbeat();
    }

    /// Why everything must end at once, if it must: the guard died, or somebody halted this host.
    pub fn must_stop(&self) -> Option<MustStop> {
        if let Some(halt) = halt::read(&self.state) {
            return Some(MustStop::Halted(halt));
        }
        self.engine.guard_lost().then_some(MustStop::GuardLost)
    }

    /// Where this agent keeps its own files.
    pub fn state(&self) -> &StateFolder {
        &self.state
    }

    /// The policy file that bounds this agent, if the host has one.
    pub fn policy(&self) -> Option<PathBuf> {
        self.engine.policy().path.clone()
    }

    /// What is in place, what is stuck, and whether the host is halted.
    pub fn status(&self) -> NodeStatus {
        NodeStatus::of(self.engine.active(), &Journal::of(&self.state), self.must_stop())
    }
}

fn with_hint(text: String, hint: &str) -> String {
    if hint.is_empty() { text } else { format!("{text} (hint: {hint})") }
}

fn not_injected(error: &InjectError) -> NotInjected {
    NotInjected { reason: told(error, error.hint()), verified: error.stuck().is_empty() }
}

impl From<engine::Undone> for Undone {
    fn from(undone: engine::Undone) -> Self {
        let step = |step: engine::StepUndone| UndoneStep {
            step: step.step,
            outcome: step.outcome.to_string(),
            clean: step.outcome.is_clean(),
        };
        Self { steps: undone.steps.into_iter().map(step).collect(), verified: undone.verified, took: undone.took }
    }
}

/// What a crash left is undone by now; whoever runs an experiment hears of it all the same.
fn report_what_a_crash_left(engine: &Engine) {
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
}

#[cfg(test)]
mod tests;
