use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::process_scope::ProcessScope;
use super::{Fault, PlanContext, PlanError};
use crate::facts::Need;
use crate::plan::step::{self, KillAgain, Signal};
use crate::plan::{Dose, Plan, Step, UndoClass};
use crate::units::TimeSpan;

/// The shortest time between two rounds: choosing again reads all of `/proc`.
const SHORTEST_ROUND: TimeSpan = TimeSpan::from_millis(100);

/// Ends processes by a signal, once or again and again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessKill {
    /// The signal, by name or number: `SIGKILL` unless told, with `grace` `SIGTERM`. Only signals that end a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// Processes that still live so long after the signal get `SIGKILL`; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<TimeSpan>,
    /// Chooses and kills again each time so much has passed, while the fault lasts (100 ms or more); once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<TimeSpan>,
}

impl ProcessKill {
    fn first_signal(&self) -> Signal {
        self.signal.unwrap_or(if self.grace.is_some() { Signal::TERMINATE } else { Signal::KILL })
    }
}

impl Fault for ProcessKill {
    const NAME: &'static str = "process-kill";
    const SUMMARY: &'static str = "Ends processes by a signal, once or at an interval";
    const DETAILS: &'static str = "\
**Cannot be undone.** What starts the processes again is their own supervisor; whether it does, and how soon, is what \
the experiment finds out.\n\n\
Each process is held by a process descriptor (pidfd) whose start time is compared with the plan's, so that a successor \
with the same number never gets the signal. Its end is seen by the same descriptor, and the time from the signal to the \
end is measured; a process that outlives its signal counts as no effect.\n\n\
`grace` sends `SIGTERM` (or `signal`) first and `SIGKILL` to whoever still lives after that time, as supervisors do on \
a stop. `every` makes rounds while the fault lasts: each chooses anew among the processes that fit the target then, \
with the target's `pick` and the run's seed, and is written to the journal before it strikes. When the fault is undone \
no further signal is sent, not even one that was due after `grace`.\n\n\
Refused: process 1, kernel threads, Faultline itself, its guard, and all processes from which they descend (the shell, \
the terminal, the CI runner).";
    const UNDO: UndoClass = UndoClass::Irreversible;
    const NEEDS: &'static [Need] = &[Need::ProcessDescriptors];
    const EXAMPLE: &'static str = "process-kill: { signal: SIGTERM, grace: 10s, every: 30s }\n";

    fn check(&self) -> Result<(), PlanError> {
        let signal = self.first_signal();
        if !signal.ends() {
            return Err(PlanError::parameter(
                format!("{signal} does not end a process"),
                "use SIGKILL, SIGTERM, SIGINT, SIGHUP or the like; to stop processes use `process-pause`",
            ));
        }
        if self.grace.is_some() && signal == Signal::KILL {
            return Err(PlanError::parameter(
                "`grace` after SIGKILL has no meaning: nothing survives it",
                "leave `signal` out, or name the gentler signal that comes first",
            ));
        }
        match self.every {
            Some(every) if every < SHORTEST_ROUND => Err(PlanError::parameter(
                format!("`every: {every}` is shorter than {SHORTEST_ROUND}"),
                "choose a longer interval: each round reads all processes of the host",
            )),
            _ => Ok(()),
        }
    }

    fn plan(&self, context: PlanContext<'_>) -> Result<Plan, PlanError> {
        self.check()?;
        let scope = ProcessScope::of(&context)?;
        let again = self.every.map(|every| again(every, &context)).transpose()?;
        let mut notes = vec!["a killed process stays dead: only its own supervisor brings it back".to_owned()];
        if let Some(again) = &again {
            let rounds = context.lasts.duration().as_nanos() / again.every.duration().as_nanos();
            notes.push(format!(
                "chosen again in each of the {rounds} further rounds among the processes that fit the target then"
            ));
        }
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 processes")]
        let asked = scope.chosen.len() as f64;
        Ok(Plan {
            id: context.id.clone(),
            fault: Self::NAME.into(),
            targets: scope.describe(),
            dose: vec![Dose { name: "processes ended".into(), asked, unit: "processes".into() }],
            steps: vec![Step::ProcessKill(step::ProcessKill {
                processes: scope.identities(),
                signal: self.first_signal(),
                grace: self.grace,
                again,
            })],
            notes,
        })
    }
}

fn again(every: TimeSpan, context: &PlanContext<'_>) -> Result<KillAgain, PlanError> {
    if every > context.lasts {
        return Err(PlanError::parameter(
            format!("`every: {every}` is longer than the fault lasts ({})", context.lasts),
            "shorten `every`, lengthen `for`, or leave `every` out",
        ));
    }
    let selection = context.scope.selection.clone().filter(|selection| selection.selector.pid.is_none());
    let Some(selection) = selection else {
        return Err(PlanError::parameter(
            "`every` needs a target that finds the successors of the killed, and a process number never comes back",
            "choose the target by service, name, command line, port, cgroup, user or parent",
        ));
    };
    Ok(KillAgain { every, selection, seed: context.seed, spared: context.facts.protected(), round: 1 })
}

#[cfg(test)]
mod tests {
    use super::super::AnyFault;
    use super::super::packet_tests::{plan as plan_of, scope_of};
    use super::*;
    use crate::facts::fake::{FakeFacts, process};
    use crate::facts::{Pick, ProcessFacts, ProcessSelector, Selection};
    use crate::fault::Scope;

    fn host() -> FakeFacts {
        let mut facts = FakeFacts::default();
        let mut nginx = process(200, "nginx");
        nginx.listens_on = vec![80, 443];
        nginx.command_line = vec!["nginx: master process".into(), "/usr/sbin/nginx".into()];
        let worker = ProcessFacts { parent: 200, ..process(201, "nginx") };
        facts.processes.extend([nginx, worker]);
        facts
    }

    fn plan(fault: &ProcessKill, scope: &Scope, facts: &FakeFacts) -> Result<Plan, PlanError> {
        plan_of(&AnyFault::ProcessKill(fault.clone()), scope, facts)
    }

    fn parse(json: &str) -> ProcessKill {
        serde_json::from_str(json).unwrap()
    }

    fn refusal(fault: &str, scope: &Scope, facts: &FakeFacts) -> String {
        plan(&parse(fault), scope, facts).unwrap_err().to_string()
    }

    fn by_name(facts: &FakeFacts) -> Scope {
        let selector = ProcessSelector { name: Some("nginx".into()), ..ProcessSelector::default() };
        let pick = Pick { count: Some(1), ..Pick::default() };
        Scope { selection: Some(Selection { selector, pick, ..Selection::default() }), ..scope_of(facts, &[200]) }
    }

    #[test]
    fn names_every_process_and_says_that_nothing_brings_it_back() {
        let facts = host();
        let plan = plan(&ProcessKill::default(), &scope_of(&facts, &[200, 201]), &facts).unwrap();
        assert_eq!(plan.undo_class(), UndoClass::Irreversible);
        insta::assert_snapshot!(serde_json::to_string_pretty(&plan).unwrap());
        insta::assert_snapshot!(plan.steps[0].describe(), @"send SIGKILL to processes 200, 201");
    }

    #[test]
    fn rounds_carry_what_is_needed_to_choose_again() {
        let facts = host();
        let fault = parse(r#"{ "grace": "2s", "every": "10s" }"#);
        let plan = plan(&fault, &by_name(&facts), &facts).unwrap();
        insta::assert_snapshot!(
            plan.steps[0].describe(),
            @"send SIGTERM to process 200, and SIGKILL after 2s to those that still live; choose and kill again every 10s"
        );
        let Step::ProcessKill(step) = &plan.steps[0] else { panic!("{plan:?}") };
        let again = step.again.as_ref().unwrap();
        assert_eq!((again.seed, again.round, &again.spared), (7, 1, &facts.protected));
        assert_eq!(Some(&again.selection), by_name(&facts).selection.as_ref());
        insta::assert_snapshot!(plan.notes[1], @"chosen again in each of the 6 further rounds among the processes that fit the target then");
    }

    #[test]
    fn refuses_what_must_not_or_cannot_be_killed() {
        let mut facts = host();
        let shell = process(90, "bash");
        facts.processes.push(shell);
        facts.processes.iter_mut().find(|one| one.identity.pid == 100).unwrap().parent = 90;
        let mut thread = process(9, "kworker/0:1");
        thread.kernel_thread = true;
        facts.processes.push(thread);
        let mut dead = process(300, "ghost");
        dead.state = 'Z';
        facts.processes.push(dead);
        let pids = |pids: &[i32]| refusal("{}", &scope_of(&facts, pids), &facts);
        insta::assert_snapshot!(pids(&[1]), @"init (1) may not be touched: it is process 1, without which the host stops");
        insta::assert_snapshot!(pids(&[100, 200]), @"faultline (100) may not be touched: it is Faultline itself");
        insta::assert_snapshot!(pids(&[90]), @"bash (90) may not be touched: Faultline runs below it");
        insta::assert_snapshot!(pids(&[9]), @"kworker/0:1 (9) may not be touched: it is a kernel thread");
        insta::assert_snapshot!(pids(&[300]), @"no living process is left of the target");
        insta::assert_snapshot!(
            refusal("{}", &Scope::default(), &facts),
            @"it needs processes, and the target is a whole host or network namespace"
        );
    }

    #[test]
    fn refuses_parameters_that_make_no_sense() {
        let facts = host();
        let ask = |fault: &str| refusal(fault, &by_name(&facts), &facts);
        insta::assert_snapshot!(ask(r#"{ "signal": "SIGSTOP" }"#), @"SIGSTOP does not end a process");
        insta::assert_snapshot!(ask(r#"{ "signal": 9, "grace": "1s" }"#), @"`grace` after SIGKILL has no meaning: nothing survives it");
        insta::assert_snapshot!(ask(r#"{ "every": "5ms" }"#), @"`every: 5ms` is shorter than 100ms");
        insta::assert_snapshot!(ask(r#"{ "every": "2m" }"#), @"`every: 2m` is longer than the fault lasts (1m)");
        insta::assert_snapshot!(
            refusal(r#"{ "every": "10s" }"#, &scope_of(&facts, &[200]), &facts),
            @"`every` needs a target that finds the successors of the killed, and a process number never comes back"
        );
    }
}
