//! What was asked of a limit, such as not to be worse than a kept one, and whether the interval that was found says so. Pure.

use serde::Serialize;

use super::result::DoseTold;
use super::{Dose, DoseRange};
use crate::gate::result::worst;

/// Whether something that was asked of the limit is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Met {
    /// The whole interval is on the good side.
    Yes,
    /// The whole interval is on the bad side.
    No,
    /// The dose that was asked for is within the interval.
    Undecided,
}

/// A dose at which the hypothesis must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Who asks, in words: `at least 150 ms`.
    pub words: String,
    /// The dose.
    pub dose: f64,
}

/// What was asked, and whether it is so.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Requirement {
    /// In words.
    pub asked: String,
    /// The dose at which the hypothesis must hold.
    pub dose: DoseTold,
    /// Whether it does.
    pub met: Met,
}

impl Asked {
    /// Compares what is asked with the interval from `low` to `high`, of which either may be unknown.
    pub(super) fn compared(&self, range: &DoseRange, low: Option<Dose>, high: Option<Dose>) -> Requirement {
        let harsher = |one: f64, other: f64| if range.harshest > range.mildest { one >= other } else { one <= other };
        Requirement {
            asked: self.words.clone(),
            dose: range.dose(self.dose).into(),
            met: match (low, high) {
                (Some(low), _) if harsher(low.number, self.dose) => Met::Yes,
                (_, Some(high)) if harsher(self.dose, high.number) => Met::No,
                _ => Met::Undecided,
            },
        }
    }
}

/// The exit code of the worst of what was asked.
pub(super) fn worst_code(requirements: &[Requirement]) -> u8 {
    let codes: Vec<u8> = requirements
        .iter()
        .map(|requirement| match requirement.met {
            Met::Yes => 0,
            Met::No => 1,
            Met::Undecided => 4,
        })
        .collect();
    worst(&codes)
}
