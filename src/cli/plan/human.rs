use std::fmt::Write as _;

use faultline_agent::plan::{Plan, Step};

use super::{ExperimentPlan, FaultPlan, ObjectivePlan, PlanOutcome, StepPlan};
use crate::experiment::document::ServiceNetwork;

/// The plan as people read it.
pub(super) fn render(plan: &ExperimentPlan) -> String {
    let mut text = format!("{}\n  {}\n\n", plan.experiment, plan.hypothesis.trim());
    let network = match plan.network {
        ServiceNetwork::Private => "private: made for the run, loopback only, gone with it",
        ServiceNetwork::Host => "the host's own",
    };
    let _ = writeln!(text, "network   {network}");
    if !plan.services.is_empty() {
        let _ = writeln!(text, "services  {} (started and taken down by the run)", plan.services.join(", "));
    }
    for slo in &plan.slos {
        let _ = writeln!(text, "slo       {slo}");
    }
    if let Some(budget) = &plan.budget {
        let _ = writeln!(text, "budget    {budget}");
    }
    let drawn = if plan.seed_drawn { " (drawn now; `--seed` makes a run choose the same)" } else { "" };
    let _ = writeln!(text, "seed      {}{drawn}", plan.seed);
    if let Some(reason) = &plan.halted {
        let _ = writeln!(text, "HALTED    {reason}; nothing is injected until `faultline halt --release`");
    }
    text += "\n";
    let mut injected = false;
    for step in &plan.steps {
        text += &one(step, injected);
        injected |= step.inject.is_some();
    }
    text += &objectives(plan);
    let _ = writeln!(text, "\nThen everything must be steady again within {}. Nothing was touched.", plan.recovery);
    match &plan.private_path {
        Some(path) => text
            .replace(&format!("network namespace {path}"), "the run's private network")
            .replace(path, "/proc/PID/ns/net"),
        None => text,
    }
}

/// What each objective needs, and which bursts are known.
fn objectives(plan: &ExperimentPlan) -> String {
    let mut lines = Lines::default();
    for ObjectivePlan { objective, needs, because, too_short } in &plan.objectives {
        let needs = needs.map_or("?".into(), |needs| needs.to_string());
        let short = too_short.as_ref().map_or_else(String::new, |short| format!("; TOO SHORT: {short}"));
        lines.add(&needs, [format!("{objective} ({because}{short})")]);
    }
    let mut text = String::new();
    if !lines.0.is_empty() {
        text = format!("\nTo decide, the baseline and the faults must each last:\n{}", lines.0);
    }
    if let Some(bursts) = plan.bursts {
        let _ = writeln!(
            text,
            "Bursts of errors up to {bursts} show in this baseline; a guardrail takes longer ones for harm."
        );
    }
    text
}

fn one(step: &StepPlan, injected: bool) -> String {
    let StepPlan { number, lasts, inject } = step;
    match inject {
        None if injected => format!("{number}. observe for {lasts}\n"),
        None => format!("{number}. observe for {lasts}: the baseline\n"),
        Some(fault) => format!("{number}. inject {} on {} for {lasts}\n{}", fault.fault, fault.target, details(fault)),
    }
}

fn details(fault: &FaultPlan) -> String {
    let mut lines = Lines::default();
    lines.add("settings", [parameters(&fault.parameters)].into_iter().filter(|settings| !settings.is_empty()));
    match &fault.outcome {
        PlanOutcome::Resolved { targets, plan } => {
            lines.add("target", targets.iter().cloned());
            resolved(plan, &mut lines);
        }
        PlanOutcome::AtTheRun { because } => lines.add("at the run", [because.clone()]),
        PlanOutcome::Impossible { because, hint, .. } => {
            lines.add("IMPOSSIBLE", [because.clone()]);
            lines.add("hint", hint.clone());
        }
    }
    lines.add("after a crash", [fault.undo.describe().to_owned()]);
    lines.0
}

fn resolved(plan: &Plan, lines: &mut Lines) {
    let dose = plan.dose.iter().map(|dose| format!("{}: {} {}", dose.name, dose.asked, dose.unit));
    lines.add("dose", dose);
    for step in &plan.steps {
        lines.add("step", [step.describe()]);
        lines.add("undo", [undo(step)]);
    }
    lines.add("note", plan.notes.iter().cloned());
}

fn undo(step: &Step) -> String {
    let undo = step.describe_undo();
    let by_hand = step.manual_undo();
    if by_hand == "true" { undo } else { format!("{undo} (by hand: {by_hand})") }
}

/// `delay: 100ms, peers: { ports: [5432] }`.
fn parameters(value: &serde_json::Value) -> String {
    use serde_json::Value;
    fn flow(value: &Value) -> String {
        match value {
            Value::String(text) => text.clone(),
            Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
            Value::Object(_) => format!("{{ {} }}", parameters(value)),
            other => other.to_string(),
        }
    }
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(key, value)| format!("{key}: {}", flow(value))).collect::<Vec<_>>().join(", ")
}

/// Lines below a step, each with its word in front.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, word: &str, values: impl IntoIterator<Item = String>) {
        for value in values {
            let _ = writeln!(self.0, "     {word:<14} {value}");
        }
    }
}
