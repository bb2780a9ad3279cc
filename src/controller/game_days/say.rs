//! What people say to a game day. Who they are is what their token says; what they may say is in its document.

use super::view::GameDayDetails;
use super::{Controller, ControllerError, With};
use crate::access::{Action, Principal};
use crate::controller::command::Command;
use crate::game_day::hash::PlanHash;
use crate::game_day::machine::{Answer, Asked, Event, Finding, Note, State};

impl Controller {
    /// Approves the plan of a game day.
    ///
    /// # Errors
    /// If `who` may not by his token or by the document, has asked for it himself or approved already, the plan has another
    /// hash or the fleet is not the one of it any more, or by the store.
    pub async fn approve_game_day(
        &self,
        who: &Principal,
        id: &str,
        plan_hash: &str,
    ) -> Result<GameDayDetails, ControllerError> {
        let hash = PlanHash::given(plan_hash);
        let say = move |_: &State| Ok(Event::Approved { by: who.name.clone(), hash: hash.clone() });
        self.say_if(who, id, Action::Approve, &[("planHash", plan_hash)], self.game_day_holds(id, None), say).await
    }

    /// Takes an approval back.
    ///
    /// # Errors
    /// If `who` may not, gave none, the game day is over, or by the store.
    pub async fn withdraw_game_day(&self, who: &Principal, id: &str) -> Result<GameDayDetails, ControllerError> {
        let say = |_: &State| Ok(Event::Withdrawn { by: who.name.clone() });
        self.say(who, id, Action::Approve, &[("approval", "taken back")], say).await
    }

    /// Answers what is asked: a question of the checklist, a hold, or (with `go`) that alerts are waited for no longer.
    ///
    /// # Errors
    /// If `who` may not by his token or by the document, something else is asked by now, it is a go to an experiment and the
    /// fleet is not the one of its plan any more, or by the store.
    pub async fn answer_game_day(
        &self,
        who: &Principal,
        id: &str,
        to: Asked,
        answer: Answer,
        remark: Option<String>,
    ) -> Result<GameDayDetails, ControllerError> {
        let word = match answer {
            Answer::Go => "go",
            Answer::NoGo => "no-go",
            Answer::Skip => "skip",
        };
        let say = |state: &State| {
            let asked = state.asked();
            if asked != Some(to) {
                let now = asked.map_or_else(|| "nothing".to_owned(), |asked| asked.to_string());
                let message = format!("`{to}` is not asked now: {now} is");
                return Err(ControllerError::NotAsked { message });
            }
            to.answered(who.name.clone(), answer, remark.clone()).ok_or_else(|| {
                ControllerError::request("an approval is not an answer", "approve it by the hash of its plan")
            })
        };
        let details = [("to", to.to_string()), ("answer", word.to_owned())];
        let details: Vec<(&str, &str)> = details.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let before = match (to, answer) {
            (Asked::Before(experiment), Answer::Go) => Some(experiment),
            _ => None,
        };
        let holds = async {
            match before {
                Some(experiment) => self.game_day_holds(id, Some(experiment)).await,
                None => Ok(()),
            }
        };
        self.say_if(who, id, Action::LeadGameDay, &details, holds, say).await
    }

    /// Notes what somebody sees.
    ///
    /// # Errors
    /// If `who` may not, or by the store.
    pub async fn note_game_day(
        &self,
        who: &Principal,
        id: &str,
        text: &str,
        tags: &[String],
    ) -> Result<GameDayDetails, ControllerError> {
        let note = Note { author: who.name.clone(), text: text.to_owned(), tags: tags.to_vec() };
        let say = |_: &State| Ok(Event::Noted(note.clone()));
        self.say(who, id, Action::LeadGameDay, &[("note", text)], say).await
    }

    /// Writes down what somebody must see to. Its author is who says it.
    ///
    /// # Errors
    /// If `who` may not, or by the store.
    pub async fn find_in_game_day(
        &self,
        who: &Principal,
        id: &str,
        finding: Finding,
    ) -> Result<GameDayDetails, ControllerError> {
        let finding = Finding { author: who.name.clone(), ..finding };
        let say = |_: &State| Ok(Event::Found(finding.clone()));
        self.say(who, id, Action::LeadGameDay, &[("finding", finding.text.as_str())], say).await
    }

    /// Ends a game day: what runs is undone, nothing more is started.
    ///
    /// # Errors
    /// If `who` may not, it is over already, or by the store.
    pub async fn abort_game_day(
        &self,
        who: &Principal,
        id: &str,
        reason: &str,
    ) -> Result<GameDayDetails, ControllerError> {
        let say = |_: &State| Ok(Event::Aborted { by: who.name.clone(), reason: reason.to_owned() });
        self.say(who, id, Action::Abort, &[("reason", reason)], say).await
    }

    async fn say(
        &self,
        who: &Principal,
        id: &str,
        action: Action,
        details: &[(&str, &str)],
        say: impl Fn(&State) -> Result<Event, ControllerError> + Send + Sync,
    ) -> Result<GameDayDetails, ControllerError> {
        self.say_if(who, id, action, details, async { Ok(()) }, say).await
    }

    /// The same, if something else is so.
    async fn say_if(
        &self,
        who: &Principal,
        id: &str,
        action: Action,
        details: &[(&str, &str)],
        is_so: impl Future<Output = Result<(), ControllerError>> + Send,
        say: impl Fn(&State) -> Result<Event, ControllerError> + Send + Sync,
    ) -> Result<GameDayDetails, ControllerError> {
        let object = self.object_of_game_day(id).await?;
        let command = Command::new(action, object);
        let command = details.iter().fold(command, |command, (name, value)| command.with(name, value));
        self.command(who, command, async {
            is_so.await?;
            self.tell_game_day(id, With::Nothing, say).await
        })
        .await?;
        self.game_day_details(id).await
    }
}
