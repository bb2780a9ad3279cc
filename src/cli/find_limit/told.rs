//! What people read of a search: its progress, and its result.

use crate::cli::output;
use crate::cli::table;
use crate::limit::drive::{DoseRun, Watcher};
use crate::limit::result::{LimitResult, Met, Outcome};
use crate::limit::{Answer, Dose, DoseRange, Search};
use crate::report::ink::Ink;
use crate::report::notation;

/// A line before and after each run.
pub(super) struct Progress<'a> {
    pub(super) range: &'a DoseRange,
    pub(super) most: usize,
    pub(super) quiet: bool,
    /// Whether any run came to an answer.
    pub(super) answered: bool,
}

impl Watcher for Progress<'_> {
    fn begins(&mut self, dose: Dose, before: usize) {
        self.tell(&format!("run {} of at most {}: {}\n", before + 1, self.most, dose.told()));
    }

    fn ended(&mut self, run: &DoseRun, search: &Search) {
        self.answered |= run.answer != Answer::None;
        let known = search.known();
        let told = |index: usize| self.range.dose(search.dose(index)).told();
        let between = match (known.low.map(told), known.high.map(told)) {
            _ if !self.answered => "nothing is known of the limit yet".into(),
            (Some(low), Some(high)) => format!("the limit is between {low} and {high}"),
            (Some(low), None) => format!("the limit is above {low}"),
            (None, Some(high)) => format!("the limit is below {high}"),
            (None, None) => "the limit may be anywhere".into(),
        };
        let (dose, word) = (run.dose.told(), answer(run.answer));
        self.tell(&format!("{dose} {word} ({}): {between}\n", notation::run_verdict(run.attempt.verdict)));
    }
}

impl Progress<'_> {
    fn tell(&self, text: &str) {
        if !self.quiet {
            output::tell(text);
        }
    }
}

fn answer(answer: Answer) -> &'static str {
    match answer {
        Answer::Holds => "holds",
        Answer::Fails => "fails",
        Answer::None => "is not decided",
    }
}

/// The result: the runs, the answer, and what was asked of it.
pub(super) fn text(result: &LimitResult, colour: bool) -> String {
    let mut out = String::new();
    if !result.runs.is_empty() {
        let mut runs = table::table(&["RUN", "DOSE", "VERDICT", "TOOK", "WHY"]);
        for run in &result.runs {
            runs.add_row([
                run.run.clone().unwrap_or_default(),
                run.dose.told.clone(),
                notation::run_verdict(run.verdict).to_owned(),
                notation::seconds(run.duration),
                run.because.clone(),
            ]);
        }
        out += &(table::wrapped(&mut runs) + "\n");
    }
    let ink = match result.outcome {
        Outcome::Found | Outcome::HoldsThroughout => Ink::Good,
        Outcome::NeverHolds => Ink::Bad,
        Outcome::NotNarrow | Outcome::NotKnown => Ink::Open,
    };
    out += &format!("{}: {}\n", result.experiment, ink.paint(&result.answer, colour));
    if let Some(because) = &result.because {
        out += &format!("  ended before it was known better: {because}\n");
    }
    for requirement in &result.requirements {
        let met = match requirement.met {
            Met::Yes => Ink::Good.paint("yes", colour),
            Met::No => Ink::Bad.paint("no", colour),
            Met::Undecided => Ink::Open.paint("not decided: it lies within the interval", colour),
        };
        out += &format!("  {}: {met}\n", requirement.asked);
    }
    out
}
