//! Asking for a game day: its experiments are planned on the fleet, and with the hash of all that people are asked to
//! approve.

use std::collections::BTreeSet;

use super::view::GameDayDetails;
use super::{Controller, ControllerError, text};
use crate::access::{Action, Principal};
use crate::controller::command::{Command, Object};
use crate::controller::suitable;
use crate::document::Document;
use crate::document::load::from_text;
use crate::experiment::document::Experiment;
use crate::game_day::document::GameDay;
use crate::game_day::hash::{PlanHash, of_game_day};
use crate::game_day::machine::{Entry, Event, Identity, Opened, ResolvedExperiment, step};
use crate::game_day::resolve;
use crate::run::new_run_id;
use crate::store::NewGameDay;

/// So many hosts are named where the run sheet says where the game day was held.
const NAMED: usize = 5;

impl Controller {
    /// Takes a game day with its experiments: it is planned on the hosts that are connected now, every one of which is
    /// asked whether it can and may do its part, and people are asked to approve. Names in it are those of tokens.
    ///
    /// # Errors
    /// If `who` may not, the document is wrong or cannot be run by a controller, no hosts can be chosen or one refuses, the
    /// fleet is halted, or by the store.
    pub async fn submit_game_day(&self, who: &Principal, document: &str) -> Result<GameDayDetails, ControllerError> {
        self.admit(who, Action::LeadGameDay).await?;
        let (game_day, known) = read(document)?;
        self.enough_approvals(&game_day)?;
        suitable::alerts_in_reach(&game_day, &self.settings)?;
        self.not_halted().await?;
        let (mut plans, mut resolved) = (Vec::new(), Vec::new());
        let id = new_run_id();
        let mut object = Object::new(format!("game-day/{id}")).experiment(game_day.metadata.labels.clone());
        let mut hosts = BTreeSet::new();
        for planned in &game_day.spec.experiments {
            let experiment = resolve::experiment(&game_day, planned, &known).map_err(|missing| {
                let hint = "send the game day and the experiments that it names in one text, with a line `---` between";
                ControllerError::unsuitable(missing.to_string(), hint)
            })?;
            suitable::fit(&experiment, &self.settings)?;
            // JSON is YAML: it is read like any other document.
            let document = serde_json::to_string_pretty(&experiment)
                .map_err(|error| ControllerError::Broken(error.to_string()))?;
            let (plan, kept) = self.plan_for_game_day(who, &id, document, None).await?;
            for (host, labels) in plan.hosts() {
                if hosts.insert(host.to_owned()) {
                    object = object.host(host, labels);
                }
            }
            let hash = PlanHash::given(plan.plan.hash().to_string());
            plans.push(kept);
            resolved.push(ResolvedExperiment {
                name: planned.name().to_owned(),
                experiment,
                seed: plan.plan.seed,
                hash,
            });
        }
        let hashes: Vec<PlanHash> = resolved.iter().map(|one| one.hash.clone()).collect();
        let opened = Opened {
            id: id.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            place: place(&hosts),
            file: format!("sent by {}", who.name),
            hash: of_game_day(&game_day, &hashes),
            game_day,
            experiments: resolved,
            identity: Identity::Token,
        };
        let command = Command::new(Action::LeadGameDay, object)
            .with("title", &opened.game_day.spec.title)
            .with("hosts", &hosts)
            .with("planHash", opened.hash.as_str());
        self.command(who, command, async {
            let now = self.now().await?;
            let metadata = opened.game_day.metadata.clone();
            let title = opened.game_day.spec.title.clone();
            let (mut state, mut entries) = (None, Vec::new());
            for event in [Event::Opened(Box::new(opened)), Event::Requested { by: who.name.clone() }] {
                let entry = Entry { at: now, event };
                state = Some(step(state.as_ref(), now, entry.event.clone())?.0);
                entries.push(text(&entry)?);
            }
            let stage = state.as_ref().map_or("drafted", |state| state.stage().word()).to_owned();
            if state.is_some_and(|state| state.is_over()) {
                return Err(ControllerError::unsuitable("the window of the game day is over", "write a later one"));
            }
            let day = NewGameDay {
                id: id.clone(),
                name: metadata.name,
                title,
                labels: metadata.labels,
                document: document.to_owned(),
                requested_by: who.name.clone(),
                plans,
                entries,
                stage,
            };
            self.store.create_game_day(&day, now).await?;
            Ok(())
        })
        .await?;
        self.game_day_details(&id).await
    }

    /// Whoever runs the controller may demand more approvals than a document does.
    fn enough_approvals(&self, game_day: &GameDay) -> Result<(), ControllerError> {
        let (asked, least) =
            (game_day.spec.approvals.as_ref().map_or(0, |asked| asked.required), self.settings.least_approvals);
        if asked >= least {
            return Ok(());
        }
        let message = format!("the game day asks for {asked} approvals, and this controller demands {least}");
        Err(ControllerError::unsuitable(message, format!("write `approvals: {{ required: {least}, of: [ROLE] }}`")))
    }
}

/// The one game day of a text, and the experiments beside it.
fn read(text: &str) -> Result<(GameDay, Vec<Experiment>), ControllerError> {
    let (mut days, mut experiments) = (Vec::new(), Vec::new());
    for loaded in from_text("the document", text, &[])? {
        match loaded.document {
            Document::GameDay(day) => days.push(*day),
            Document::Experiment(experiment) => experiments.push(*experiment),
            other @ Document::Schedule(_) => {
                let message = format!("the {} {} has no place here", other.kind().noun(), other.metadata().name);
                return Err(ControllerError::unsuitable(message, "send the game day and its experiments alone"));
            }
        }
    }
    match (days.pop(), days.is_empty()) {
        (Some(day), true) => Ok((day, experiments)),
        _ => Err(ControllerError::unsuitable(
            "the text must hold exactly one game day, and the experiments that it names",
            "a game day is a document with `kind: GameDay`",
        )),
    }
}

fn place(hosts: &BTreeSet<String>) -> String {
    let named: Vec<&str> = hosts.iter().take(NAMED).map(String::as_str).collect();
    match hosts.len().checked_sub(NAMED) {
        None | Some(0) => format!("the fleet: {}", named.join(", ")),
        Some(more) => format!("the fleet: {} and {more} more hosts", named.join(", ")),
    }
}
