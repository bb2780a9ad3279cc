use super::{PlanContext, PlanError};
use crate::facts::{ProcessFacts, ProcessSelector, Protection};
use crate::identity::ProcessIdentity;

/// The processes that a fault may touch, out of what the target resolved to.
pub(super) struct ProcessScope {
    /// Those that live, in order, each once.
    pub(super) chosen: Vec<ProcessFacts>,
    /// All processes of the host.
    pub(super) all: Vec<ProcessFacts>,
    /// Which of them are spared, and why.
    pub(super) protection: Protection,
}

impl ProcessScope {
    /// Finds them, and refuses the plan as a whole if it would meet one that is spared: silently leaving it out would
    /// make the blast radius another one than was asked.
    pub(super) fn of(context: &PlanContext<'_>) -> Result<Self, PlanError> {
        let all = context.facts.processes()?;
        let protection = Protection::of(&all, &context.facts.protected());
        let mut chosen = match (&context.scope.processes, &context.scope.cgroup) {
            (Some(processes), _) => processes.clone(),
            (None, Some(cgroup)) => {
                let selector = ProcessSelector { cgroup: Some(cgroup.clone()), ..ProcessSelector::default() };
                let matcher = selector.matcher().map_err(|error| PlanError::parameter(error.to_string(), ""))?;
                all.iter().filter(|process| matcher.matches(process)).cloned().collect()
            }
            (None, None) => {
                return Err(PlanError::no_target(
                    "it needs processes, and the target is a whole host or network namespace",
                    "give the target `process:`, `service:` or `cgroup:`, and name it with `on:`",
                ));
            }
        };
        chosen.retain(|process| !matches!(process.state, 'Z' | 'X'));
        chosen.sort_by_key(|process| process.identity);
        chosen.dedup_by_key(|process| process.identity);
        if chosen.is_empty() {
            return Err(PlanError::no_target(
                "no living process is left of the target",
                "see which there are with `ps -e`, and whether the target names them",
            ));
        }
        let spared = |process: &&ProcessFacts| process.kernel_thread || protection.reason(process.identity).is_some();
        if let Some(process) = chosen.iter().find(spared) {
            let reason = protection.reason(process.identity).unwrap_or("it is a kernel thread");
            return Err(PlanError::refused(
                format!("{} ({}) may not be touched: {reason}", process.name, process.identity),
                "narrow the target so that it leaves this process out, by name, command line, port or user",
            ));
        }
        Ok(Self { chosen, all, protection })
    }

    /// The identities of those chosen.
    pub(super) fn identities(&self) -> Vec<ProcessIdentity> {
        self.chosen.iter().map(|process| process.identity).collect()
    }

    /// One line for each, by which a person can check it.
    pub(super) fn describe(&self) -> Vec<String> {
        self.chosen.iter().map(describe).collect()
    }

    /// All that descend from those chosen and are not among them, as far as they may be touched.
    pub(super) fn descendants(&self) -> Vec<ProcessFacts> {
        let mut found: Vec<ProcessFacts> = Vec::new();
        loop {
            let known = |pid: i32| self.chosen.iter().chain(&found).any(|process| process.identity.pid == pid);
            let next: Vec<_> = self
                .all
                .iter()
                .filter(|process| known(process.parent) && !known(process.identity.pid))
                .filter(|process| process.state != 'Z' && self.protection.reason(process.identity).is_none())
                .cloned()
                .collect();
            if next.is_empty() {
                return found;
            }
            found.extend(next);
        }
    }
}

/// `nginx (42), listening on 80, 443: nginx: master process`.
pub(super) fn describe(process: &ProcessFacts) -> String {
    const LONGEST: usize = 100;
    let ports: Vec<_> = process.listens_on.iter().map(ToString::to_string).collect();
    let listening = if ports.is_empty() { String::new() } else { format!(", listening on {}", ports.join(", ")) };
    let line = process.command_line.join(" ");
    let cut: String = line.chars().take(LONGEST).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let more = if cut.len() < line.len() { "…" } else { "" };
    let command = if cut.is_empty() { String::new() } else { format!(": {cut}{more}") };
    format!("{} ({}){listening}{command}", process.name, process.identity)
}
