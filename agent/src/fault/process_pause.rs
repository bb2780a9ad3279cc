use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::process_scope::{self, ProcessScope};
use super::{Fault, PlanContext, PlanError};
use crate::facts::{Need, ProcessSelector};
use crate::plan::step::{self, Beat, CgroupFreeze};
use crate::plan::{Dose, Plan, Step, UndoClass};
use crate::units::TimeSpan;

/// The shortest pause and the shortest time between two: below, the scheduler decides more than we do.
const SHORTEST: TimeSpan = TimeSpan::from_millis(10);

/// Stops processes and continues them later.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessPause {
    /// By what means: the freezer where the target is a whole cgroup, signals otherwise, unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<PauseBy>,
    /// Whether everything that descends from the target is stopped too, children that it starts meanwhile included.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub descendants: bool,
    /// How long each pause is, with `every`; throughout if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<TimeSpan>,
    /// The time from the beginning of one pause to that of the next, with `pause`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<TimeSpan>,
}

/// By what means processes are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PauseBy {
    /// `SIGSTOP` and `SIGCONT` to each process.
    Signal,
    /// `cgroup.freeze` of the whole cgroup (v2).
    Freezer,
}

impl Fault for ProcessPause {
    const NAME: &'static str = "process-pause";
    const SUMMARY: &'static str = "Stops processes where they are, and continues them later";
    const DETAILS: &'static str = "\
The process is there, its connections stay open, and nothing answers: as in a long garbage collection, a frozen virtual \
machine, or a page fault on a lost disk.\n\n\
**Signals.** Each process gets `SIGSTOP` by its process descriptor (pidfd), and every one of its threads is seen in \
state `T`. The undo sends `SIGCONT` to exactly those that are still stopped: a process that somebody else had stopped \
before is left out of the plan and never continued, and one that somebody else continued meanwhile is told, not \
touched. `descendants` takes the processes below the target along, and repeats until nobody is left who could start \
another. With `pause` and `every` they are stopped and continued in turn.\n\n\
A stop by signal can be seen: the parent gets `SIGCHLD`, a shell prints `Stopped`, supervisors that wait with \
`WUNTRACED` notice, and a program that handles `SIGCONT` runs its handler after the undo. Sleeps and timeouts of the \
program go on counting; those that ended during the pause end at once after it.\n\n\
**Freezer.** Where the target is a whole cgroup (v2), `cgroup.freeze` stops everything in it at once, new processes \
included, and no program or parent can tell. A cgroup that is frozen already is refused, and so is one in which \
Faultline itself runs.\n\n\
Refused: process 1, kernel threads, Faultline itself, its guard, and all processes from which they descend.";
    const UNDO: UndoClass = UndoClass::Guard;
    const NEEDS: &'static [Need] = &[Need::ProcessDescriptors];
    const EXAMPLE: &'static str = "process-pause: { descendants: true, pause: 2s, every: 10s }\n";

    fn check(&self) -> Result<(), PlanError> {
        match (self.pause, self.every) {
            (None, None) => {}
            (Some(pause), Some(every)) if pause >= every => {
                return Err(PlanError::parameter(
                    format!("`pause: {pause}` is not shorter than `every: {every}`"),
                    "leave time to run between two pauses, or leave both out to pause throughout",
                ));
            }
            (Some(pause), Some(every)) => {
                if pause < SHORTEST || every.duration() - pause.duration() < SHORTEST.duration() {
                    return Err(PlanError::parameter(
                        format!("a pause or the time between two pauses is shorter than {SHORTEST}"),
                        "choose longer times",
                    ));
                }
            }
            (Some(_), None) | (None, Some(_)) => {
                return Err(PlanError::parameter(
                    "`pause` and `every` go together",
                    "give both, as in `pause: 2s, every: 10s`, or neither to pause throughout",
                ));
            }
        }
        if self.by == Some(PauseBy::Freezer) && (self.pause.is_some() || self.descendants) {
            return Err(PlanError::parameter(
                "`pause`, `every` and `descendants` do not go with `by: freezer`",
                "a freezer takes the whole cgroup, descendants included, throughout; use `by: signal`",
            ));
        }
        Ok(())
    }

    fn plan(&self, context: PlanContext<'_>) -> Result<Plan, PlanError> {
        self.check()?;
        let scope = ProcessScope::of(&context)?;
        let wanted = self.by.unwrap_or(if self.pause.is_some() { PauseBy::Signal } else { PauseBy::Freezer });
        if wanted == PauseBy::Freezer {
            match freeze(&context, &scope) {
                Ok(step) => return Ok(plan(&context, &scope, Step::CgroupFreeze(step), Vec::new())),
                Err(refused @ PlanError::Refused { .. }) => return Err(refused),
                Err(error) if self.by == Some(PauseBy::Freezer) => return Err(error),
                // Not a whole cgroup: signals reach what was asked, and no more.
                Err(_) => {}
            }
        }
        self.plan_by_signal(&context, scope)
    }
}

impl ProcessPause {
    fn plan_by_signal(&self, context: &PlanContext<'_>, mut scope: ProcessScope) -> Result<Plan, PlanError> {
        if self.descendants {
            let below = scope.descendants();
            scope.chosen.extend(below);
        }
        let is_stopped = |state: char| matches!(state, 'T' | 't');
        let (stopped, running): (Vec<_>, Vec<_>) =
            scope.chosen.iter().cloned().partition(|process| is_stopped(process.state));
        let notes: Vec<_> = stopped
            .iter()
            .map(|process| format!("{} is stopped already and is left alone", process_scope::describe(process)))
            .collect();
        if running.is_empty() {
            return Err(PlanError::no_target(
                format!("all of the target is stopped already: {}", notes.join("; ")),
                "continue it with `kill -CONT PID`, or choose other processes",
            ));
        }
        scope.chosen = running;
        let step = step::ProcessPause {
            processes: scope.identities(),
            descendants: self.descendants,
            spared: if self.descendants { context.facts.protected() } else { Vec::new() },
            beat: self.pause.zip(self.every).map(|(pause, every)| Beat { pause, every }),
        };
        Ok(plan(context, &scope, Step::ProcessPause(step), notes))
    }
}

fn plan(context: &PlanContext<'_>, scope: &ProcessScope, step: Step, notes: Vec<String>) -> Plan {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 processes")]
    let asked = scope.chosen.len() as f64;
    Plan {
        id: context.id.clone(),
        fault: ProcessPause::NAME.into(),
        targets: scope.describe(),
        dose: vec![Dose { name: "processes stopped".into(), asked, unit: "processes".into() }],
        steps: vec![step],
        notes,
    }
}

/// The freezer of the target's cgroup, if the target is all of it.
fn freeze(context: &PlanContext<'_>, scope: &ProcessScope) -> Result<CgroupFreeze, PlanError> {
    let no = |message: String| PlanError::unsupported(message, "leave `by` out, or use `by: signal`");
    let cgroup = context.scope.cgroup.as_ref().ok_or_else(|| no("the target is not a cgroup".into()))?;
    let shown = cgroup.display();
    let freezer = context
        .facts
        .freezer(cgroup)
        .ok_or_else(|| no(format!("cgroup {shown} has no cgroup.freeze (v2, not its root)")))?;
    let selector = ProcessSelector { cgroup: Some(cgroup.clone()), ..ProcessSelector::default() };
    let matcher = selector.matcher().map_err(|error| PlanError::parameter(error.to_string(), ""))?;
    let members: Vec<_> = scope.all.iter().filter(|process| matcher.matches(process)).collect();
    // Whoever may not be touched is told, even where the target left it out.
    if let Some((process, reason)) =
        members.iter().find_map(|process| Some((process, scope.protection.reason(process.identity)?)))
    {
        return Err(PlanError::refused(
            format!("cgroup {shown} cannot be frozen: {} ({}) is in it, and {reason}", process.name, process.identity),
            "start Faultline outside of the cgroup, or use `by: signal` with a narrower target",
        ));
    }
    let left_out = members.iter().find(|one| one.state != 'Z' && !scope.identities().contains(&one.identity));
    if let Some(process) = left_out {
        return Err(no(format!(
            "{} ({}) is in cgroup {shown} and was not chosen; a freezer takes all",
            process.name, process.identity
        )));
    }
    if freezer.frozen {
        return Err(PlanError::refused(
            format!("cgroup {shown} is frozen already, by somebody else"),
            format!("thaw it with `echo 0 > {}/cgroup.freeze` if nobody needs it frozen", freezer.folder.display()),
        ));
    }
    Ok(CgroupFreeze { folder: freezer.folder, inode: freezer.inode })
}

#[cfg(test)]
mod tests;
