//! Markdown for the summaries of CI systems and for comments: what matters first, the rest folded away.

use std::fmt::Write as _;

use super::{FaultProgress, FaultReport, LinkState, RunReport, notation};
use crate::hypothesis::verdict::{Phase, RunVerdict, Verdict};
use crate::score::text::trend;

/// The report as Markdown (GitHub's, which others read too).
pub(super) fn render(report: &RunReport) -> String {
    let mut out = String::new();
    headline(&mut out, report);
    if let Some(again) = &report.judged_again {
        let lines: Vec<String> = again.sentences().iter().map(|line| format!("- {}\n", text(line))).collect();
        line_of(&mut out, format_args!("{}", lines.concat()));
    }
    chain(&mut out, report);
    objectives(&mut out, report);
    guardrails(&mut out, report);
    if let Some(budget) = &report.budget {
        out.push_str("\n### Error budget\n\n");
        line_of(&mut out, format_args!("{}", text(&budget.sentence)));
    }
    service_score(&mut out, report);
    hosts(&mut out, report);
    for fault in &report.faults {
        one_fault(&mut out, fault);
    }
    if !report.unknown.is_empty() {
        out.push_str("\n### Not known\n\n");
        for line in &report.unknown {
            line_of(&mut out, format_args!("- {}", text(line)));
        }
    }
    let run = &report.run;
    line_of(&mut out, format_args!(""));
    line_of(
        &mut out,
        format_args!(
            "<sub>Run {} of {} on {}, {}, {} long, seed {}, faultline {}. Exit code {}.</sub>",
            code(&run.id),
            code(&run.file),
            text(&run.host),
            text(&notation::wall_clock(&run.started)),
            notation::seconds(run.duration),
            run.seed,
            text(&run.version),
            report.exit_code
        ),
    );
    out
}

fn line_of(out: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{line}");
}

/// A text as it is: nothing in it is taken for markup, a link or a mention.
pub(crate) fn text(raw: &str) -> String {
    let mut out = String::new();
    for character in notation::one_line(raw).chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(character);
            }
            character => out.push(character),
        }
    }
    out
}

/// A text as code, inside a table too.
pub(crate) fn code(raw: &str) -> String {
    let raw = notation::one_line(raw);
    let escaped = raw.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('@', "&#64;");
    let escaped = escaped.replace('|', "&#124;").replace('`', "&#96;").replace('*', "&#42;").replace('_', "&#95;");
    let escaped = escaped.replace('[', "&#91;").replace('\\', "&#92;").replace('~', "&#126;");
    format!("<code>{escaped}</code>")
}

fn headline(out: &mut String, report: &RunReport) {
    let sign = match report.verdict {
        RunVerdict::Held => "✅",
        RunVerdict::Violated | RunVerdict::CleanupUnverified | RunVerdict::Aborted => "❌",
        _ => "⚠️",
    };
    let verdict = notation::run_verdict(report.verdict);
    line_of(out, format_args!("## {sign} {verdict}: {}\n", text(&report.run.experiment)));
    line_of(out, format_args!("**{}**\n", text(&report.because)));
    line_of(out, format_args!("> {}\n", text(&report.run.hypothesis)));
}

fn chain(out: &mut String, report: &RunReport) {
    out.push_str("| | Evidence | |\n|---|---|---|\n");
    for link in &report.chain {
        let (sign, word) = match link.state {
            LinkState::Proven => ("✅", "proven"),
            LinkState::Broken => ("❌", "broken"),
            LinkState::Unproven => ("⚠️", "unproven"),
            LinkState::NotReached => ("➖", "not reached"),
        };
        line_of(out, format_args!("| {sign} {word} | {} | {} |", text(&link.name), text(&link.detail)));
    }
}

fn objectives(out: &mut String, report: &RunReport) {
    out.push_str("\n### Objectives\n\n| Objective | Before | During | After |\n|---|---|---|---|\n");
    for row in &report.objectives {
        let cell = |phase: Phase| match row.phases.iter().find(|found| found.phase == phase) {
            Some(found) => {
                let sign = match found.verdict {
                    Verdict::Held => "✅",
                    Verdict::Violated => "❌",
                    Verdict::Inconclusive | Verdict::NoData => "⚠️",
                };
                let effect =
                    found.effect.as_ref().map(|effect| format!("<br>{}", text(&effect.text))).unwrap_or_default();
                format!("{sign} {}<br>{}{effect}", notation::verdict(found.verdict), text(&found.measured_text))
            }
            None => "➖ not judged".into(),
        };
        let cells = [Phase::Before, Phase::During, Phase::After].map(cell).join(" | ");
        line_of(out, format_args!("| {} | {cells} |", text(&row.description)));
    }
    for row in &report.objectives {
        for found in row.phases.iter().filter(|found| found.verdict != Verdict::Held) {
            line_of(
                out,
                format_args!(
                    "\n- **{}** ({}): {}",
                    text(&row.description),
                    notation::phase(found.phase),
                    text(&found.because)
                ),
            );
        }
    }
}

fn guardrails(out: &mut String, report: &RunReport) {
    if report.guardrails.is_empty() {
        return;
    }
    out.push_str("\n### Guardrails\n\n");
    for row in &report.guardrails {
        let state = match (row.breached_at, &row.because) {
            (Some(at), because) => {
                let because = text(because.as_deref().unwrap_or_default());
                format!("❌ breached after {}: {because}", notation::seconds(at))
            }
            (None, _) => "✅ not breached".into(),
        };
        line_of(out, format_args!("- {}: {state}", text(&row.description)));
    }
}

fn service_score(out: &mut String, report: &RunReport) {
    let Some(score) = &report.service_score else { return };
    line_of(out, format_args!("\n### Resilience of {}\n", text(&score.service)));
    line_of(out, format_args!("{}", text(&score.sentence())));
    if let Some(trend) = trend(&score.trend) {
        line_of(out, format_args!("\n{}", code(&trend)));
    }
    if !score.advice.is_empty() {
        out.push_str("\nWhat would raise it most:\n\n");
    }
    for advice in &score.advice {
        line_of(out, format_args!("- +{:.1}: {}", advice.gain, text(&advice.sentence)));
    }
}

fn hosts(out: &mut String, report: &RunReport) {
    if !report.drift.is_empty() {
        out.push_str("\n### Since the plan was made\n\n");
        for line in &report.drift {
            line_of(out, format_args!("- {}", text(line)));
        }
    }
    for host in &report.hosts {
        let sign = match (host.was_lost(), host.clean) {
            (false, _) => "➖",
            (true, true) => "⚠️",
            (true, false) => "❌",
        };
        line_of(out, format_args!("\n### {sign} Host {}: {}\n", text(&host.host), host.outcome()));
        for moment in &host.events {
            line_of(out, format_args!("- {}: {}", notation::clock(moment.at), text(&moment.note)));
        }
        for line in &host.said {
            line_of(out, format_args!("- said: {}", text(line)));
        }
    }
}

fn one_fault(out: &mut String, fault: &FaultReport) {
    let progress = match fault.progress {
        FaultProgress::Planned => "only planned",
        FaultProgress::Failed => "could not be put in place",
        FaultProgress::Undone => "undone and verified",
        FaultProgress::UndoUnverified => "undo NOT verified",
        FaultProgress::InPlace => "no undo recorded",
    };
    line_of(out, format_args!("\n### Fault {} on {}: {progress}\n", text(&fault.fault), text(&fault.target)));
    if let Some(at) = fault.lost_at {
        let at = notation::clock(at);
        line_of(out, format_args!("Lost with its host at {at}: what is measured counts for nothing.\n"));
    }
    if let Some(failure) = &fault.failure {
        line_of(out, format_args!("{}\n", text(failure)));
    }
    if !fault.dose.is_empty() {
        out.push_str("| Dose | Asked | Measured | | By |\n|---|---:|---:|---:|---|\n");
        for row in &fault.dose {
            let number =
                |number: Option<f64>| number.map_or_else(|| "–".into(), |n| text(&notation::measure(n, &row.unit)));
            let misses = row.asked.zip(row.measured).and_then(|(asked, measured)| notation::deviation(asked, measured));
            line_of(
                out,
                format_args!(
                    "| {} | {} | {} | {} | {} |",
                    text(&row.name),
                    number(row.asked),
                    number(row.measured),
                    misses.unwrap_or_default(),
                    text(row.by.as_deref().unwrap_or_default())
                ),
            );
        }
    }
    out.push_str("\n<details><summary>Targets, steps and their undo</summary>\n\n");
    for target in &fault.plan.targets {
        line_of(out, format_args!("- target: {}", text(target)));
    }
    for change in &fault.changes {
        line_of(out, format_args!("- changed: {}", text(change)));
    }
    for step in &fault.steps {
        if let Some(does) = &step.does {
            line_of(out, format_args!("- step: {}", text(does)));
        }
        let sign = match (&step.outcome, step.clean) {
            (Some(_), true) => "✅",
            (None, true) => "➖",
            (_, false) => "❌",
        };
        let outcome = step.outcome.as_deref().unwrap_or("not recorded");
        line_of(out, format_args!("- undo: {}: {sign} {}", text(&step.undo), text(outcome)));
        if let Some(manual) = &step.manual {
            line_of(out, format_args!("- by hand: {}", code(manual)));
        }
    }
    out.push_str("\n</details>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{self, Ending};

    #[test]
    fn every_ending() {
        for ending in Ending::ALL {
            let report = fixture::report(ending);
            insta::assert_snapshot!(format!("markdown-{}", ending.name()), render(&report));
        }
    }

    #[test]
    fn hosts_that_vanish_come_back_and_join() {
        insta::assert_snapshot!("markdown-fleet", render(&fixture::fleet_report()));
    }

    #[test]
    fn the_score_of_the_service_before_and_after() {
        let report = RunReport { service_score: Some(fixture::service_score()), ..fixture::report(Ending::Held) };
        let text = render(&report);
        let (_, section) = text.split_once("### Resilience").unwrap();
        insta::assert_snapshot!("markdown-resilience", section.split_once("### ").unwrap().0);
    }

    #[test]
    fn hostile_names_stay_text() {
        let text = render(&RunReport::from_entries(&fixture::hostile()).unwrap());
        assert!(!text.contains("<script") && !text.contains('\u{1b}') && !text.contains("@everyone"), "{text}");
        assert!(!text.contains("[x]("), "{text}");
        // Every row of the table of objectives still has its four cells.
        let rows: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("| Objective")).take(6).collect();
        for row in rows {
            assert_eq!(row.replace("\\|", "").matches('|').count(), 5, "{row}");
        }
    }
}
