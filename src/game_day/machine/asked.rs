//! What people are asked at the moment, by a word: whoever answers from afar names it, so that an answer that comes too
//! late is not taken for one to the next question.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{Answer, Event, HoldPoint};
use super::state::{Stage, State};

/// What people are asked: `approvals`, `question-2`, `before-1`, `after-1`, `plan-1`, `alerts-1`. Numbers count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(rename = "GameDayAsked", with = "String")]
pub enum Asked {
    /// To approve.
    Approvals,
    /// To answer this question of the checklist, counted from 0.
    Question(usize),
    /// To say go before this experiment, counted from 0.
    Before(usize),
    /// To say go after it.
    After(usize),
    /// To have a new plan made, to say go if the old one can be carried out again, or to leave the experiment out.
    Plan(usize),
    /// To wait no longer for its alerts, which nobody has to.
    Alerts(usize),
}

impl Asked {
    /// To say go at a hold.
    pub fn hold(experiment: usize, when: HoldPoint) -> Self {
        match when {
            HoldPoint::Before => Self::Before(experiment),
            HoldPoint::After => Self::After(experiment),
        }
    }

    /// The answer to it, as an event; an approval is none, since it needs a hash.
    pub fn answered(self, by: String, answer: Answer, remark: Option<String>) -> Option<Event> {
        match self {
            Self::Approvals => None,
            Self::Question(item) => Some(Event::Answered { item, by, answer, remark }),
            Self::Before(_) | Self::After(_) | Self::Plan(_) | Self::Alerts(_) => {
                Some(Event::Decided { by, answer, remark })
            }
        }
    }

    /// Whether nothing goes on until somebody answers.
    pub fn is_needed(self) -> bool {
        !matches!(self, Self::Alerts(_))
    }
}

impl State {
    /// What people are asked now.
    pub fn asked(&self) -> Option<Asked> {
        match self.stage() {
            Stage::AwaitingApprovals => Some(Asked::Approvals),
            Stage::Checklist => self.next_question().map(Asked::Question),
            Stage::Hold { experiment, when } => Some(Asked::hold(*experiment, *when)),
            Stage::AwaitingPlan { experiment, .. } => Some(Asked::Plan(*experiment)),
            Stage::Settling { experiment } => Some(Asked::Alerts(*experiment)),
            Stage::Drafted
            | Stage::AwaitingWindow
            | Stage::Running { .. }
            | Stage::Stopping { .. }
            | Stage::Finished
            | Stage::Aborted(_) => None,
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approvals => formatter.write_str("approvals"),
            Self::Question(item) => write!(formatter, "question-{}", item + 1),
            Self::Before(experiment) => write!(formatter, "before-{}", experiment + 1),
            Self::After(experiment) => write!(formatter, "after-{}", experiment + 1),
            Self::Plan(experiment) => write!(formatter, "plan-{}", experiment + 1),
            Self::Alerts(experiment) => write!(formatter, "alerts-{}", experiment + 1),
        }
    }
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "approvals" {
            return Ok(Self::Approvals);
        }
        let known = text.rsplit_once('-').and_then(|(what, number)| {
            let number = number.parse::<usize>().ok()?.checked_sub(1)?;
            match what {
                "question" => Some(Self::Question(number)),
                "before" => Some(Self::Before(number)),
                "after" => Some(Self::After(number)),
                "plan" => Some(Self::Plan(number)),
                "alerts" => Some(Self::Alerts(number)),
                _ => None,
            }
        });
        known.ok_or_else(|| {
            format!("`{text}` is nothing that is asked: question-1, before-1, after-1, plan-1, alerts-1")
        })
    }
}

impl TryFrom<String> for Asked {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Asked> for String {
    fn from(asked: Asked) -> Self {
        asked.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_has_a_word_that_reads_back() {
        let (before, after) = (Asked::hold(1, HoldPoint::Before), Asked::hold(2, HoldPoint::After));
        let all = [Asked::Approvals, Asked::Question(0), before, after, Asked::Plan(0), Asked::Alerts(9)];
        let words = ["approvals", "question-1", "before-2", "after-3", "plan-1", "alerts-10"];
        assert_eq!(all.map(|asked| asked.to_string()), words);
        for asked in all {
            assert_eq!(asked.to_string().parse(), Ok(asked));
        }
        for text in ["", "question", "question-0", "question--1", "hold-1", "before-x"] {
            assert!(text.parse::<Asked>().is_err(), "{text}");
        }
    }
}
