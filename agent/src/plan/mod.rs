//! What a fault will do to a host, as data: steps with their undo, and the dose that was asked.
//!
//! A [`Plan`] is complete before anything is touched: names are deterministic, old values are captured, victims are
//! listed. It can be printed (`faultline plan`), journaled, and undone by another process after a crash.

mod evidence;
pub mod step;

pub use evidence::{Bite, Evidence, Measurement};
pub use step::Step;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identity::FaultId;

/// How a fault is undone when everything of Faultline on the host has died, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UndoClass {
    /// The kernel undoes it when the worker dies: it hangs on a file descriptor or a thread.
    Kernel,
    /// The guard undoes it within its lease; a reboot ends it too.
    Guard,
    /// It would survive a reboot: the guard undoes it, else the recovery at the next start.
    Boot,
    /// It cannot be undone, and the plan says so.
    Irreversible,
}

impl UndoClass {
    /// One sentence for plans and the catalogue.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Kernel => "undone by the kernel itself as soon as the worker dies",
            Self::Guard => "undone by the guard when the worker dies; gone after a reboot",
            Self::Boot => "undone by the guard when the worker dies, after a reboot by the recovery at start-up",
            Self::Irreversible => "cannot be undone",
        }
    }
}

/// Everything that one fault will do on one host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// The id under which it is journaled and named in the kernel.
    pub id: FaultId,
    /// The fault's name in the catalogue.
    pub fault: String,
    /// What is touched, in words a person can check: one line a target.
    pub targets: Vec<String>,
    /// The dose that was asked, one line a parameter that has a measure.
    pub dose: Vec<Dose>,
    /// What is done, in order; undone in reverse.
    pub steps: Vec<Step>,
    /// What a person should know before agreeing: engine chosen and why, limits, exemptions.
    pub notes: Vec<String>,
}

impl Plan {
    /// The worst undo class of its steps.
    pub fn undo_class(&self) -> UndoClass {
        self.steps.iter().map(Step::undo_class).max().unwrap_or(UndoClass::Kernel)
    }

    /// The same without its effect: a dose of nothing and no step, so that whoever carries it out changes nothing. What is left out
    /// stands in the notes.
    #[must_use]
    pub fn placebo(mut self) -> Self {
        let left_out = self.steps.drain(..).map(|step| format!("placebo, not done: {}", step.describe()));
        self.notes = left_out.collect();
        self.dose.iter_mut().for_each(|dose| dose.asked = 0.0);
        self
    }
}

/// One measure of a fault: what was asked, in the unit in which it will be measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dose {
    /// What is measured: `delay`, `filled`, `processes stopped`.
    pub name: String,
    /// The number that was asked.
    pub asked: f64,
    /// Its unit, as printed behind the number: `ms`, `bytes`, `%`.
    pub unit: String,
}
