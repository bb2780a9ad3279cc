use std::time::Duration;

use faultline_agent::fault::AnyFault;
use faultline_agent::units::TimeSpan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One step of the method: exactly one of `observe`, `inject` and `together`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MethodStep {
    /// Watch for a while. Before the first fault this is the baseline.
    Observe(TimeSpan),
    /// Inject one fault for a while.
    Inject(Inject),
    /// Inject several at the same time.
    Together(Vec<Inject>),
}

impl MethodStep {
    /// What it injects, at the same time; nothing if it only watches.
    pub fn injections(&self) -> &[Inject] {
        match self {
            Self::Observe(_) => &[],
            Self::Inject(inject) => std::slice::from_ref(inject),
            Self::Together(injects) => injects,
        }
    }

    /// How long it takes: of several faults, as long as the longest.
    pub fn lasts(&self) -> Duration {
        match self {
            Self::Observe(lasts) => lasts.duration(),
            Self::Inject(_) | Self::Together(_) => {
                self.injections().iter().map(|inject| inject.lasts.duration()).max().unwrap_or_default()
            }
        }
    }
}

/// How long the baseline of a method lasts, and from the first injection to the end of the last.
pub fn phases(method: &[MethodStep]) -> (TimeSpan, TimeSpan) {
    let is_fault = |step: &MethodStep| !matches!(step, MethodStep::Observe(_));
    let first = method.iter().position(is_fault).unwrap_or(method.len());
    let last = method.iter().rposition(is_fault).map_or(first, |last| last + 1);
    let sum = |steps: &[MethodStep]| TimeSpan::from(steps.iter().map(MethodStep::lasts).sum::<Duration>());
    (sum(&method[..first]), sum(&method[first..last]))
}

/// One fault on one target for one length of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inject {
    /// Which fault.
    pub fault: AnyFault,
    /// On which target; the host of the run when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// For how long.
    #[serde(rename = "for")]
    pub lasts: TimeSpan,
}
