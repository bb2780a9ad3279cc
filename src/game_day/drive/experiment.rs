use std::collections::BTreeMap;

use faultline_agent::identity::FaultId;
use faultline_agent::state::StateFolder;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::Report;
use crate::experiment::machine::Stop;
use crate::game_day::machine::{Event, Milestone};
use crate::hypothesis::verdict::RunVerdict;
use crate::run::journal::{Entry, Event as Happening, met};
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
        let mut told = Told { number, base: None, faults: BTreeMap::new(), watcher, reports: reports.clone() };
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
    number: usize,
    /// The wall clock at the run's start, from which its entries count seconds.
    base: Option<Timestamp>,
    faults: BTreeMap<FaultId, String>,
    watcher: Box<dyn Watcher>,
    reports: UnboundedSender<Report>,
}

impl Watcher for Told {
    fn entry(&mut self, entry: &Entry) {
        if let Some(event) = self.event(entry) {
            let since = SignedDuration::try_from_secs_f64(entry.at).unwrap_or_default();
            let at = self.base.and_then(|base| base.checked_add(since).ok()).unwrap_or_else(Timestamp::now);
            let _ = self.reports.send(Report::Event(at, event));
        }
        self.watcher.entry(entry);
    }

    fn tick(&mut self, now: f64) {
        self.watcher.tick(now);
    }
}

impl Told {
    fn event(&mut self, entry: &Entry) -> Option<Event> {
        let experiment = self.number;
        let what = match &entry.event {
            Happening::Started(started) => {
                self.base = started.time.parse().ok();
                return Some(Event::Started { experiment, run: started.run.clone() });
            }
            Happening::Planned { target, host, plan } => {
                let name = format!("{} on {}", plan.fault, met(target, host.as_deref()));
                self.faults.insert(plan.id.clone(), name);
                return None;
            }
            Happening::Injected { fault, .. } => {
                let fault = self.faults.get(fault).cloned().unwrap_or_else(|| "a fault".into());
                Milestone::Incited { fault }
            }
            Happening::Undone { verified, .. } => Milestone::Undone { verified: *verified },
            Happening::Breached { guardrail } => Milestone::Breached { guardrail: guardrail.reason() },
            Happening::Recovered { after } => Milestone::Recovered { after: *after },
            _ => return None,
        };
        Some(Event::Progress { experiment, what })
    }
}
