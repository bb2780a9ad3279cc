//! Carries out the search: one run after the other, in its time box, until the search ends or something ends it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::unbounded_channel;

use super::Dose;
use super::search::{Answer, Next, Search, Stop as SearchStop};
use crate::experiment::machine::Stop;
use crate::gate::drive::{Ground, listen};
use crate::gate::length::reserve;
use crate::gate::{Attempt, Candidate};
use crate::hypothesis::verdict::{Phase, RunVerdict};

/// A run at a dose.
#[derive(Debug, Clone, PartialEq)]
pub struct DoseRun {
    /// The dose.
    pub dose: Dose,
    /// What it says about the limit.
    pub answer: Answer,
    /// The run.
    pub attempt: Attempt,
}

/// Why no more was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The search had no more to ask.
    Search(SearchStop),
    /// The time box has no room for another run.
    TimeBox,
    /// A person or a signal ended it.
    Interrupted(String),
    /// A run ended so that no other may follow: the verdict of that run, and why.
    Broken(RunVerdict, String),
}

/// What was run.
#[derive(Debug, Clone, PartialEq)]
pub struct Driven {
    /// The runs, in order.
    pub runs: Vec<DoseRun>,
    /// Why there are no more.
    pub ending: Ending,
    /// How long all of it took.
    pub took: Duration,
}

/// What a run says about the limit. A breach of a guardrail while the fault acted is a no like any other; whatever else ended a run
/// early says nothing about its dose.
pub fn answer_of(attempt: &Attempt) -> Answer {
    let breached = attempt.report.as_ref().is_some_and(|report| {
        report.guardrails.iter().any(|guardrail| guardrail.breached_at.is_some())
            && report.phases.iter().any(|span| span.phase == Phase::During)
    });
    match attempt.verdict {
        RunVerdict::Held => Answer::Holds,
        RunVerdict::Violated => Answer::Fails,
        RunVerdict::Aborted if breached => Answer::Fails,
        _ => Answer::None,
    }
}

/// How often in a row a run may test nothing, since the system was not steady or the fault had no effect.
const MOST_IN_VAIN: usize = 3;

/// Whether the last run forbids another: what may be left behind, a person, a halt; or too many in a row that tested nothing.
fn broken(runs: &[DoseRun]) -> Option<Ending> {
    let last = runs.last()?;
    let attempt = &last.attempt;
    let same = runs.iter().rev().take_while(|run| run.attempt.verdict == attempt.verdict).count();
    let again = same >= MOST_IN_VAIN;
    let ends = match attempt.verdict {
        RunVerdict::Interrupted => return Some(Ending::Interrupted(attempt.because.clone())),
        RunVerdict::CleanupUnverified => true,
        RunVerdict::Aborted => last.answer == Answer::None,
        RunVerdict::Refused => again || attempt.report.is_none(),
        RunVerdict::Invalid => again,
        RunVerdict::Held | RunVerdict::Violated | RunVerdict::NoData | RunVerdict::Inconclusive => false,
    };
    ends.then(|| Ending::Broken(attempt.verdict, attempt.because.clone()))
}

/// Who wants to know of runs.
pub trait Watcher {
    /// A run at this dose begins; so many ended before.
    fn begins(&mut self, dose: Dose, before: usize);
    /// A run ended, and the search knows of it.
    fn ended(&mut self, run: &DoseRun, search: &Search);
}

/// What the search has to go by.
pub struct Drive<'a> {
    /// The experiment with a dose in it.
    pub candidate: &'a dyn Fn(Dose) -> anyhow::Result<Candidate>,
    /// Where runs are carried out.
    pub ground: &'a dyn Ground,
    /// The time in which everything ends, cleaning up included.
    pub within: Option<Duration>,
    /// The least that a run takes.
    pub least: Duration,
}

impl std::fmt::Debug for Drive<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Drive").field("within", &self.within).finish_non_exhaustive()
    }
}

enum Message {
    Ended(Box<Attempt>),
    Signal(&'static str),
}

impl Drive<'_> {
    /// Runs to the end of the search. `unit` makes doses of the search's numbers.
    ///
    /// # Errors
    /// If signals cannot be listened to, or the document cannot have a dose: no run is under way then.
    pub fn carry_out(
        &self,
        search: &mut Search,
        dose: impl Fn(f64) -> Dose,
        watcher: &mut dyn Watcher,
    ) -> anyhow::Result<Driven> {
        let (messages, inbox) = channel();
        let tell = messages.clone();
        // Dropped at the end, which ends the listener.
        let _listener = listen(move |name| tell.send(Message::Signal(name)).is_ok())?;
        let begun = Instant::now();
        let mut runs: Vec<DoseRun> = Vec::new();
        let ending = loop {
            if let Ok(Message::Signal(name)) = inbox.try_recv() {
                break Ending::Interrupted(format!("interrupted by {name}"));
            }
            let index = match search.next() {
                Next::Stop(stop) => break Ending::Search(stop),
                Next::Run(index) => index,
            };
            if self.within.is_some_and(|within| begun.elapsed() + self.least > within - reserve(within)) {
                break Ending::TimeBox;
            }
            let dose = dose(search.dose(index));
            let candidate = (self.candidate)(dose)?;
            watcher.begins(dose, runs.len());
            let (attempt, was_cut) = self.run(&candidate, begun, &messages, &inbox);
            let run = DoseRun { dose, answer: answer_of(&attempt), attempt };
            search.take(index, run.answer);
            watcher.ended(&run, search);
            runs.push(run);
            match broken(&runs) {
                Some(Ending::Broken(RunVerdict::Aborted, _)) if was_cut => break Ending::TimeBox,
                Some(ending) => break ending,
                None => {}
            }
        };
        Ok(Driven { runs, ending, took: begun.elapsed() })
    }

    /// One run, and whether the end of the time box ended it. Once it is told to end for that reason it is told once more
    /// when it must not wait for its recovery any longer.
    fn run(
        &self,
        candidate: &Candidate,
        begun: Instant,
        messages: &Sender<Message>,
        inbox: &Receiver<Message>,
    ) -> (Attempt, bool) {
        let (line, orders) = unbounded_channel();
        let kept = self.within.map(reserve).unwrap_or_default();
        let mut cuts =
            self.within.map(|within| [within - kept, within - kept * 2 / 3]).into_iter().flatten().peekable();
        let mut was_cut = false;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let attempt = catch_unwind(AssertUnwindSafe(|| self.ground.run(candidate, orders)));
                // It was announced; the run's guard undoes, but nobody here saw it.
                let attempt = attempt.unwrap_or_else(|_| {
                    let because = "the run broke down; its guard undoes what was injected";
                    Attempt::without_report(RunVerdict::CleanupUnverified, because)
                });
                let _ = messages.send(Message::Ended(Box::new(attempt)));
            });
            loop {
                let message = match cuts.peek() {
                    Some(cut) => inbox.recv_timeout(cut.saturating_sub(begun.elapsed())),
                    None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                };
                // A run that has just ended listens no more, and needs no order.
                match message {
                    Ok(Message::Ended(attempt)) => return (*attempt, was_cut),
                    Ok(Message::Signal(name)) => {
                        let _ = line.send(Stop::Interrupted(format!("interrupted by {name}")));
                    }
                    Err(_) => {
                        cuts.next();
                        was_cut = true;
                        let _ = line.send(Stop::Halted("the time box of the search ended".into()));
                    }
                }
            }
        })
    }
}

#[cfg(test)]
#[path = "drive_tests.rs"]
mod tests;
