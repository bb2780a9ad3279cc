//! What becomes of a plan: approvals are of it alone, so another one needs them again.

use jiff::Timestamp;

use super::command::Command;
use super::event::HoldPoint;
use super::illegal::Illegal;
use super::records::{Course, Replan};
use super::state::{Stage, State};
use super::transitions::{advance, not_now};
use crate::game_day::hash::PlanHash;

impl State {
    pub(super) fn plan_anew(&mut self, replan: Replan, plans: Vec<PlanHash>) -> Result<Vec<Command>, Illegal> {
        let (expected, given) = (self.plans.len(), plans.len());
        if given != 0 && given != expected {
            return Err(Illegal::Experiments { expected, given });
        }
        let plans = if given == 0 { self.plans.clone() } else { plans };
        let differs = |(course, (old, new)): (&Course, (&PlanHash, &PlanHash))| course.has_begun() && old != new;
        if self.experiments.iter().zip(self.plans.iter().zip(&plans)).any(differs) {
            return Err(not_now(self, "another plan of an experiment that has begun"));
        }
        let (at, waits) = (replan.at, matches!(self.stage, Stage::AwaitingPlan { .. }));
        if replan.hash == self.hash {
            // The fleet may be the one of the plan again.
            return Ok(if waits { advance(self, at) } else { Vec::new() });
        }
        for approval in self.approvals.iter_mut().filter(|approval| approval.void.is_none()) {
            approval.void = Some("the plan was changed".into());
        }
        for course in self.experiments.iter_mut().filter(|course| !course.has_begun()) {
            course.may_start = false;
        }
        self.hash = replan.hash.clone();
        self.plans = plans;
        self.replans.push(replan);
        if waits && self.missing_approvals(at) == 0 {
            return Ok(advance(self, at));
        }
        Ok(self.approvals_changed(at))
    }

    /// What was about to be asked for cannot be carried out: as if it had never been due.
    pub(super) fn drifted(&mut self, experiment: usize, because: String) -> Result<Vec<Command>, Illegal> {
        let runs = self.stage == (Stage::Running { experiment });
        match self.experiments.get_mut(experiment).filter(|_| runs) {
            Some(course) if course.queued.is_none() && course.started.is_none() => {
                (course.asked, course.watch) = (None, None);
                self.stage = Stage::AwaitingPlan { experiment, because };
                Ok(vec![Command::AskPlan { experiment }])
            }
            _ => Err(not_now(self, "a change of the fleet")),
        }
    }

    /// Approvals are looked at again before each start; where people are asked something meanwhile, approvals come first.
    pub(super) fn approvals_changed(&mut self, at: Timestamp) -> Vec<Command> {
        let missing = self.missing_approvals(at);
        let waits = matches!(self.stage, Stage::AwaitingApprovals | Stage::Checklist | Stage::AwaitingWindow)
            || matches!(self.stage, Stage::Hold { when: HoldPoint::Before, .. } | Stage::AwaitingPlan { .. });
        if missing == 0 || !waits {
            return Vec::new();
        }
        self.stage = Stage::AwaitingApprovals;
        vec![Command::AskApprovals { missing }]
    }
}
