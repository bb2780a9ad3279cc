//! What is told to others ([`crate::notify`]): what happens in runs, to hosts, and when everything is halted.
//!
//! A run never waits for this: occurrences go through a queue of this process to the store's outbox, and from there the
//! controller that leads delivers them.

mod game_days;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use faultline_agent::identity::FaultId;
use faultline_agent::plan::Plan;
use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use crate::fleet::registry::HostView;
use crate::hypothesis::verdict::RunVerdict;
use crate::notify::{FaultSubject, Notifier, Occurrence, RunSubject, StoppedBy, What};
use crate::run::journal::{Entry, Event};
use crate::store::Store;
use crate::store::runs::{Run, RunState};

/// How often an occurrence is offered to a store that does not take it, and how long after each time.
const PATIENCE: u32 = 20;
const AGAIN: Duration = Duration::from_millis(500);

/// Where occurrences go. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Telling {
    told: UnboundedSender<Occurrence>,
    runs: Arc<Mutex<BTreeMap<String, Known>>>,
}

/// What is known of a run under way.
#[derive(Debug, Default)]
struct Known {
    faults: BTreeMap<FaultId, (FaultSubject, Option<Timestamp>)>,
    stopped_by: Option<StoppedBy>,
}

impl Telling {
    /// One that is heard by whoever has the other end.
    pub(super) fn new() -> (Self, UnboundedReceiver<Occurrence>) {
        let (told, heard) = unbounded_channel();
        (Self { told, runs: Arc::default() }, heard)
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of something of these labels that happened then.
    pub(super) fn tell(&self, at: Timestamp, labels: &BTreeMap<String, String>, what: What) {
        // Nobody listens any more when the controller ends.
        let _ = self.told.send(Occurrence::new(at, labels.clone(), what));
    }

    /// What an entry of a run's journal means to others.
    pub(super) fn entry(&self, run: &Run, entry: &Entry) {
        let now = Timestamp::now();
        let (subject, labels) = (subject(run), &run.labels);
        let mut runs = self.runs();
        let known = runs.entry(run.id.clone()).or_default();
        let what = match &entry.event {
            Event::Started(started) => What::RunStarted {
                run: RunSubject { hosts: started.hosts.concat(), ..subject },
                requested_by: run.requested_by.clone(),
                hypothesis: started.experiment.spec.hypothesis.clone(),
            },
            Event::Planned { host, plan, .. } => {
                known.faults.insert(plan.id.clone(), (fault(host.as_deref(), plan), None));
                return;
            }
            Event::Injected { fault, .. } => {
                let Some((fault, since)) = known.faults.get_mut(fault) else { return };
                *since = Some(now);
                What::FaultInjected { run: subject, fault: fault.clone() }
            }
            Event::Undone { fault, verified, steps, .. } => {
                let Some((fault, since)) = known.faults.remove(fault) else { return };
                match since {
                    Some(since) if *verified => What::FaultUndone { run: subject, fault, since },
                    None if *verified => return,
                    _ => {
                        let open: Vec<&str> =
                            steps.iter().filter(|step| !step.clean).map(|step| step.outcome.as_str()).collect();
                        let because = match open.is_empty() {
                            true => "its host has not said that it is undone".to_owned(),
                            false => open.join("; "),
                        };
                        What::CleanupNotVerified { run: subject, hosts: vec![fault.host], because }
                    }
                }
            }
            Event::Breached { guardrail } => {
                known.stopped_by.get_or_insert(StoppedBy::Guardrail);
                let (guardrail, because) = (guardrail.description.clone(), guardrail.because.clone());
                What::GuardrailBreached { run: subject, guardrail, because }
            }
            Event::Stopped { by } => {
                let halted = by.contains("halted");
                known.stopped_by.get_or_insert(if halted { StoppedBy::Halt } else { StoppedBy::Request });
                return;
            }
            _ => return,
        };
        drop(runs);
        self.tell(now, labels, what);
    }

    /// The end of a run.
    pub(super) fn over(&self, run: &Run) {
        let known = self.runs().remove(&run.id).unwrap_or_default();
        let at = run.finished_at.unwrap_or_else(Timestamp::now);
        let because = run.because.clone().unwrap_or_default();
        let word = run.verdict.clone().map(serde_json::Value::String);
        let verdict: Option<RunVerdict> = word.and_then(|word| serde_json::from_value(word).ok());
        let what = match (run.state, verdict) {
            (RunState::Cancelled, _) => What::RunCancelled { run: subject(run), because },
            (_, Some(verdict)) => What::RunFinished {
                run: subject(run),
                verdict,
                because,
                started_at: run.started_at.unwrap_or(at),
                stopped_by: known.stopped_by,
            },
            (_, None) => return,
        };
        self.tell(at, &run.labels, what);
    }

    /// A halt that was set: when, by whom and why.
    pub(super) fn halted(&self, halt: &crate::store::Halt, stopped: usize) {
        let what =
            What::HaltSet { by: halt.by.clone(), reason: halt.reason.clone(), stopped: stopped as u64, cancelled: 0 };
        self.tell(halt.since, &BTreeMap::new(), what);
    }

    /// The same halt, taken back.
    pub(super) fn released(&self, halt: &crate::store::Halt, by: String) {
        let what = What::HaltReleased { by, since: halt.since, reason: halt.reason.clone() };
        self.tell(Timestamp::now(), &BTreeMap::new(), what);
    }

    /// A slot of a schedule that had no run.
    pub(super) fn missed(&self, schedule: &str, slot: Timestamp, because: &str) {
        let what = What::ScheduleMissed { schedule: schedule.into(), slot, because: because.into() };
        self.tell(Timestamp::now(), &BTreeMap::new(), what);
    }

    /// Faults that could not be undone on a host, and were not known before.
    pub(super) fn stuck(&self, view: &HostView, before: &BTreeSet<String>) {
        for stuck in view.status.stuck.iter().filter(|stuck| !before.contains(&stuck.id.to_string())) {
            let fault = FaultSubject {
                id: stuck.id.to_string(),
                name: stuck.fault.clone(),
                host: view.name.clone(),
                dose: String::new(),
            };
            let because = "the agent of the host could not undo it".to_owned();
            let what = What::FaultStuck { run: None, fault, because, command: stuck.by_hand.join("; ") };
            self.tell(Timestamp::now(), &view.labels, what);
        }
    }
}

/// Puts what is told into the outbox, in its order, until the stop and all that was told by then.
pub(super) async fn pass_on(
    mut heard: UnboundedReceiver<Occurrence>,
    notifier: Notifier<Store>,
    stop: CancellationToken,
) {
    loop {
        let occurrence = tokio::select! {
            biased;
            occurrence = heard.recv() => occurrence,
            () = stop.cancelled() => heard.try_recv().ok(),
        };
        let Some(occurrence) = occurrence else { return };
        for attempt in 1..=PATIENCE {
            match notifier.tell(&occurrence).await {
                Ok(()) => break,
                Err(error) if attempt == PATIENCE => {
                    tracing::error!(occurrence = occurrence.id, %error, "nobody is told of it: the store does not keep it");
                }
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }
}

pub(super) fn subject(run: &Run) -> RunSubject {
    RunSubject { id: run.id.clone(), experiment: run.experiment.clone(), hosts: Vec::new() }
}

fn fault(host: Option<&str>, plan: &Plan) -> FaultSubject {
    let dose: Vec<String> =
        plan.dose.iter().map(|dose| format!("{} {} {}", dose.name, dose.asked, dose.unit)).collect();
    FaultSubject {
        id: plan.id.to_string(),
        name: plan.fault.clone(),
        host: host.unwrap_or_default().to_owned(),
        dose: dose.join(", "),
    }
}
