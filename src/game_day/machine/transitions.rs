use jiff::Timestamp;

use super::command::Command;
use super::event::{Answer, Entry, Event, HoldPoint, Milestone, Opened};
use super::illegal::Illegal;
use super::records::{Course, Ending, EndingKind, Given, Replan};
use super::state::{Stage, State};
use crate::game_day::alerts::Reading;
use crate::hypothesis::verdict::RunVerdict;

/// What follows from an event at a moment. `None` is the state before the first event, which is `opened`.
///
/// # Errors
/// [`Illegal`] if it cannot happen; the state is as before.
pub fn step(state: Option<&State>, at: Timestamp, event: Event) -> Result<(State, Vec<Command>), Illegal> {
    let Some(state) = state else {
        return match event {
            Event::Opened(opened) => open(at, *opened),
            _ => Err(Illegal::Opening),
        };
    };
    let mut next = state.clone();
    // A clock that was set back does not make a window or an approval longer.
    let at = at.max(state.now);
    next.now = at;
    let commands = next.take(at, event)?;
    if next.stage != state.stage {
        next.since = at;
    }
    if next.is_over() && next.ended.is_none() {
        next.ended = Some(at);
    }
    Ok((next, commands))
}

/// The state to which a journal leads.
///
/// # Errors
/// If its entries contradict each other, with the number of the first that does.
pub fn replay(entries: &[Entry]) -> Result<State, (usize, Illegal)> {
    let mut state: Option<State> = None;
    for (number, entry) in entries.iter().enumerate() {
        let (next, _) = step(state.as_ref(), entry.at, entry.event.clone()).map_err(|illegal| (number, illegal))?;
        state = Some(next);
    }
    state.ok_or((0, Illegal::Opening))
}

fn open(at: Timestamp, opened: Opened) -> Result<(State, Vec<Command>), Illegal> {
    let (expected, given) = (opened.game_day.spec.experiments.len(), opened.experiments.len());
    if expected != given {
        return Err(Illegal::Experiments { expected, given });
    }
    Ok((State::opened(at, opened), Vec::new()))
}

pub(super) fn not_now(state: &State, what: &'static str) -> Illegal {
    if state.is_over() {
        return Illegal::Over;
    }
    let stage = match &state.stage {
        Stage::Drafted => "is a draft".into(),
        Stage::AwaitingApprovals => "awaits approvals".into(),
        Stage::Checklist => "is at its checklist".into(),
        Stage::Hold { experiment, when: HoldPoint::Before } => format!("holds before experiment {}", experiment + 1),
        Stage::Hold { experiment, when: HoldPoint::After } => format!("holds after experiment {}", experiment + 1),
        Stage::AwaitingPlan { experiment, .. } => format!("awaits a new plan of experiment {}", experiment + 1),
        Stage::AwaitingWindow => "awaits its window".into(),
        Stage::Running { experiment } => format!("runs experiment {}", experiment + 1),
        Stage::Stopping { experiment, .. } => format!("ends experiment {} early", experiment + 1),
        Stage::Settling { experiment } => format!("waits for the alerts of experiment {}", experiment + 1),
        Stage::Finished | Stage::Aborted(_) => "is over".into(),
    };
    Illegal::NotNow { what, stage }
}

impl State {
    fn take(&mut self, at: Timestamp, event: Event) -> Result<Vec<Command>, Illegal> {
        match event {
            Event::Opened(_) => Err(Illegal::Opening),
            // What was learned is written down afterwards too.
            Event::Noted(note) => {
                self.notes.push((at, note));
                Ok(Vec::new())
            }
            Event::Found(finding) => {
                self.findings.push((at, finding));
                Ok(Vec::new())
            }
            _ if self.is_over() => Err(Illegal::Over),
            Event::Requested { by } => {
                if self.stage != Stage::Drafted {
                    return Err(not_now(self, "a request"));
                }
                self.requested = Some((by, at));
                Ok(advance(self, at))
            }
            Event::Planned { hash, experiments, by, differences } => {
                self.plan_anew(Replan { by, at, hash, differences }, experiments)
            }
            Event::Drifted { experiment, because } => self.drifted(experiment, because),
            Event::Approved { by, hash } => self.approve(at, by, hash),
            Event::Withdrawn { by } => self.withdraw(at, &by),
            Event::Answered { item, by, answer, remark } => self.answered(Given { item, by, at, answer, remark }),
            Event::Decided { by, answer, remark } => self.decided(at, by, answer, remark),
            Event::Queued { experiment, run } => {
                // Nothing is asked for any more once it is to end.
                let runs = self.stage == (Stage::Running { experiment });
                match self.experiments.get_mut(experiment).filter(|_| runs) {
                    Some(course) if course.queued.is_none() && course.started.is_none() => {
                        course.queued = Some((at, run));
                        Ok(Vec::new())
                    }
                    _ => Err(not_now(self, "the request for a run")),
                }
            }
            Event::Started { experiment, run } => {
                let course = self.running(experiment, "the start of a run")?;
                if course.started.is_some() || course.queued.as_ref().is_some_and(|(_, queued)| *queued != run) {
                    return Err(not_now(self, "a second start"));
                }
                course.started = Some((at, run));
                Ok(Vec::new())
            }
            Event::Progress { experiment, what } => self.progress(at, experiment, what),
            Event::Ended { experiment, verdict, because } => self.end_of_run(at, experiment, verdict, because),
            Event::Alerts(reading) => self.alerts_read(at, &reading),
            Event::Aborted { by, reason } => {
                Ok(abort(self, at, EndingKind::Person, format!("ended by {by}: {reason}")))
            }
            Event::Halted { reason } => Ok(abort(self, at, EndingKind::Halt, format!("halted: {reason}"))),
            Event::Tick => Ok(self.tick(at)),
        }
    }

    /// The experiment that runs, if it is the one that is meant.
    fn running(&mut self, number: usize, what: &'static str) -> Result<&mut Course, Illegal> {
        match self.stage {
            Stage::Running { experiment } | Stage::Stopping { experiment, .. } if experiment == number => {
                Ok(&mut self.experiments[number])
            }
            _ => Err(not_now(self, what)),
        }
    }

    fn progress(&mut self, at: Timestamp, experiment: usize, what: Milestone) -> Result<Vec<Command>, Illegal> {
        self.running(experiment, "progress of a run")?.milestones.push((at, what));
        Ok(Vec::new())
    }

    fn end_of_run(
        &mut self,
        at: Timestamp,
        experiment: usize,
        verdict: RunVerdict,
        because: String,
    ) -> Result<Vec<Command>, Illegal> {
        let course = self.running(experiment, "the end of a run")?;
        course.ended = Some((at, verdict, because));
        if let Stage::Stopping { because, .. } = self.stage.clone() {
            return Ok(self.over(at, Stage::Aborted(because)));
        }
        if self.spec().abort.ends_on(verdict) {
            let name = &self.opened.experiments[experiment].name;
            let why = self.experiments[experiment].ended.as_ref().map_or("", |(_, _, why)| why.as_str());
            let because = format!("{name} was {}: {why}", crate::report::notation::run_verdict(verdict));
            return Ok(abort(self, at, EndingKind::Experiment, because));
        }
        self.stage = Stage::Settling { experiment };
        Ok(self.settle(at, experiment))
    }

    /// Goes on once nothing more can be seen of the alerts that were expected.
    fn settle(&mut self, at: Timestamp, experiment: usize) -> Vec<Command> {
        let waits = self.experiments[experiment].watch.is_some()
            && self.experiments[experiment].life().incited.is_some()
            && self.alerts(experiment).iter().any(super::super::alerts::AlertVerdict::is_pending);
        if waits { Vec::new() } else { self.settled(at, experiment) }
    }

    pub(super) fn settled(&mut self, at: Timestamp, experiment: usize) -> Vec<Command> {
        self.experiments[experiment].unwatched.get_or_insert(at);
        if self.holds(experiment, HoldPoint::After) {
            self.stage = Stage::Hold { experiment, when: HoldPoint::After };
            return vec![Command::AskGo { experiment, when: HoldPoint::After }];
        }
        advance(self, at)
    }

    fn alerts_read(&mut self, at: Timestamp, reading: &Reading) -> Result<Vec<Command>, Illegal> {
        let Some(experiment) = self.watches() else { return Err(not_now(self, "a reading of alerts")) };
        let course = &mut self.experiments[experiment];
        if let Some(watch) = &mut course.watch {
            watch.follow(at, reading);
        }
        if let Some(alert) = self.alert_that_aborts(experiment) {
            return Ok(abort(self, at, EndingKind::Alert, format!("the alert {alert} fired")));
        }
        Ok(if self.stage == (Stage::Settling { experiment }) { self.settle(at, experiment) } else { Vec::new() })
    }

    /// An alert that ends the game day, and that began after the experiment did.
    fn alert_that_aborts(&self, experiment: usize) -> Option<String> {
        if matches!(self.stage, Stage::Stopping { .. }) {
            return None;
        }
        let watch = self.experiments[experiment].watch.as_ref()?;
        let selectors = &self.spec().abort.alerts;
        let episode = watch.episodes().iter().find(|episode| {
            episode.fired_at() >= watch.begun()
                && selectors.iter().any(|selector| selector.matches(&episode.alert.labels))
        })?;
        Some(super::super::alerts::in_words(&episode.alert.labels))
    }

    fn tick(&mut self, at: Timestamp) -> Vec<Command> {
        let is_past = self.window.is_some_and(|(_, until)| at >= until);
        match self.stage {
            Stage::Drafted | Stage::Stopping { .. } | Stage::Finished | Stage::Aborted(_) => Vec::new(),
            _ if is_past && self.is_incomplete() => {
                abort(self, at, EndingKind::WindowOver, "the window is over".into())
            }
            Stage::AwaitingWindow => advance(self, at),
            Stage::Settling { experiment } => self.settle(at, experiment),
            _ => Vec::new(),
        }
    }

    /// Whether something is still to be run, or runs.
    fn is_incomplete(&self) -> bool {
        self.next_experiment().is_some()
    }

    /// Ends it; nothing is watched any more.
    pub(super) fn over(&mut self, at: Timestamp, stage: Stage) -> Vec<Command> {
        for course in self.experiments.iter_mut().filter(|course| course.asked.is_some()) {
            course.unwatched.get_or_insert(at);
        }
        self.stage = stage;
        vec![Command::Finish]
    }
}

/// Ends it early: at once, or once the experiment that runs has been undone.
pub(super) fn abort(state: &mut State, at: Timestamp, kind: EndingKind, because: String) -> Vec<Command> {
    match state.stage {
        Stage::Running { experiment } if state.experiments[experiment].ended.is_none() => {
            let reason = because.clone();
            state.stage = Stage::Stopping { experiment, because: Ending { kind, because } };
            vec![Command::StopExperiment { experiment, reason }]
        }
        // It is being stopped already; the first reason stays.
        Stage::Stopping { .. } => Vec::new(),
        _ => state.over(at, Stage::Aborted(Ending { kind, because })),
    }
}

/// Goes on to whatever is missing next: approvals, answers, a person's go, the window, the experiment itself.
pub(super) fn advance(state: &mut State, at: Timestamp) -> Vec<Command> {
    let Some(experiment) = state.next_experiment() else { return state.over(at, Stage::Finished) };
    if state.window.is_some_and(|(_, until)| at >= until) {
        return abort(state, at, EndingKind::WindowOver, "the window is over".into());
    }
    let missing = state.missing_approvals(at);
    if missing > 0 {
        state.stage = Stage::AwaitingApprovals;
        return vec![Command::AskApprovals { missing }];
    }
    if let Some(item) = state.next_question() {
        state.stage = Stage::Checklist;
        return vec![Command::Ask { item }];
    }
    // A required question has no answer but go here: a no has ended it, and it cannot be left out.
    debug_assert!(required_are_go(state));
    let holds = state.holds(experiment, HoldPoint::Before) && !state.experiments[experiment].may_start;
    if holds {
        state.stage = Stage::Hold { experiment, when: HoldPoint::Before };
        return vec![Command::AskGo { experiment, when: HoldPoint::Before }];
    }
    if state.window.is_some_and(|(from, _)| at < from) {
        state.stage = Stage::AwaitingWindow;
        return Vec::new();
    }
    state.stage = Stage::Running { experiment };
    let watch = state.new_watch(at);
    let hash = state.plan_of(experiment).clone();
    let course = &mut state.experiments[experiment];
    course.asked = Some(at);
    course.watch = watch;
    let mut commands = Vec::new();
    if course.watch.is_some() {
        commands.push(Command::WatchAlerts { experiment });
    }
    commands.push(Command::StartExperiment { experiment, hash });
    commands
}

fn required_are_go(state: &State) -> bool {
    state.checklist().all(|(item, given)| !item.required || given.is_some_and(|given| given.answer == Answer::Go))
}
