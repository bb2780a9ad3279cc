//! Annotations at the lines of a pull request, as GitHub's workflow commands: `::error file=…,line=…,title=…::message`.
//!
//! Source: GitHub, "Workflow commands for GitHub Actions"; the escapes are those of `@actions/core`.

use std::fmt::Write as _;
use std::path::Path;

use super::standing;
use crate::gate::GateResult;
use crate::gate::baseline::Change;
use crate::gate::result::{ExperimentResult, Standing};
use crate::hypothesis::verdict::Verdict;
use crate::report::notation;

/// One command a line, for everything that did not simply pass. Files are named relative to `root`, where they are in it.
pub fn github(result: &GateResult, root: Option<&Path>) -> String {
    let mut out = String::new();
    for one in &result.experiments {
        let level = match (one.standing, one.exit_code) {
            (Standing::Passed, _) => "notice",
            (_, 0) => "warning",
            _ => "error",
        };
        let file = root.and_then(|root| Path::new(&one.file).strip_prefix(root).ok());
        let file = file.map_or_else(|| one.file.clone(), |file| file.display().to_string());
        let title = match one.verdict {
            Some(verdict) => {
                format!("{}: {}: {}", one.experiment, standing(one.standing), notation::run_verdict(verdict))
            }
            None => format!("{}: {}", one.experiment, standing(one.standing)),
        };
        let mut tell = |level: &str, line: usize, message: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(
                out,
                "::{level} file={},line={line},title={}::{}",
                property(&file),
                property(&title),
                data(message)
            );
        };
        if one.standing != Standing::Passed {
            let why: Vec<&str> = [&one.because].into_iter().chain(&one.notes).map(String::as_str).collect();
            tell(level, one.line, &why.join("\n"));
            for (line, message) in objectives(one) {
                tell(level, line, &message);
            }
        }
        for compared in one.comparison.iter().filter(|compared| compared.change == Change::Worse) {
            tell("notice", one.line, &format!("{}: {}", compared.objective, compared.text));
        }
    }
    out
}

/// The objectives that were not shown to hold, at their own lines.
fn objectives(one: &ExperimentResult) -> Vec<(usize, String)> {
    let Some(last) = one.attempts.last() else { return Vec::new() };
    let mut told = Vec::new();
    for (index, row) in last.objectives.iter().enumerate() {
        let line = one.objective_lines.get(index).copied().unwrap_or(one.line);
        for found in row.phases.iter().filter(|found| found.verdict != Verdict::Held) {
            let (phase, verdict) = (notation::phase(found.phase), notation::verdict(found.verdict));
            told.push((line, format!("{} ({phase}): {verdict}: {}", row.description, found.because)));
        }
    }
    told
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn everything() {
        insta::assert_snapshot!("annotations", github(&fixture::mixed(), Some(Path::new("/work"))));
    }

    #[test]
    fn nothing_in_a_name_ends_the_command_or_begins_another() {
        let mut result = fixture::mixed();
        result.experiments.truncate(2);
        result.experiments[1].because = "100%\n::error::forged".into();
        result.experiments[1].file = "a,line=1::b.yaml".into();
        let text = github(&result, None);
        assert!(text.contains("100%25%0A::error::forged") && text.contains("file=a%2Cline=1%3A%3Ab.yaml,"), "{text}");
        assert!(
            text.lines().all(|line| line.starts_with("::error file=") || line.starts_with("::notice file=")),
            "{text}"
        );
    }
}
