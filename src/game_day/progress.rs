//! What of a run's journal a game day needs, as events of the game day.

use std::collections::BTreeMap;

use faultline_agent::identity::FaultId;
use jiff::{SignedDuration, Timestamp};

use super::machine::{Event, Milestone};
use crate::run::journal::{Entry, Event as Happening, met};

/// Follows the journal of one experiment's run from its first entry on.
#[derive(Debug)]
pub struct Progress {
    experiment: usize,
    /// The wall clock at the run's start, from which its entries count seconds.
    base: Option<Timestamp>,
    faults: BTreeMap<FaultId, String>,
}

impl Progress {
    /// Of the run of this experiment, counted from 0.
    pub fn new(experiment: usize) -> Self {
        Self { experiment, base: None, faults: BTreeMap::new() }
    }

    /// What the next entry means to the game day, and when it happened; `now` where the journal does not say when it began.
    pub fn take(&mut self, entry: &Entry, now: Timestamp) -> Option<(Timestamp, Event)> {
        let event = self.event(&entry.event)?;
        let since = SignedDuration::try_from_secs_f64(entry.at).unwrap_or_default();
        Some((self.base.and_then(|base| base.checked_add(since).ok()).unwrap_or(now), event))
    }

    fn event(&mut self, happening: &Happening) -> Option<Event> {
        let experiment = self.experiment;
        let what = match happening {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{Ending, journal};

    #[test]
    fn a_run_that_held_begins_is_incited_undone_and_steady_again_each_at_its_time() {
        let mut progress = Progress::new(3);
        let entries = journal(Ending::Held);
        let now = Timestamp::MAX;
        let told: Vec<(Timestamp, Event)> = entries.iter().filter_map(|entry| progress.take(entry, now)).collect();
        let words: Vec<&str> = told
            .iter()
            .map(|(_, event)| match event {
                Event::Started { experiment: 3, .. } => "started",
                Event::Progress { experiment: 3, what } => match what {
                    Milestone::Incited { fault } if fault.contains(" on ") => "incited",
                    Milestone::Undone { verified: true } => "undone",
                    Milestone::Recovered { .. } => "recovered",
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(words, ["started", "incited", "undone", "recovered"]);
        assert!(told.is_sorted_by_key(|(at, _)| *at) && told[3].0 < now, "{told:?}");
    }
}
