//! The sections of the page that are words and tables.

use faultline_agent::plan::Bite;
use maud::{Markup, html};

use crate::hypothesis::verdict::{Phase, Verdict};
use crate::report::model::{
    FaultProgress, FaultReport, GuardrailRow, HostReport, MomentKind, ObjectiveRow, PhaseVerdict, RunReport, StepReport,
};
use crate::report::notation::{self, one_line};

const PHASES: [Phase; 3] = [Phase::Before, Phase::During, Phase::After];

/// A verdict as a pill: sign, word and colour say the same.
pub(crate) fn pill(class: &str, sign: &str, word: &str) -> Markup {
    html! { span.pill.(class) { span aria-hidden="true" { (sign) } " " (word) } }
}

fn verdict_pill(verdict: Verdict) -> Markup {
    match verdict {
        Verdict::Held => pill("good", "✓", "held"),
        Verdict::Violated => pill("bad", "✕", "violated"),
        Verdict::Inconclusive => pill("open", "?", "inconclusive"),
        Verdict::NoData => pill("open", "?", "no data"),
    }
}

/// The objectives by phase, and the guardrails.
pub(super) fn objectives(report: &RunReport) -> Markup {
    html! {
        section #objectives {
            h2 { "Objectives" }
            div.card.scroll {
                table.verdicts {
                    thead { tr { th scope="col" { "Objective" } @for phase in PHASES { th scope="col" { (notation::phase(phase)) } } } }
                    tbody { @for row in &report.objectives { (objective(row)) } }
                }
            }
            @if !report.guardrails.is_empty() {
                h3.above { "Guardrails" }
                div.card.scroll {
                    table.verdicts { tbody { @for row in &report.guardrails { (guardrail(row, report.run.finished)) } } }
                }
            }
            @if let Some(budget) = &report.budget {
                h3.above { "Error budget" }
                p { (one_line(&budget.sentence)) }
            }
        }
    }
}

fn objective(row: &ObjectiveRow) -> Markup {
    html! {
        tr {
            th scope="row" { (one_line(&row.description)) }
            @for phase in PHASES {
                td data-phase=(notation::phase(phase)) {
                    @match row.phases.iter().find(|found| found.phase == phase) {
                        Some(found) => { (cell(found)) }
                        None => { (pill("none", "–", "not judged")) }
                    }
                }
            }
        }
    }
}

fn cell(found: &PhaseVerdict) -> Markup {
    html! {
        (verdict_pill(found.verdict))
        span.measured { (one_line(&found.measured_text)) }
        small {
            (one_line(&found.because))
            @if let Some(effect) = &found.effect { " · " (one_line(&effect.text)) }
            " · may err in " (notation::number(found.error_rate * 100.0)) "%"
        }
    }
}

fn guardrail(row: &GuardrailRow, finished: bool) -> Markup {
    html! {
        tr {
            th scope="row" { (one_line(&row.description)) }
            td {
                @match (row.breached_at, finished) {
                    (Some(at), _) => {
                        (pill("bad", "✕", "breached"))
                        span.measured { "after " (notation::seconds(at)) }
                        @if let Some(because) = &row.because { small { (one_line(because)) } }
                    }
                    (None, true) => { (pill("good", "✓", "not breached")) }
                    (None, false) => { (pill("open", "?", "not breached before the journal ends")) }
                }
            }
        }
    }
}

/// What is different since the plan was made, and the hosts that vanished, restarted or joined.
pub(super) fn hosts(report: &RunReport) -> Markup {
    html! {
        @if !report.hosts.is_empty() || !report.drift.is_empty() {
            section #hosts {
                h2 { "Hosts" }
                @if !report.drift.is_empty() {
                    div.card {
                        h3 { "Since the plan was made" }
                        ul { @for line in &report.drift { li { (one_line(line)) } } }
                    }
                }
                @for host in &report.hosts { (one_host(host)) }
            }
        }
    }
}

fn one_host(host: &HostReport) -> Markup {
    let (class, sign) = match (host.was_lost(), host.clean) {
        (false, _) => ("none", "–"),
        (true, true) => ("open", "?"),
        (true, false) => ("bad", "✕"),
    };
    html! {
        article.card.fault-card {
            header.card-head {
                h3 { (one_line(&host.host)) }
                div.pills { (pill(class, sign, host.outcome())) }
            }
            @for moment in &host.events { p { (notation::clock(moment.at)) " " (one_line(&moment.note)) } }
            @for line in &host.said { p.note { "Said: " (one_line(line)) } }
        }
    }
}

/// Each fault: dose, steps and undo.
pub(super) fn faults(report: &RunReport) -> Markup {
    html! {
        section #faults {
            h2 { "Faults" }
            @for fault in &report.faults { (one_fault(fault)) }
            @if report.faults.is_empty() { p.empty { "No fault was planned." } }
        }
    }
}

fn progress_pill(progress: FaultProgress) -> Markup {
    match progress {
        FaultProgress::Planned => pill("none", "–", "only planned"),
        FaultProgress::Failed => pill("open", "?", "not applied"),
        FaultProgress::Undone => pill("good", "✓", "undone and verified"),
        FaultProgress::UndoUnverified => pill("bad", "✕", "undo not verified"),
        FaultProgress::InPlace => pill("bad", "✕", "no undo recorded"),
    }
}

fn one_fault(fault: &FaultReport) -> Markup {
    html! {
        article.card.fault-card {
            header.card-head {
                h3 { (one_line(&fault.fault)) " " span.on { "on " (one_line(&fault.target)) } }
                div.pills { (bite_pill(fault)) (progress_pill(fault.progress)) }
            }
            @if let Some(failure) = &fault.failure { p.failure { (one_line(failure)) } }
            @if !fault.plan.targets.is_empty() {
                ul.targets { @for target in &fault.plan.targets { li { (one_line(target)) } } }
            }
            @if !fault.changes.is_empty() {
                ul.targets { @for change in &fault.changes { li { (one_line(change)) } } }
            }
            (dose(fault))
            (life(fault))
            h4 { "Steps and their undo" }
            ol.steps { @for item in &fault.steps { (step(item, fault.progress)) } }
            p.note { "After a crash: " (fault.undo_class.describe()) "." }
            @for note in &fault.plan.notes { p.note { (one_line(note)) } }
        }
    }
}

fn bite_pill(fault: &FaultReport) -> Markup {
    match &fault.bite {
        Some(Bite::Yes) => pill("good", "✓", "proven to act"),
        Some(Bite::No(_)) => pill("bad", "✕", "no effect"),
        Some(Bite::NotYet(_)) | None => pill("open", "?", "effect not proven"),
    }
}

fn dose(fault: &FaultReport) -> Markup {
    html! {
        @if !fault.dose.is_empty() {
            h4 { "Dose" }
            div.scroll {
                table.numbers.dose {
                    thead { tr { th scope="col" { "measure" } th scope="col" { "asked" } th scope="col" { "measured" } th scope="col" { "off by" } th.text scope="col" { "how it was measured" } } }
                    tbody {
                        @for row in &fault.dose {
                            @let number = |number: Option<f64>| number.map_or_else(|| "–".into(), |number| notation::measure(number, &one_line(&row.unit)));
                            @let misses = row.asked.zip(row.measured).and_then(|(asked, measured)| notation::deviation(asked, measured));
                            tr {
                                th scope="row" { (one_line(&row.name)) }
                                td { (number(row.asked)) }
                                td { strong { (number(row.measured)) } }
                                td { (misses.unwrap_or_else(|| "–".into())) }
                                td.text { (one_line(row.by.as_deref().unwrap_or(if row.measured.is_none() { "not measured" } else { "" }))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The times of a fault.
fn life(fault: &FaultReport) -> Markup {
    let mut facts: Vec<(&str, String)> = Vec::new();
    if let (Some(at), Some(took)) = (fault.injected_at, fault.injection_took) {
        facts.push(("In place", format!("at {}, {} after the command", notation::clock(at), notation::seconds(took))));
    }
    if let Some(at) = fault.lost_at {
        facts.push(("Lost with its host", format!("at {}: what is measured counts for nothing", notation::clock(at))));
    }
    if let Some(at) = fault.bit_at {
        facts.push(("Seen to act", format!("at {}", notation::clock(at))));
    }
    if let (Some(at), Some(took)) = (fault.undone_at, fault.undo_took) {
        facts.push(("Undone", format!("at {}, in {}", notation::clock(at), notation::seconds(took))));
    }
    match &fault.bite {
        Some(Bite::No(why)) => facts.push(("No effect", one_line(why))),
        Some(Bite::NotYet(why)) => facts.push(("Effect not proven", one_line(why))),
        _ => {}
    }
    html! {
        @if !facts.is_empty() { dl.facts { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } } }
    }
}

fn step(step: &StepReport, progress: FaultProgress) -> Markup {
    let outcome = match (&step.outcome, step.clean, progress) {
        (Some(outcome), true, _) => pill("good", "✓", &one_line(outcome)),
        (Some(outcome), false, _) => pill("bad", "✕", &one_line(outcome)),
        (None, _, FaultProgress::Planned | FaultProgress::Failed) => pill("none", "–", "not needed"),
        (None, true, _) => pill("none", "–", "not recorded by itself"),
        (None, false, _) => pill("bad", "✕", "not recorded"),
    };
    html! {
        li {
            @if let Some(does) = &step.does { p { span.tag { "do" } span { (one_line(does)) } } }
            p { span.tag { "undo" } span { (one_line(&step.undo)) " " (outcome) } }
            @if let Some(manual) = &step.manual { p { span.tag { "by hand" } code { (one_line(manual)) } } }
        }
    }
}

/// What happened, in order.
pub(super) fn timeline(report: &RunReport) -> Markup {
    html! {
        section #timeline {
            h2 { "Timeline" }
            ol.timeline.card {
                @for moment in &report.timeline {
                    li.(kind(moment.kind)) {
                        time { (notation::clock(moment.at)) }
                        span.dot aria-hidden="true" {}
                        p { (one_line(&moment.text)) }
                    }
                }
            }
        }
    }
}

/// The class of a moment.
pub(crate) fn kind(kind: MomentKind) -> &'static str {
    match kind {
        MomentKind::Run => "run",
        MomentKind::Service => "service",
        MomentKind::Fault => "fault",
        MomentKind::Undo => "undo",
        MomentKind::Alarm => "alarm",
        MomentKind::Verdict => "verdict",
    }
}

/// The services that the run started.
pub(super) fn services(report: &RunReport) -> Markup {
    html! {
        @if !report.services.is_empty() {
            section #services {
                h2 { "Services" }
                div.card.scroll {
                    table.plain {
                        thead { tr { th scope="col" { "service" } th scope="col" { "what became of it" } } }
                        tbody {
                            @for service in &report.services {
                                tr {
                                    th scope="row" { (one_line(&service.name)) }
                                    td { @for change in &service.changes { div { (notation::clock(change.at)) " " (one_line(&change.change)) } } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The document itself.
pub(super) fn document(report: &RunReport) -> Markup {
    let yaml =
        serde_saphyr::to_string(&report.experiment).unwrap_or_else(|error| format!("# cannot be shown: {error}"));
    let lines: Vec<String> = yaml.lines().map(one_line).collect();
    html! {
        section #document {
            h2 { "Document" }
            details.card {
                summary { "The experiment as it was run, after " code { "--set" } ", with every default written out" }
                pre { code { (lines.join("\n")) } }
            }
        }
    }
}
