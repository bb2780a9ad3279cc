use faultline_agent::state::StateFolder;
use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::Report;
use crate::experiment::machine::Stop;
use crate::game_day::machine::Event;
use crate::game_day::progress::Progress;
use crate::hypothesis::verdict::RunVerdict;
use crate::run::journal::Entry;
use crate::run::record::Watcher;
use crate::run::{self, RunError, RunRequest};

/// Starts a run in a thread of its own; everything that the game day needs of it is reported.
pub(super) fn start(
    number: usize,
    request: RunRequest,
    state: StateFolder,
    orders: UnboundedReceiver<Stop>,
    watcher: Box<dyn Watcher>,
    reports: UnboundedSender<Report>,
) {
    let failed = reports.clone();
    let body = move || {
        let mut told = Told { progress: Progress::new(number), watcher, reports: reports.clone() };
        let (verdict, because) = match run::execute_with_orders(&request, &state, orders, &mut told) {
            Ok(outcome) => (outcome.verdict, outcome.because),
            // Its guard undoes, but nobody here saw it.
            Err(error @ RunError::Panicked) => (RunVerdict::CleanupUnverified, error.to_string()),
            Err(error) => (RunVerdict::Refused, format!("{error} ({})", error.hint())),
        };
        drop(told);
        let _ = reports.send(Report::Event(Timestamp::now(), Event::Ended { experiment: number, verdict, because }));
    };
    if let Err(error) = std::thread::Builder::new().name("game day run".into()).spawn(body) {
        let because = format!("cannot start the thread of the run: {error}");
        let ended = Event::Ended { experiment: number, verdict: RunVerdict::Refused, because };
        let _ = failed.send(Report::Event(Timestamp::now(), ended));
    }
}

/// Watches a run for the game day, and lets somebody else watch it too.
struct Told {
    progress: Progress,
    watcher: Box<dyn Watcher>,
    reports: UnboundedSender<Report>,
}

impl Watcher for Told {
    fn entry(&mut self, entry: &Entry) {
        if let Some((at, event)) = self.progress.take(entry, Timestamp::now()) {
            let _ = self.reports.send(Report::Event(at, event));
        }
        self.watcher.entry(entry);
    }

    fn tick(&mut self, now: f64) {
        self.watcher.tick(now);
    }
}
