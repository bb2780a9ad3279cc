use std::collections::VecDeque;
use std::future::pending;

use tokio::sync::mpsc::UnboundedReceiver;

use super::awaits_people;
use crate::game_day::machine::{Event, Stage, State};
use crate::game_day::spoken::{Moment, Spoken};

/// Where people's words come from.
#[derive(Debug)]
pub enum Voices {
    /// From a terminal, as they come.
    Live(UnboundedReceiver<Spoken>),
    /// From a file of answers: each answer when somebody is asked, anything else as soon as it is at its turn.
    Script(VecDeque<Spoken>),
}

impl Voices {
    /// What is said next. When nobody is left to say anything here, and somebody must, the game day is ended, unless
    /// `others` can speak elsewhere.
    pub(crate) async fn next(&mut self, state: &State, others: bool) -> Spoken {
        let awaits_people = |state: &State| !others && awaits_people(state);
        let nobody = |reason: &str| Spoken::Event(Event::Aborted { by: "nobody".into(), reason: reason.to_owned() });
        match self {
            Self::Live(lines) => match lines.recv().await {
                Some(spoken) => spoken,
                None if awaits_people(state) => nobody("standard input is closed, and somebody must answer"),
                None => pending().await,
            },
            Self::Script(said) => {
                while let Some(Spoken::Wait(moment)) = said.front() {
                    if !is_so(*moment, state) {
                        return pending().await;
                    }
                    said.pop_front();
                }
                match said.front() {
                    None if awaits_people(state) => nobody("the file of answers is over, and somebody must answer"),
                    None => pending().await,
                    Some(Spoken::Answer { .. })
                        if !matches!(
                            state.stage(),
                            Stage::Checklist | Stage::Hold { .. } | Stage::AwaitingPlan { .. }
                        ) =>
                    {
                        pending().await
                    }
                    Some(Spoken::Approve(_)) if *state.stage() != Stage::AwaitingApprovals => pending().await,
                    Some(_) => match said.pop_front() {
                        Some(spoken) => spoken,
                        None => pending().await,
                    },
                }
            }
        }
    }
}

fn is_so(moment: Moment, state: &State) -> bool {
    match (moment, state.stage()) {
        (Moment::Incited, Stage::Running { experiment } | Stage::Settling { experiment }) => {
            state.experiments()[*experiment].life().incited.is_some()
        }
        (Moment::Settling, Stage::Settling { .. }) => true,
        _ => false,
    }
}
