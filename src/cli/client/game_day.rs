//! A game day on a controller, followed from here to its end; what is said here is said there.

use http::Method;

use super::attention::{Attention, Followed, WAIT};
use super::{Client, part};
use crate::cli::failure::{self, Failure};
use crate::cli::output;
use crate::console::{AnswerRequest, ApprovalRequest, FindingRequest, NoteRequest, Reason};
use crate::controller::game_days::{GameDayDetails, GameDayJournal};
use crate::game_day::drive::{Company, Voices};
use crate::game_day::machine::{Entry, Event, State, step};
use crate::game_day::spoken::Spoken;

/// Where a game day is on a controller.
pub(in crate::cli) fn path(id: &str, then: &str) -> String {
    format!("/v1/game-days/{}{then}", part(id))
}

impl Client {
    /// Follows a game day to its end, and says there what is said here. The first interruption ends the game day, the second
    /// ends the following. The journal is the answer.
    pub(in crate::cli) fn hold_game_day(
        &self,
        id: &str,
        voices: Option<Voices>,
        company: &mut dyn Company,
    ) -> Result<Vec<Entry>, Failure> {
        self.runtime.block_on(async {
            let attention = Attention::new()?;
            Following { client: self, id, attention, entries: Vec::new(), state: None, company }.follow(voices).await
        })
    }

    async fn say(&self, id: &str, state: &State, spoken: Spoken) -> Result<GameDayDetails, Failure> {
        let post = Method::POST;
        match spoken {
            Spoken::Approve(_) => {
                let plan_hash = state.hash().to_string();
                self.ask(post, &path(id, "/approval"), Some(&ApprovalRequest { plan_hash })).await
            }
            Spoken::Event(Event::Withdrawn { .. }) => {
                self.ask(Method::DELETE, &path(id, "/approval"), None::<&()>).await
            }
            Spoken::Answer { answer, remark, .. } => {
                let to = state.asked().ok_or_else(|| {
                    Failure::precondition("nothing is asked now").hint("it is asked here when it is time")
                })?;
                self.ask(post, &path(id, "/answer"), Some(&AnswerRequest { to, answer, remark })).await
            }
            Spoken::Event(Event::Noted(note)) => {
                let note = NoteRequest { text: note.text, tags: note.tags };
                self.ask(post, &path(id, "/notes"), Some(&note)).await
            }
            Spoken::Event(Event::Found(found)) => {
                self.ask(post, &path(id, "/findings"), Some(&FindingRequest::from(found))).await
            }
            Spoken::Event(Event::Aborted { reason, .. }) => {
                self.ask(post, &path(id, "/abort"), Some(&Reason { reason })).await
            }
            Spoken::Event(_) | Spoken::Wait(_) => {
                Err(Failure::usage("this cannot be said to a game day").hint("`help` lists what can"))
            }
        }
    }
}

struct Following<'a> {
    client: &'a Client,
    id: &'a str,
    attention: Attention,
    entries: Vec<Entry>,
    state: Option<State>,
    company: &'a mut dyn Company,
}

impl Following<'_> {
    async fn follow(mut self, mut voices: Option<Voices>) -> Result<Vec<Entry>, Failure> {
        loop {
            let journal = self.client.game_day_journal(self.id, self.entries.len(), WAIT);
            let page = tokio::select! {
                biased;
                () = self.attention.interruption() => {
                    self.interrupt().await?;
                    continue;
                }
                spoken = next(&mut voices, self.state.as_ref()) => {
                    self.said(spoken).await;
                    // What follows from it is known before anything else is said.
                    self.client.game_day_journal(self.id, self.entries.len(), 0).await
                }
                page = journal => page,
            };
            match page {
                Ok(page) => {
                    self.attention.heard();
                    let over = page.over;
                    page.entries.into_iter().try_for_each(|entry| self.hear(entry))?;
                    if over {
                        return Ok(self.entries);
                    }
                }
                // A controller that is restarted goes on with the game day; it is waited for.
                Err(error) if self.attention.is_patient() => {
                    output::tell(&format!("{error}; asked again\n"));
                    self.attention.pause().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn hear(&mut self, entry: Entry) -> Result<(), Failure> {
        let (state, commands) = step(self.state.as_ref(), entry.at, entry.event.clone()).map_err(|illegal| {
            Failure::precondition(format!("the journal of the game day makes no sense here: {illegal}"))
                .hint("install the same version of Faultline here and there")
        })?;
        self.company.happened(&entry, &state);
        commands.iter().for_each(|command| self.company.asked(&state, command));
        self.entries.push(entry);
        self.state = Some(state);
        Ok(())
    }

    /// What the controller refuses is told, and changes nothing.
    async fn said(&self, spoken: Spoken) {
        let Some(state) = &self.state else { return };
        if let Err(refused) = self.client.say(self.id, state, spoken).await {
            output::tell(&failure::render(&refused.into(), false));
        }
    }

    async fn interrupt(&mut self) -> Result<(), Failure> {
        let (client, id) = (self.client, self.id);
        let ended_at = path(id, "/abort");
        let followed = Followed { what: "game day", id, shown_by: "faultline gameday show", ended_at: &ended_at };
        self.attention.interrupt::<GameDayDetails>(client, followed, output::tell).await
    }
}

impl Client {
    async fn game_day_journal(&self, id: &str, from: usize, wait: u64) -> Result<GameDayJournal, Failure> {
        self.ask(Method::GET, &path(id, &format!("/journal?from={from}&wait={wait}")), None::<&()>).await
    }
}

/// What is said here next; nothing for ever where nobody speaks, or before it is known where the game day stands.
async fn next(voices: &mut Option<Voices>, state: Option<&State>) -> Spoken {
    match (voices, state) {
        (Some(voices), Some(state)) if !state.is_over() => voices.next(state, true).await,
        _ => std::future::pending().await,
    }
}
