//! What follows from an event.

use super::event::HoldPoint;
use crate::game_day::hash::PlanHash;

/// What is to be done next.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Ask for approvals of this hash.
    AskApprovals {
        /// How many are missing.
        missing: usize,
    },
    /// Ask this question of the checklist.
    Ask {
        /// Its number, counted from 0.
        item: usize,
    },
    /// Ask for a decision at a hold.
    AskGo {
        /// The experiment, counted from 0.
        experiment: usize,
        /// Whether before it or after it.
        when: HoldPoint,
    },
    /// Ask for a new plan, or what else is to become of an experiment that cannot be carried out as it was planned.
    AskPlan {
        /// The experiment, counted from 0.
        experiment: usize,
    },
    /// Watch alerts anew, from now on; they are watched while [`super::State::watches`] says so.
    WatchAlerts {
        /// The experiment, counted from 0.
        experiment: usize,
    },
    /// Start an experiment's run, if its plan is still that of the hash; else answer with [`super::Event::Ended`], or of a fleet
    /// that has changed with [`super::Event::Drifted`].
    StartExperiment {
        /// Its number, counted from 0.
        experiment: usize,
        /// The hash of its plan.
        hash: PlanHash,
    },
    /// End an experiment's run and have it undone.
    StopExperiment {
        /// Its number, counted from 0.
        experiment: usize,
        /// Why.
        reason: String,
    },
    /// It is over: write the run sheet.
    Finish,
}
