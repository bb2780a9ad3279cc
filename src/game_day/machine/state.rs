use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::event::{Event, HoldPoint, Opened, patience};
use super::records::{Approval, Course, Decision, Ending, Given, Replan};
use super::said::{Finding, Note};
use crate::game_day::alerts::{self, AlertVerdict, Watch};
use crate::game_day::document::{ChecklistItem, GameDaySpec, Hold};
use crate::game_day::hash::PlanHash;

/// Where a game day stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was asked for yet.
    Drafted,
    /// Approvals are missing.
    AwaitingApprovals,
    /// The checklist is gone through.
    Checklist,
    /// A person must say go.
    Hold {
        /// The experiment, counted from 0.
        experiment: usize,
        /// Before or after it.
        when: HoldPoint,
    },
    /// An experiment was due, and the fleet is not the one of its plan any more.
    AwaitingPlan {
        /// Its number, counted from 0.
        experiment: usize,
        /// What is different.
        because: String,
    },
    /// The window has not begun.
    AwaitingWindow,
    /// An experiment runs.
    Running {
        /// Its number, counted from 0.
        experiment: usize,
    },
    /// An experiment is being ended early, and the game day with it.
    Stopping {
        /// Its number, counted from 0.
        experiment: usize,
        /// Why.
        because: Ending,
    },
    /// An experiment has ended; alerts may still fire, or be resolved.
    Settling {
        /// Its number, counted from 0.
        experiment: usize,
    },
    /// All was gone through.
    Finished,
    /// It was ended early.
    Aborted(Ending),
}

impl Stage {
    /// In a word: what lists and other programs are told.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Drafted => "drafted",
            Self::AwaitingApprovals => "awaiting-approvals",
            Self::Checklist => "checklist",
            Self::Hold { .. } => "hold",
            Self::AwaitingPlan { .. } => "awaiting-plan",
            Self::AwaitingWindow => "awaiting-window",
            Self::Running { .. } => "running",
            Self::Stopping { .. } => "stopping",
            Self::Settling { .. } => "settling",
            Self::Finished => "finished",
            Self::Aborted(_) => "aborted",
        }
    }
}

/// A game day, all that is known of it.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) stage: Stage,
    /// Since when it stands there.
    pub(super) since: Timestamp,
    pub(super) opened: Arc<Opened>,
    pub(super) window: Option<(Timestamp, Timestamp)>,
    pub(super) now: Timestamp,
    pub(super) begun: Timestamp,
    pub(super) ended: Option<Timestamp>,
    pub(super) requested: Option<(String, Timestamp)>,
    pub(super) hash: PlanHash,
    /// The hash of each experiment's plan.
    pub(super) plans: Vec<PlanHash>,
    pub(super) replans: Vec<Replan>,
    pub(super) approvals: Vec<Approval>,
    pub(super) answers: Vec<Given>,
    pub(super) decisions: Vec<Decision>,
    pub(super) experiments: Vec<Course>,
    pub(super) notes: Vec<(Timestamp, Note)>,
    pub(super) findings: Vec<(Timestamp, Finding)>,
}

impl State {
    pub(super) fn opened(at: Timestamp, opened: Opened) -> Self {
        let spec = &opened.game_day.spec;
        let zone = spec.time_zone.rules();
        let window = spec.window.and_then(|window| Some((window.from.instant(zone)?, window.until.instant(zone)?)));
        Self {
            stage: Stage::Drafted,
            since: at,
            window,
            now: at,
            begun: at,
            ended: None,
            requested: None,
            hash: opened.hash.clone(),
            plans: opened.experiments.iter().map(|one| one.hash.clone()).collect(),
            replans: Vec::new(),
            approvals: Vec::new(),
            answers: Vec::new(),
            decisions: Vec::new(),
            experiments: vec![Course::default(); opened.experiments.len()],
            notes: Vec::new(),
            findings: Vec::new(),
            opened: Arc::new(opened),
        }
    }

    /// Where it stands.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// How it began.
    pub fn opening(&self) -> &Opened {
        &self.opened
    }

    /// The document's specification.
    pub fn spec(&self) -> &GameDaySpec {
        &self.opened.game_day.spec
    }

    /// The hash that approvals are bound to now.
    pub fn hash(&self) -> &PlanHash {
        &self.hash
    }

    /// The hash of an experiment's plan, as it is now.
    pub fn plan_of(&self, experiment: usize) -> &PlanHash {
        &self.plans[experiment]
    }

    /// The plans that were made anew, in order.
    pub fn replans(&self) -> &[Replan] {
        &self.replans
    }

    /// The experiments that may still be planned anew: those that were neither asked for nor left out.
    pub fn open_experiments(&self) -> impl Iterator<Item = usize> {
        self.experiments.iter().enumerate().filter(|(_, course)| !course.has_begun()).map(|(number, _)| number)
    }

    /// When it was drafted, the last event, and when it was over.
    pub fn times(&self) -> (Timestamp, Timestamp, Option<Timestamp>) {
        (self.begun, self.now, self.ended)
    }

    /// Its window, if it has one.
    pub fn window(&self) -> Option<(Timestamp, Timestamp)> {
        self.window
    }

    /// Who asked for the approvals, and when.
    pub fn requested(&self) -> Option<&(String, Timestamp)> {
        self.requested.as_ref()
    }

    /// All approvals that were given, void ones too.
    pub fn approvals(&self) -> &[Approval] {
        &self.approvals
    }

    /// The approvals that count at a moment: of the plan as it is, not taken back, not expired.
    pub fn valid_approvals(&self, at: Timestamp) -> usize {
        self.approvals.iter().filter(|approval| approval.void.is_none() && approval.expires > at).count()
    }

    /// How many approvals are missing at a moment.
    pub fn missing_approvals(&self, at: Timestamp) -> usize {
        let required = self.spec().approvals.as_ref().map_or(0, |approvals| approvals.required);
        usize::try_from(required).unwrap_or(usize::MAX).saturating_sub(self.valid_approvals(at))
    }

    /// The last answer to a question of the checklist.
    pub fn answer(&self, item: usize) -> Option<&Given> {
        self.answers.iter().rev().find(|given| given.item == item)
    }

    /// The checklist, each question with the last answer to it.
    pub fn checklist(&self) -> impl Iterator<Item = (&ChecklistItem, Option<&Given>)> {
        self.spec().checklist.iter().enumerate().map(|(number, item)| (item, self.answer(number)))
    }

    /// The first question that nobody has answered.
    pub fn next_question(&self) -> Option<usize> {
        self.checklist().position(|(_, given)| given.is_none())
    }

    /// The decisions at holds, in order.
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// How each experiment went, in the order of the document.
    pub fn experiments(&self) -> &[Course] {
        &self.experiments
    }

    /// The notes, in order.
    pub fn notes(&self) -> &[(Timestamp, Note)] {
        &self.notes
    }

    /// The findings, in order.
    pub fn findings(&self) -> &[(Timestamp, Finding)] {
        &self.findings
    }

    /// Whether an event that led here from `before` is written down: time alone only where something follows from it.
    pub fn is_news_after(&self, before: &Self, event: &Event) -> bool {
        *event != Event::Tick || self.stage != before.stage
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Finished | Stage::Aborted(_))
    }

    /// The experiment for which alerts are watched now.
    pub fn watches(&self) -> Option<usize> {
        match &self.stage {
            Stage::Running { experiment } | Stage::Stopping { experiment, .. } | Stage::Settling { experiment } => {
                self.experiments[*experiment].watch.as_ref().map(|_| *experiment)
            }
            _ => None,
        }
    }

    /// What became of the alerts that an experiment was expected to raise.
    pub fn alerts(&self, experiment: usize) -> Vec<AlertVerdict> {
        let course = &self.experiments[experiment];
        let never = Watch::new(self.begun, SignedDuration::ZERO);
        let watch = course.watch.as_ref().unwrap_or(&never);
        let expected = &self.spec().experiments[experiment].expect.alerts;
        expected.iter().map(|expected| alerts::judge(expected, course.life(), watch)).collect()
    }

    /// The first experiment that was neither run nor left out.
    pub(super) fn next_experiment(&self) -> Option<usize> {
        self.experiments.iter().position(|course| !course.skipped && course.ended.is_none())
    }

    pub(super) fn holds(&self, experiment: usize, when: HoldPoint) -> bool {
        matches!(
            (self.spec().experiments[experiment].hold, when),
            (Some(Hold::Both), _) | (Some(Hold::Before), HoldPoint::Before) | (Some(Hold::After), HoldPoint::After)
        )
    }

    pub(super) fn new_watch(&self, at: Timestamp) -> Option<Watch> {
        let alertmanager = self.spec().alertmanager.as_ref()?;
        Some(Watch::new(at, patience(alertmanager.interval, alertmanager.timeout)))
    }
}
