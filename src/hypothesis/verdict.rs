//! Verdicts: of an objective in a phase, and of a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::experiment::document::Objective;

/// A part of a run in which an objective is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Before the first fault: the baseline.
    Before,
    /// From the first injection to the end of the last undo.
    During,
    /// After the undo.
    After,
}

/// What the samples of a phase say about an objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Shown to hold, at the stated error rate.
    Held,
    /// Too little evidence either way.
    Inconclusive,
    /// There was nothing to judge by.
    NoData,
    /// Shown not to hold, at the stated error rate.
    Violated,
}

/// What the numbers of an effect are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The share of bad events, in percent.
    ErrorsPercent,
    /// By how many percentage points the share of bad events exceeds the reference's.
    ErrorsPoints,
    /// By how many percent of it the share of bad events exceeds the reference's.
    ErrorsChangePercent,
    /// The quantile of the latency, in milliseconds.
    LatencyMilliseconds,
    /// By how many milliseconds the quantile exceeds the reference's.
    LatencyAddedMilliseconds,
    /// By how many percent of it the quantile exceeds the reference's.
    LatencyChangePercent,
    /// Good events a second.
    TrafficPerSecond,
    /// Good events a second in percent of the reference's.
    TrafficPercent,
    /// By how many percentage points the use of a resource lies above the baseline's (Hodges and Lehmann).
    SaturationPoints,
    /// How far the value lies above the baseline's, in its own unit (Hodges and Lehmann).
    Value,
}

/// How large what was seen is, and between which bounds the truth lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Effect {
    /// What the numbers are.
    pub measure: Measure,
    /// The best single number; nothing where it has no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<f64>,
    /// The lower end of the interval; nothing where nothing is known of that side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The upper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// The probability with which the interval holds the truth, from 0 to 1: for counts and latencies at every look
    /// at once, for shifts at the end.
    pub confidence: f64,
    /// How many events of the reference it rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_events: Option<f64>,
    /// In words.
    pub text: String,
}

/// An objective, judged in one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectiveVerdict {
    /// The objective as written.
    pub objective: Objective,
    /// The objective in a few words: `checkout: p99 latency below 300ms`.
    pub description: String,
    /// The phase.
    pub phase: Phase,
    /// What the samples say.
    pub verdict: Verdict,
    /// The number measured, where there is one: a latency in milliseconds, errors and saturation in percent, traffic in
    /// good events a second or in percent of the baseline, as its bound is given, and a value as it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<f64>,
    /// The number and its unit as printed: `p99 212 ms`, `0.4% of 3,000`.
    pub measured_text: String,
    /// How many events it rests on.
    pub events: f64,
    /// How many of them were bad in the objective's sense.
    pub bad: f64,
    /// The probability with which such a verdict may be wrong.
    pub error_rate: f64,
    /// How large what was seen is, with an interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// Why the verdict is what it is, in one sentence, and for an inconclusive one what would decide it.
    pub because: String,
}

impl ObjectiveVerdict {
    /// The objective and why it was judged so, in one line.
    pub fn reason(&self) -> String {
        format!("{}: {}", self.description, self.because)
    }
}

/// How a run ended. The order is that of precedence: the first that applies is the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunVerdict {
    /// Something may have been left behind.
    CleanupUnverified,
    /// The fault was not applied, or had no effect: nothing was tested.
    Invalid,
    /// Stopped by a guardrail, a halt or a person, and undone.
    Aborted,
    /// An objective was shown not to hold.
    Violated,
    /// An objective had nothing to be judged by.
    NoData,
    /// An objective could not be decided.
    Inconclusive,
    /// Every objective was shown to hold: before, during and after.
    Held,
    /// The system was not steady before the fault, or a window, budget, policy or halt forbade the run; nothing was injected.
    Refused,
    /// A person interrupted it; undone.
    Interrupted,
}

impl RunVerdict {
    /// The word for it in journals, in the store and in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::CleanupUnverified => "cleanup-unverified",
            Self::Invalid => "invalid",
            Self::Aborted => "aborted",
            Self::Violated => "violated",
            Self::NoData => "no-data",
            Self::Inconclusive => "inconclusive",
            Self::Held => "held",
            Self::Refused => "refused",
            Self::Interrupted => "interrupted",
        }
    }

    /// The exit code of `run` and `gate`.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Violated => 1,
            Self::Refused => 3,
            Self::Inconclusive | Self::NoData => 4,
            Self::Aborted => 5,
            Self::Invalid => 6,
            Self::CleanupUnverified => 7,
            Self::Interrupted => 130,
        }
    }
}
