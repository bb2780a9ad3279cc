//! Runs of the gate on this host, in this process, as `faultline run` has them.

use std::io::{self, Write};

use faultline_agent::state::StateFolder;
use tokio::sync::mpsc::UnboundedReceiver;

use super::ground::Making;
use crate::cli::flags::Global;
use crate::cli::live::{Live, LiveTarget};
use crate::cli::output;
use crate::experiment::document::Experiment;
use crate::experiment::machine::Stop;
use crate::gate::drive::Ground;
use crate::gate::{Attempt, Candidate};
use crate::hypothesis::verdict::RunVerdict;
use crate::report::{self, Format, RunReport};
use crate::run::{self, RunError, RunRequest};
use crate::slo::ledger::{self, Spending};
use crate::targets::draw_seed;

/// This host.
pub(super) struct Here<'a> {
    pub(super) making: Making<'a>,
    pub(super) state: &'a StateFolder,
    pub(super) global: &'a Global,
}

impl Ground for Here<'_> {
    fn run(&self, candidate: &Candidate, orders: UnboundedReceiver<Stop>) -> Attempt {
        let loaded = &candidate.loaded;
        let request = RunRequest {
            experiment: loaded.document.clone(),
            file: loaded.file.clone(),
            text: loaded.text.clone(),
            seed: self.making.flags.seed.or(loaded.document.spec.seed).unwrap_or_else(draw_seed),
            runs: self.making.flags.out.clone().unwrap_or_else(|| self.state.runs()),
            placebo: self.making.placebo,
        };
        let mut live = live(&loaded.document, self.making.parallel, self.global);
        let outcome = run::execute_with_orders(&request, self.state, orders, &mut live);
        live.finish();
        if let Some(spending) = outcome.as_ref().ok().and_then(|outcome| Spending::of(&outcome.entries))
            && let Err(error) = ledger::append(self.state, &spending)
        {
            output::tell(&format!("warning: {error}\n"));
        }
        let outcome = match outcome {
            Ok(outcome) => outcome,
            // Its guard undoes, but nobody here saw it.
            Err(error @ RunError::Panicked) => {
                return Attempt::without_report(RunVerdict::CleanupUnverified, error.to_string());
            }
            Err(error) => {
                return Attempt::without_report(RunVerdict::Refused, format!("{error} ({})", error.hint()));
            }
        };
        let Ok(report) = RunReport::from_entries(&outcome.entries) else {
            return Attempt::without_report(outcome.verdict, outcome.because);
        };
        let page = report::render(&report, Format::Html).map_err(anyhow::Error::from);
        let written = page.and_then(|page| Ok(std::fs::write(outcome.folder.report(), page)?));
        if let Err(error) = written {
            output::tell(&format!("the report of run {} cannot be written: {error}\n", outcome.run));
        }
        Attempt::of(report, Some(outcome.folder.path().to_owned()))
    }
}

/// One run has the terminal for itself; of several, each line bears the experiment's name.
pub(super) fn live(experiment: &Experiment, parallel: usize, global: &Global) -> Live<Box<dyn Write + Send>> {
    if parallel <= 1 {
        return Live::on(Box::new(io::stderr()), experiment, LiveTarget::choose(global));
    }
    let target = if global.quiet { LiveTarget::Quiet } else { LiveTarget::Lines { colour: global.colour_on_stderr() } };
    Live::on(Box::new(Named(experiment.metadata.name.clone())), experiment, target)
}

/// Standard error, with a name before each line.
struct Named(String);

impl Write for Named {
    /// The live view writes whole lines.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        output::tell(&format!("{}  {}", self.0, String::from_utf8_lossy(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
