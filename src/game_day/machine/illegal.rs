use crate::game_day::hash::PlanHash;

/// An event that cannot happen as things are. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// A journal begins with `opened`, and has it once.
    #[error("a game day begins once, with `opened`")]
    Opening,
    /// Not the experiments of the document.
    #[error("the document has {expected} experiments, {given} were found for it")]
    Experiments {
        /// How many the document has.
        expected: usize,
        /// How many were found.
        given: usize,
    },
    /// Not now.
    #[error("this makes no sense now: {what} while the game day {stage}")]
    NotNow {
        /// What was tried.
        what: &'static str,
        /// Where it stands.
        stage: String,
    },
    /// It is over.
    #[error("the game day is over")]
    Over,
    /// Not by them.
    #[error("{who} may not {what}")]
    NotEntitled {
        /// Who.
        who: String,
        /// What.
        what: String,
        /// Who may.
        hint: String,
    },
    /// Of another plan.
    #[error("the approval is of {given}, the plan is {current} now", given = given.short(), current = current.short())]
    OtherPlan {
        /// What was approved.
        given: PlanHash,
        /// What would be run.
        current: PlanHash,
    },
    /// They did already.
    #[error("{who} has approved already")]
    Twice {
        /// Who.
        who: String,
    },
    /// There is no such question or experiment.
    #[error("there is no {what} {number}")]
    NoSuch {
        /// What.
        what: &'static str,
        /// Its number, counted from 1.
        number: usize,
    },
    /// A required question cannot be left out.
    #[error("this question must be answered")]
    Required,
}

impl Illegal {
    /// The way on.
    pub fn hint(&self) -> String {
        match self {
            Self::NotEntitled { hint, .. } => hint.clone(),
            Self::OtherPlan { .. } => "look at the plan again, then approve it as it is now".into(),
            Self::Twice { .. } => "somebody else must".into(),
            Self::Required => "answer go or no-go; a no-go ends the game day".into(),
            _ => String::new(),
        }
    }
}
