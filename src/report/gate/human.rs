//! For people: the answer, a line an experiment, and what they should look at.

use std::fmt::Write as _;

use super::{meaning, sign, standing, tally};
use crate::gate::GateResult;
use crate::gate::baseline::Change;
use crate::gate::result::{ExperimentResult, Standing};
use crate::report::ink::Ink;
use crate::report::notation;

pub(super) fn render(result: &GateResult, colour: bool) -> String {
    let mut out = String::new();
    let (head, ink) = match result.exit_code {
        0 => ("✔ GATE PASSED", Ink::Good),
        _ => ("✘ GATE FAILED", Ink::Bad),
    };
    let code = match result.exit_code {
        0 => "exit code 0".into(),
        code => format!("exit code {code}: {}", meaning(code)),
    };
    let took = notation::seconds(result.duration);
    let within = result.within.map(|within| format!(" of {}", notation::seconds(within))).unwrap_or_default();
    line(&mut out, &format!("{}  {} ({code})", ink.paint(head, colour), tally(result)));
    line(&mut out, &format!("  in {took}{within}"));
    if let Some(by) = &result.interrupted {
        line(&mut out, &format!("  interrupted by {}", notation::one_line(by)));
    }
    for note in &result.notes {
        line(&mut out, &format!("  {}", notation::one_line(note)));
    }
    out.push('\n');
    for one in &result.experiments {
        experiment(&mut out, one, colour);
    }
    if let Some(baseline) = &result.baseline {
        let (name, place) = (notation::one_line(&baseline.name), notation::one_line(&baseline.place));
        let updated = if baseline.updated { "; these runs were added to it" } else { "" };
        line(&mut out, &format!("\nBaseline {name} of {place}{updated}"));
    }
    out
}

fn experiment(out: &mut String, one: &ExperimentResult, colour: bool) {
    let (sign, _, ink) = sign(one);
    let word = standing(one.standing);
    let verdict = one.verdict.map(notation::run_verdict).filter(|_| one.standing != Standing::Passed);
    let verdict = verdict.map(|verdict| format!(" ({verdict})")).unwrap_or_default();
    let name = notation::one_line(&one.experiment);
    let took: f64 = one.attempts.iter().map(|attempt| attempt.duration).sum();
    let took = if one.attempts.is_empty() { String::new() } else { notation::seconds(took) };
    line(out, &format!("{}  {name}{verdict}  {took}", ink.paint(&format!("{sign} {word:<11}"), colour)));
    line(out, &format!("    {}", notation::one_line(&one.because)));
    for note in &one.notes {
        line(out, &format!("    {}", notation::one_line(note)));
    }
    for compared in one.comparison.iter().filter(|compared| compared.change != Change::Same) {
        let (objective, text) = (notation::one_line(&compared.objective), notation::one_line(&compared.text));
        line(out, &Ink::Faint.paint(&format!("    baseline: {objective}: {text}"), colour));
    }
    let same = one.comparison.iter().filter(|compared| compared.change == Change::Same).count();
    if same > 0 {
        let all = one.comparison.len();
        line(out, &Ink::Faint.paint(&format!("    baseline: {same} of {all} objectives as before"), colour));
    }
    for folder in one.attempts.iter().filter_map(|attempt| attempt.folder.as_deref()) {
        line(out, &Ink::Faint.paint(&format!("    {}", folder.join("report.html").display()), colour));
    }
}

fn line(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}", text.trim_end());
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn everything() {
        insta::assert_snapshot!("human", render(&fixture::mixed(), false));
    }

    #[test]
    fn a_pass() {
        insta::assert_snapshot!("human-passed", render(&fixture::passed(), false));
    }
}
