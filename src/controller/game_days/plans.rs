//! The plans of a game day's experiments: made when it is asked for, looked at again whenever somebody agrees to them and
//! before each start, and made anew when somebody wants them to be.

use super::view::GameDayDetails;
use super::{Controller, ControllerError, Read, With};
use crate::access::{Action, Principal};
use crate::controller::command::Command;
use crate::controller::plan::Planned;
use crate::controller::suitable;
use crate::game_day::hash::{PlanHash, of_game_day};
use crate::game_day::machine::Event;
use crate::store::GameDayPlan;
use crate::targets::fleet_plan::{self, Difference, Drift, Fleet, FleetPlan};

impl Controller {
    /// Plans one experiment of a game day on the hosts that are connected now, each of which is asked whether it can and may
    /// do its part.
    pub(super) async fn plan_for_game_day(
        &self,
        who: &Principal,
        id: &str,
        document: String,
        seed: Option<u64>,
    ) -> Result<(Planned, GameDayPlan), ControllerError> {
        let plan = self.make_plan(&document, seed).await?;
        self.authorise(who, Action::Run, &plan.object(format!("game-day/{id}"))).await?;
        self.none_refuses(&plan).await?;
        let hosts = plan.plan.hosts().into_iter().map(str::to_owned).collect();
        let kept = GameDayPlan { document, plan: plan.json()?.to_string(), hosts };
        Ok((plan, kept))
    }

    /// Makes the plans of all experiments anew that have not begun. If they are other ones than before, every approval is
    /// void, and people are asked again.
    ///
    /// # Errors
    /// If `who` may not, the game day is over or goes on meanwhile, no hosts can be chosen or one refuses, the fleet is
    /// halted, or by the store.
    pub async fn replan_game_day(&self, who: &Principal, id: &str) -> Result<GameDayDetails, ControllerError> {
        self.authorise(who, Action::LeadGameDay, &self.object_of_game_day(id).await?).await?;
        self.not_halted().await?;
        let read = self.read_game_day(id).await?;
        let mut plans = self.store.game_day_plans(id).await?;
        let (opening, open) = (read.state.opening(), read.state.open_experiments().collect::<Vec<_>>());
        let mut hashes: Vec<PlanHash> =
            (0..opening.experiments.len()).map(|number| read.state.plan_of(number).clone()).collect();
        let (mut object, mut differences) = (self.object_of_game_day(id).await?, Vec::new());
        for &number in &open {
            let old = plans.get(number).ok_or_else(|| no_plan(id))?.clone();
            let (plan, new) =
                self.plan_for_game_day(who, id, old.document.clone(), Some(opening.experiments[number].seed)).await?;
            object = plan.hosts().fold(object, |object, (host, labels)| object.host(host, labels));
            if hashes[number].as_str() != plan.plan.hash().to_string() {
                differences.extend(self.differences(&opening.experiments[number].name, &old, &new).await?);
            }
            hashes[number] = PlanHash::given(plan.plan.hash().to_string());
            plans[number] = new;
        }
        let (planned_from, hash) = (read.state.hash().clone(), of_game_day(&opening.game_day, &hashes));
        let command = Command::new(Action::LeadGameDay, object)
            .with("replanned", true)
            .with("planHash", hash.as_str())
            .with("differences", &differences);
        let say = |state: &crate::game_day::machine::State| {
            if *state.hash() != planned_from || state.open_experiments().ne(open.iter().copied()) {
                let message = "the game day went on while it was planned anew; do so again".to_owned();
                return Err(ControllerError::NotAsked { message });
            }
            let (hash, experiments, by) = (hash.clone(), hashes.clone(), who.name.clone());
            Ok(Event::Planned { hash, experiments, by, differences: differences.clone() })
        };
        self.command(who, command, self.tell_game_day(id, With::Plans(&plans), say)).await?;
        self.game_day_details(id).await
    }

    /// Whether the plan of an experiment, or of all that have not begun, could be carried out on the fleet as it is now.
    pub(super) async fn game_day_holds(&self, id: &str, experiment: Option<usize>) -> Result<(), ControllerError> {
        let read = self.read_game_day(id).await?;
        let plans = self.store.game_day_plans(id).await?;
        for number in read.state.open_experiments().filter(|number| experiment.is_none_or(|only| only == *number)) {
            let plan = plans.get(number).ok_or_else(|| no_plan(id))?;
            if let Some(because) = self.drift_of(id, plan).await?.refusal() {
                return Err(ControllerError::GameDayDrifted { because: format!("{}: {because}", name(&read, number)) });
            }
        }
        Ok(())
    }

    /// What of the fleet is not as it was when a plan was made.
    pub(super) async fn drift_of(&self, id: &str, kept: &GameDayPlan) -> Result<Drift, ControllerError> {
        let loaded = suitable::experiment(&kept.document, &self.settings)?;
        // Hosts that other runs have now are waited for in the queue.
        let fleet = Fleet { held: Vec::new(), ..self.fleet_now("").await? };
        Ok(fleet_plan::drift(&fleet_plan_of(id, kept)?, &fleet.with(&loaded.document))?)
    }

    /// What is different in a plan that was made anew, a sentence each.
    async fn differences(
        &self,
        name: &str,
        old: &GameDayPlan,
        new: &GameDayPlan,
    ) -> Result<Vec<String>, ControllerError> {
        let drift = self.drift_of(name, old).await?;
        // That a host could be had is told below, if it is.
        let lasting = drift.differences.iter().filter(|one| !matches!(one, Difference::HostJoined { .. }));
        let told = lasting.map(|difference| format!("{name}: {difference}"));
        let only_in = |one: &GameDayPlan, other: &GameDayPlan| {
            one.hosts.iter().filter(|host| !other.hosts.contains(host)).cloned().collect::<Vec<_>>()
        };
        let (gained, lost) = (only_in(new, old), only_in(old, new));
        let hosts = |hosts: Vec<String>, what: &str| {
            (!hosts.is_empty()).then(|| format!("{name}: {what} {}", hosts.join(", ")))
        };
        Ok(told.chain(hosts(gained, "now on")).chain(hosts(lost, "no longer on")).collect())
    }
}

fn name(read: &Read, number: usize) -> String {
    read.state.opening().experiments[number].name.clone()
}

fn fleet_plan_of(id: &str, kept: &GameDayPlan) -> Result<FleetPlan, ControllerError> {
    serde_json::from_str(&kept.plan)
        .map_err(|error| ControllerError::Broken(format!("a plan of game day {id} cannot be read: {error}")))
}

fn no_plan(id: &str) -> ControllerError {
    ControllerError::Broken(format!("a plan of game day {id} is not there any more"))
}
