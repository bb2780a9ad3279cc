//! What people do: approve, answer, decide.

use jiff::{SignedDuration, Timestamp};

use super::asked::Asked;
use super::command::Command;
use super::event::Answer;
use super::illegal::Illegal;
use super::records::{Approval, Decision, EndingKind, Given};
use super::state::{Stage, State};
use super::transitions::{abort, advance, not_now};
use crate::game_day::hash::PlanHash;

impl State {
    pub(super) fn approve(&mut self, at: Timestamp, by: String, hash: PlanHash) -> Result<Vec<Command>, Illegal> {
        let Some(approvals) = &self.spec().approvals else { return Err(not_now(self, "an approval")) };
        if self.stage == Stage::Drafted {
            return Err(not_now(self, "an approval"));
        }
        let refuse = |what: &str| {
            Err(Illegal::NotEntitled {
                who: by.clone(),
                what: what.into(),
                hint: format!("these may approve: {}", approvals.of.join(", ")),
            })
        };
        if !self.spec().may_approve(&by) {
            return refuse("approve");
        }
        if self.requested.as_ref().is_some_and(|(requester, _)| *requester == by) {
            return refuse("approve what they asked for themselves");
        }
        if self.replans.last().is_some_and(|replan| replan.by.eq_ignore_ascii_case(&by)) {
            return refuse("approve a plan that they had made themselves");
        }
        if hash != self.hash {
            return Err(Illegal::OtherPlan { given: hash, current: self.hash.clone() });
        }
        let counts = |approval: &&Approval| approval.by == by && approval.void.is_none() && approval.expires > at;
        if self.approvals.iter().any(|approval| counts(&approval)) {
            return Err(Illegal::Twice { who: by });
        }
        let lasts = SignedDuration::try_from(approvals.expire_after.duration()).unwrap_or(SignedDuration::MAX);
        let expires = at.checked_add(lasts).unwrap_or(Timestamp::MAX);
        // One that expired is replaced by the new one.
        for old in self.approvals.iter_mut().filter(|approval| approval.by == by && approval.void.is_none()) {
            old.void = Some("expired".into());
        }
        self.approvals.push(Approval { by, at, hash, expires, void: None });
        Ok(if self.stage == Stage::AwaitingApprovals { advance(self, at) } else { Vec::new() })
    }

    pub(super) fn withdraw(&mut self, at: Timestamp, by: &str) -> Result<Vec<Command>, Illegal> {
        let own = |approval: &&mut Approval| approval.by == by && approval.void.is_none();
        let Some(approval) = self.approvals.iter_mut().find(own) else {
            return Err(Illegal::NotEntitled {
                who: by.to_owned(),
                what: "take back an approval that they did not give".into(),
                hint: "each takes back their own".into(),
            });
        };
        approval.void = Some("taken back".into());
        Ok(self.approvals_changed(at))
    }

    pub(super) fn answered(&mut self, given: Given) -> Result<Vec<Command>, Illegal> {
        if self.stage != Stage::Checklist {
            return Err(not_now(self, "an answer to the checklist"));
        }
        let Some(item) = self.spec().checklist.get(given.item).cloned() else {
            return Err(Illegal::NoSuch { what: "question", number: given.item + 1 });
        };
        let entitled = match &item.of {
            Some(role) => self.spec().has_role(&given.by, role),
            None => self.spec().takes_part(&given.by),
        };
        if !entitled {
            let who = item.of.as_deref().unwrap_or("somebody with a role");
            return Err(Illegal::NotEntitled {
                who: given.by,
                what: "answer this question".into(),
                hint: format!("it is for {who} to answer"),
            });
        }
        if item.required && given.answer == Answer::Skip {
            return Err(Illegal::Required);
        }
        let at = given.at;
        let no = (item.required && given.answer == Answer::NoGo).then(|| {
            let said = given.remark.as_deref().map(|remark| format!(" ({remark})")).unwrap_or_default();
            format!("no-go by {} on question {}: {}{said}", given.by, given.item + 1, item.ask)
        });
        self.answers.push(given);
        Ok(match no {
            Some(because) => abort(self, at, EndingKind::NoGo, because),
            None => advance(self, at),
        })
    }

    pub(super) fn decided(
        &mut self,
        at: Timestamp,
        by: String,
        answer: Answer,
        remark: Option<String>,
    ) -> Result<Vec<Command>, Illegal> {
        let (experiment, asked) = match self.stage {
            Stage::Hold { experiment, when } => (experiment, Asked::hold(experiment, when)),
            Stage::AwaitingPlan { experiment, .. } => (experiment, Asked::Plan(experiment)),
            Stage::Settling { experiment } if answer == Answer::Go => (experiment, Asked::Alerts(experiment)),
            _ => return Err(not_now(self, "a decision")),
        };
        if !self.spec().takes_part(&by) {
            return Err(Illegal::NotEntitled {
                who: by,
                what: "decide".into(),
                hint: "those who have a role may".into(),
            });
        }
        if answer == Answer::Skip && !matches!(asked, Asked::Before(_) | Asked::Plan(_)) {
            return Err(not_now(self, "leaving out an experiment"));
        }
        let said = remark.as_deref().map(|remark| format!(" ({remark})")).unwrap_or_default();
        let because = format!("no-go by {by} at the hold{said}");
        self.decisions.push(Decision { experiment, asked, by, at, since: self.since, answer, remark });
        let course = &mut self.experiments[experiment];
        match (answer, asked) {
            (Answer::NoGo, _) => return Ok(abort(self, at, EndingKind::NoGo, because)),
            (Answer::Skip, _) => course.skipped = true,
            (Answer::Go, Asked::Before(_)) => course.may_start = true,
            (Answer::Go, Asked::Alerts(_)) => return Ok(self.settled(at, experiment)),
            // With a go where a plan is awaited, it is looked again whether the old one can be carried out.
            (Answer::Go, _) => {}
        }
        Ok(advance(self, at))
    }
}
