//! What an entry of a game day's journal means to others. All of it follows from the entry and where it led, so a game day
//! that is read again tells the same again, which the outbox knows by its id.

use super::Telling;
use crate::game_day::machine::{Asked, Command, Entry, Event, Stage, State};
use crate::hypothesis::verdict::RunVerdict;
use crate::notify::{GameDaySubject, StepState, What};
use crate::report::notation::run_verdict;

impl Telling {
    /// What an entry of a game day's journal means to others: that it was asked for, that it needs people and what they
    /// said, that it began, what became of its experiments, that it is over.
    pub(in crate::serve) fn game_day(&self, entry: &Entry, day: &State, commands: &[Command]) {
        for what in meant(entry, day, commands) {
            self.tell(entry.at, &day.opening().game_day.metadata.labels, what);
        }
    }
}

fn meant(entry: &Entry, day: &State, commands: &[Command]) -> Vec<What> {
    let opening = day.opening();
    let game_day = GameDaySubject {
        id: opening.id.clone(),
        name: opening.game_day.metadata.name.clone(),
        title: day.spec().title.clone(),
    };
    let name = |number: usize| opening.experiments[number].name.clone();
    let step =
        |number: usize, state, note| What::GameDayStep { game_day: game_day.clone(), step: name(number), state, note };
    let mut told = Vec::new();
    match &entry.event {
        Event::Requested { by } => {
            told.push(What::GameDaySubmitted { game_day: game_day.clone(), requested_by: by.clone() });
        }
        Event::Answered { item, by, answer, remark } => told.push(What::GameDayDecided {
            game_day: game_day.clone(),
            asked: Asked::Question(*item).to_string(),
            by: by.clone(),
            answer: *answer,
            remark: remark.clone(),
            since: None,
        }),
        Event::Decided { by, answer, remark } => {
            if let Some(decision) = day.decisions().last() {
                told.push(What::GameDayDecided {
                    game_day: game_day.clone(),
                    asked: decision.asked.to_string(),
                    by: by.clone(),
                    answer: *answer,
                    remark: remark.clone(),
                    since: decision.asked.is_needed().then_some(decision.since),
                });
                if day.experiments()[decision.experiment].skipped {
                    told.push(step(decision.experiment, StepState::Skipped, None));
                }
            }
        }
        Event::Ended { experiment, verdict, because } => {
            let state = if *verdict == RunVerdict::Held { StepState::Done } else { StepState::Failed };
            told.push(step(*experiment, state, Some(format!("{}: {because}", run_verdict(*verdict)))));
        }
        _ => {}
    }
    for command in commands {
        match command {
            Command::AskApprovals { missing } => told.push(What::GameDayWaitingForApproval {
                game_day: game_day.clone(),
                plan_hash: day.hash().to_string(),
                approvals_missing: u32::try_from(*missing).unwrap_or(u32::MAX),
                of: day.spec().approvals.as_ref().map(|asked| asked.of.clone()).unwrap_or_default(),
                deadline: day.window().map(|(_, until)| until),
            }),
            Command::Ask { item } => {
                let Some(question) = day.spec().checklist.get(*item) else { continue };
                told.push(What::GameDayHold {
                    game_day: game_day.clone(),
                    asks: Asked::Question(*item).to_string(),
                    ask: question.ask.clone(),
                    of: question.of.as_ref().map_or_else(|| roles(day), |role| vec![role.clone()]),
                });
            }
            Command::AskGo { experiment, when } => {
                let asks = Asked::hold(*experiment, *when);
                let side = if matches!(asks, Asked::Before(_)) { "Before" } else { "After" };
                told.push(What::GameDayHold {
                    game_day: game_day.clone(),
                    asks: asks.to_string(),
                    ask: format!("{side} {}", name(*experiment)),
                    of: roles(day),
                });
            }
            Command::AskPlan { experiment } => {
                let because = match day.stage() {
                    Stage::AwaitingPlan { because, .. } => because.as_str(),
                    _ => "the fleet is not the one of its plan",
                };
                told.push(What::GameDayHold {
                    game_day: game_day.clone(),
                    asks: Asked::Plan(*experiment).to_string(),
                    ask: format!("Plan {} anew, try it again, or leave it out: {because}", name(*experiment)),
                    of: roles(day),
                });
            }
            Command::StartExperiment { experiment, .. } => {
                if day.experiments().iter().filter(|course| course.asked.is_some()).count() == 1 {
                    told.push(What::GameDayStarted { game_day: game_day.clone() });
                }
                told.push(step(*experiment, StepState::Started, None));
            }
            Command::Finish => told.push(over(day, game_day.clone())),
            Command::WatchAlerts { .. } | Command::StopExperiment { .. } => {}
        }
    }
    told
}

fn over(day: &State, game_day: GameDaySubject) -> What {
    let since = day.experiments().iter().filter_map(|course| course.asked).min();
    if let Stage::Aborted(ending) = day.stage() {
        return What::GameDayAborted { game_day, because: ending.because.clone(), since };
    }
    let experiments = day.experiments().iter().zip(&day.opening().experiments);
    let became = experiments.map(|(course, experiment)| match &course.ended {
        Some((_, verdict, _)) => format!("{}: {}", experiment.name, run_verdict(*verdict)),
        None => format!("{}: left out", experiment.name),
    });
    What::GameDayFinished { game_day, summary: became.collect::<Vec<_>>().join("; "), since }
}

/// Anybody who has a role may answer.
fn roles(day: &State) -> Vec<String> {
    day.spec().roles.keys().cloned().collect()
}
