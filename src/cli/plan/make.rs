use std::path::Path;
use std::thread;

use faultline_agent::facts::HostFacts;
use faultline_agent::fault::{CATALOGUE, PlanContext, PlanError};
use faultline_agent::halt;
use faultline_agent::identity::{FaultId, NetworkNamespace};
use faultline_agent::kernel::{namespace, user_namespace};
use faultline_agent::plan::{Plan, UndoClass};
use faultline_agent::policy::Policy;
use faultline_agent::state::StateFolder;
use faultline_agent::target::{Ground, Resolved, TargetContext, TargetError as HostTargetError, resolve};
use faultline_agent::units::TimeSpan;

use super::{ExperimentPlan, FaultPlan, PlanOutcome, StepPlan};
use crate::cli::failure;
use crate::document::load::Loaded;
use crate::experiment::document::{Experiment, Inject, MethodStep, ServiceNetwork, Spec, Target};
use crate::run::journal::Entry;
use crate::targets::{TargetError, draw_seed, on_this_host, seed_of_fault};

/// The plan of one experiment.
pub(super) fn plan(
    loaded: &Loaded<Experiment>,
    seed: Option<u64>,
    state: &Path,
    recorded: &[Entry],
) -> anyhow::Result<ExperimentPlan> {
    let spec = &loaded.document.spec;
    let given = seed.or(spec.seed);
    let seed = given.unwrap_or_else(draw_seed);
    let private = spec.has_private_network();
    let policy = Policy::load(None)?;
    let host = Host { facts: HostFacts::new(existing(state), Vec::new()), policy, seed };
    // A network like the one that the run will have, for as long as the planning takes.
    let (steps, private_path) = if private {
        if !nix::unistd::geteuid().is_root() {
            // Refused on some hosts; then the namespace is refused below, and the plan says so.
            let _ = user_namespace::enter();
        }
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let namespace = namespace::enter_private().ok();
                let path = match &namespace {
                    Some(NetworkNamespace::Path { path, .. }) => Some(path.display().to_string()),
                    Some(NetworkNamespace::Own) | None => None,
                };
                (host.steps(spec, namespace), path)
            });
            inside.join().map_err(|_| anyhow::anyhow!("planning inside a private network failed"))
        })?
    } else {
        (host.steps(spec, Some(NetworkNamespace::Own)), None)
    };
    let halt = StateFolder::existing(Some(state))?.map_or_else(halt::read_wide, |state| halt::read(&state));
    let halted = halt.map(|halt| halt.reason);
    Ok(ExperimentPlan {
        experiment: loaded.document.metadata.name.clone(),
        hypothesis: spec.hypothesis.clone(),
        file: loaded.file.clone(),
        seed,
        seed_drawn: given.is_none(),
        network: if private { ServiceNetwork::Private } else { ServiceNetwork::Host },
        services: spec.services.keys().cloned().collect(),
        slos: super::slos::lines(spec),
        budget: super::slos::budget(spec),
        objectives: super::objectives::objectives(spec, recorded),
        bursts: super::objectives::bursts(spec),
        steps,
        recovery: spec.recovery.within,
        private_path,
        halted,
    })
}

/// The folder itself, else the nearest above it that is there: the journal will be on that file system.
fn existing(state: &Path) -> &Path {
    state.ancestors().find(|path| path.exists()).unwrap_or_else(|| Path::new("/"))
}

struct Host {
    facts: HostFacts,
    policy: Policy,
    seed: u64,
}

impl Host {
    /// Every step; `namespace` is where the run acts, if such a one can be had now.
    fn steps(&self, spec: &Spec, namespace: Option<NetworkNamespace>) -> Vec<StepPlan> {
        let mut steps = Vec::new();
        let mut faults = 0;
        for (index, step) in spec.method.iter().enumerate() {
            let number = index + 1;
            if let MethodStep::Observe(lasts) = step {
                steps.push(StepPlan { number, lasts: *lasts, inject: None });
            }
            for inject in step.injections() {
                let planned = self.fault(inject, spec, namespace.as_ref(), faults);
                steps.push(StepPlan { number, lasts: inject.lasts, inject: Some(planned) });
                faults += 1;
            }
        }
        steps
    }

    fn fault(&self, inject: &Inject, spec: &Spec, namespace: Option<&NetworkNamespace>, number: usize) -> FaultPlan {
        let fault = inject.fault.name();
        let name = spec.target_name(inject);
        let outcome = match (namespace, unknown_before(inject, spec)) {
            (_, Some(because)) => PlanOutcome::AtTheRun { because },
            (None, None) => PlanOutcome::AtTheRun { because: "the private network is only made at the run".into() },
            (Some(namespace), None) => self.resolve(inject, spec, namespace, number),
        };
        let worst = CATALOGUE.iter().find(|entry| entry.name == fault).map_or(UndoClass::Guard, |entry| entry.undo);
        let undo = match &outcome {
            PlanOutcome::Resolved { plan, .. } => plan.undo_class(),
            PlanOutcome::AtTheRun { .. } | PlanOutcome::Impossible { .. } => worst,
        };
        let parameters = serde_json::to_value(&inject.fault).ok().and_then(|value| value.get(fault).cloned());
        FaultPlan { fault, parameters: parameters.unwrap_or_default(), target: name.into(), undo, outcome }
    }

    fn resolve(&self, inject: &Inject, spec: &Spec, namespace: &NetworkNamespace, number: usize) -> PlanOutcome {
        let seed = seed_of_fault(self.seed, number);
        let ground = Ground { run: "the-run".into(), namespace: namespace.clone(), ..Ground::default() };
        let context = TargetContext { facts: &self.facts, ground: &ground, seed };
        let name = spec.target_name(inject);
        let target = spec.target(inject).map(|target| on_this_host(name, target)).transpose();
        let planned = target
            .and_then(|target| Ok(resolve(name, target.as_ref(), &context)?))
            .map_err(Refused::Target)
            .and_then(|resolved| self.plan(inject, resolved, seed, number));
        match planned {
            Ok((targets, plan)) => PlanOutcome::Resolved { targets, plan: Box::new(plan) },
            Err(Refused::Target(TargetError::OnHost(HostTargetError::NoMatch { message, .. })))
                if !spec.services.is_empty() =>
            {
                let because = format!("{message}; it is looked up again once the services are up");
                PlanOutcome::AtTheRun { because }
            }
            Err(refused) => {
                let error = anyhow::Error::from(refused);
                PlanOutcome::Impossible {
                    because: error.to_string(),
                    hint: failure::hints(&error).into_iter().next(),
                    code: failure::exit_code(&error),
                }
            }
        }
    }

    fn plan(
        &self,
        inject: &Inject,
        resolved: Resolved,
        seed: u64,
        number: usize,
    ) -> Result<(Vec<String>, Plan), Refused> {
        let Resolved { scope, description, .. } = resolved;
        let id = FaultId::from_number(number as u64 + 1);
        let context = PlanContext { id: &id, scope: &scope, facts: &self.facts, seed, lasts: inject.lasts };
        let plan = inject.fault.plan(context).map_err(Refused::Fault)?;
        self.permits(&plan, inject.lasts)?;
        Ok((description, plan))
    }

    fn permits(&self, plan: &Plan, lasts: TimeSpan) -> Result<(), Refused> {
        self.policy.permits(plan, lasts, 0).map_err(Refused::Policy)
    }
}

/// Why a target can only be known at the run: it is, or is looked for among, what the run starts itself.
fn unknown_before(inject: &Inject, spec: &Spec) -> Option<String> {
    let target: &Target = spec.targets.get(inject.on.as_deref()?)?;
    if let Some(service) = &target.service {
        return Some(format!("its target is the processes of service `{service}`, which the run starts"));
    }
    (spec.has_private_network() && target.process.is_some())
        .then(|| "its target is looked for among the processes in the run's private network".into())
}

/// Why a fault could not be injected as things are.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Target(TargetError),
    #[error(transparent)]
    Fault(PlanError),
    #[error(transparent)]
    Policy(faultline_agent::policy::Refusal),
}
