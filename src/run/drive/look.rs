//! What the run looks at ten times a second: guardrails (and soon after samples), the agent, the journal, steadiness, the
//! faults' effect.

use std::time::{Duration, Instant};

use super::{Drive, Happening};
use crate::experiment::machine::{Event, FaultNumber, Steadiness, Stop};
use crate::fleet::MustStop;
use crate::hypothesis::Steady;
use crate::run::journal::RunState;

/// How often faults that are known to act are measured again.
const MEASURE_EVERY: Duration = Duration::from_secs(1);

impl Drive<'_, '_> {
    /// One look at everything. The order matters: whoever wants the run to end is heard first.
    pub(super) fn look(&mut self) {
        for agent in &self.agents {
            agent.heartbeat();
        }
        self.record.tick();
        self.must_stop();
        self.watch_hosts();
        self.guardrails();
        self.measurements();
        self.recovery();
    }

    fn must_stop(&mut self) {
        if self.machine.is_over() || self.machine.ending().is_some() {
            return;
        }
        let broken = self.record.take_broken();
        let broken = broken.map(|error| Stop::Broken(format!("the run's journal is no longer complete: {error}")));
        if let Some(stop) = self.agents_stop().or_else(|| self.out_of_reach()).or(broken) {
            self.stop(stop);
        }
    }

    /// Why an agent wants the run to end, if one does.
    pub(super) fn agents_stop(&self) -> Option<Stop> {
        self.agents.iter().find_map(|agent| {
            let who = if self.home.is_some() { "this host".to_owned() } else { agent.host().to_owned() };
            Some(match agent.must_stop()? {
                MustStop::Halted(halt) => Stop::Halted(format!("{who} was halted: {}", halt.reason)),
                MustStop::GuardLost => Stop::Broken(format!(
                    "the guard of {who} died; without it nobody would undo after a crash of its worker"
                )),
                MustStop::Newer(why) => Stop::Broken(format!("{who} says that everything there must end: {why}")),
            })
        })
    }

    /// Ends the run, and says who or what did.
    pub(super) fn stop(&mut self, stop: Stop) {
        let (Stop::Halted(by) | Stop::Broken(by) | Stop::Interrupted(by) | Stop::Impossible(by)) = &stop;
        self.note(Happening::Stopped { by: by.clone() });
        self.event(Event::Stopped(stop));
    }

    pub(super) fn guardrails(&mut self) {
        (self.guardrails_seen, self.guardrails_due) = (Instant::now(), None);
        let watched = matches!(
            self.machine.run_state(),
            RunState::Steady | RunState::Injecting | RunState::Biting | RunState::Watching
        );
        if !watched {
            return;
        }
        if let Some(guardrail) = self.judge.breach(self.record.now()) {
            let told = format!("guardrail breached: {} ({})", guardrail.description, guardrail.because);
            self.note(Happening::Breached { guardrail: Box::new(guardrail) });
            self.event(Event::Breached(told));
        }
    }

    /// Faults whose effect is not proven yet are measured at each look, the others once a second.
    fn measurements(&mut self) {
        let all = Instant::now() >= self.next_measurement;
        if all {
            self.next_measurement = Instant::now() + MEASURE_EVERY;
            self.refresh_subjects();
        }
        let due: Vec<FaultNumber> = (0..self.faults.len())
            .map(FaultNumber)
            .filter(|number| self.machine.is_active(*number) && (all || !self.machine.has_bitten(*number)))
            .collect();
        for number in due {
            self.measure(number);
        }
    }

    fn recovery(&mut self) {
        if self.machine.run_state() != RunState::Recovering || self.machine.recovered().is_some() {
            return;
        }
        let now = self.record.now();
        if self.judge.is_steady(now) == Steady::Yes {
            let after = self.undone_at.map_or(0.0, |undone| now - undone);
            self.note(Happening::Recovered { after });
            self.event(Event::Recovered);
        }
    }

    pub(super) fn judge_baseline(&mut self) -> Steadiness {
        match self.judge.is_steady(self.record.now()) {
            Steady::Yes => Steadiness::Shown,
            Steady::No(because) => Steadiness::NotShown(format!("not steady before the fault: {because}")),
            Steady::NotYet(because) => {
                Steadiness::NotShown(format!("the baseline could not show that the system is steady: {because}"))
            }
        }
    }
}
