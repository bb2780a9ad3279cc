//! Markdown for the summary of a job (`$GITHUB_STEP_SUMMARY`): the answer, a row an experiment, and below what needs a look.

use std::fmt::Write as _;

use super::{meaning, sign, standing, tally};
use crate::gate::GateResult;
use crate::gate::baseline::Change;
use crate::gate::result::{ExperimentResult, Standing};
use crate::hypothesis::verdict::Verdict;
use crate::report::markdown::{code, text};
use crate::report::notation;

pub(super) fn render(result: &GateResult) -> String {
    let mut out = String::new();
    let (sign, word) = if result.exit_code == 0 { ("✅", "passed") } else { ("❌", "failed") };
    line(&mut out, format_args!("## {sign} Chaos gate {word}\n"));
    line(
        &mut out,
        format_args!("**{}**, exit code {} ({})\n", tally(result), result.exit_code, meaning(result.exit_code)),
    );
    if let Some(by) = &result.interrupted {
        line(&mut out, format_args!("Interrupted by {}.\n", text(by)));
    }
    for note in &result.notes {
        line(&mut out, format_args!("> {}\n", text(note)));
    }
    out.push_str("| | Experiment | Verdict | Runs | Took | Why |\n|---|---|---|---:|---:|---|\n");
    for one in &result.experiments {
        row(&mut out, one);
    }
    for one in result.experiments.iter().filter(|one| needs_a_look(one)) {
        look(&mut out, one);
    }
    baseline(&mut out, result);
    let within = result.within.map(|within| format!(" of {}", notation::seconds(within))).unwrap_or_default();
    line(
        &mut out,
        format_args!(
            "\n<sub>{}, {}{within}, faultline {}.</sub>",
            text(&notation::wall_clock(&result.started)),
            notation::seconds(result.duration),
            text(&result.version)
        ),
    );
    out
}

fn row(out: &mut String, one: &ExperimentResult) {
    let took: f64 = one.attempts.iter().map(|attempt| attempt.duration).sum();
    let verdict = match (one.standing, one.verdict) {
        (Standing::Passed, _) | (_, None) => standing(one.standing).to_owned(),
        (kind, Some(verdict)) => format!("{}: {}", standing(kind), notation::run_verdict(verdict)),
    };
    line(
        out,
        format_args!(
            "| {} | {} | {} | {} | {} | {} |",
            sign(one).1,
            text(&one.experiment),
            verdict,
            one.attempts.len(),
            if one.attempts.is_empty() { "–".into() } else { notation::seconds(took) },
            text(&one.because)
        ),
    );
}

fn needs_a_look(one: &ExperimentResult) -> bool {
    one.standing != Standing::Passed || !one.notes.is_empty()
}

fn look(out: &mut String, one: &ExperimentResult) {
    line(out, format_args!("\n### {} {}: {}\n", sign(one).1, text(&one.experiment), standing(one.standing)));
    line(out, format_args!("{}:{}\n", code(&one.file), one.line));
    for note in &one.notes {
        line(out, format_args!("- {}", text(note)));
    }
    for (number, attempt) in one.attempts.iter().enumerate() {
        let run = attempt.run.as_deref().map(|run| format!(", run {}", code(run))).unwrap_or_default();
        let verdict = notation::run_verdict(attempt.verdict);
        line(out, format_args!("- attempt {}{run}: **{verdict}**: {}", number + 1, text(&attempt.because)));
        for row in &attempt.objectives {
            for found in row.phases.iter().filter(|found| found.verdict != Verdict::Held) {
                let (phase, verdict) = (notation::phase(found.phase), notation::verdict(found.verdict));
                let (description, because) = (text(&row.description), text(&found.because));
                line(out, format_args!("  - {description} ({phase}): {verdict}: {because}"));
            }
        }
    }
}

fn baseline(out: &mut String, result: &GateResult) {
    let Some(state) = &result.baseline else { return };
    let updated = if state.updated { "; these runs were added to it" } else { "" };
    line(out, format_args!("\n### Beside the baseline {}{updated}\n", text(&state.name)));
    out.push_str("| | Experiment | Objective | |\n|---|---|---|---|\n");
    for one in &result.experiments {
        for compared in &one.comparison {
            let sign = match compared.change {
                Change::Same => "➖",
                Change::Better => "🔼",
                Change::Worse => "🔽",
                Change::Different | Change::TooFew | Change::NotMeasured => "⚠️",
            };
            let (name, objective) = (text(&one.experiment), text(&compared.objective));
            line(out, format_args!("| {sign} | {name} | {objective} | {} |", text(&compared.text)));
        }
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn everything() {
        insta::assert_snapshot!("markdown", render(&fixture::mixed()));
    }
}
