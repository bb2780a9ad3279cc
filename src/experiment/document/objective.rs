use faultline_agent::units::{Percent, TimeSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Allowance, BurnRate, TrafficFloor};

/// One bound on one golden signal. Exactly one of `latency`, `errors`, `traffic`, `saturation` and `value` is given, or the
/// name of an SLO, which is signal and bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["signal", "latency"] },
    { "required": ["signal", "errors"] },
    { "required": ["signal", "traffic"] },
    { "required": ["signal", "saturation"] },
    { "required": ["signal", "value"] },
    { "required": ["slo"], "not": { "required": ["signal"] } },
]))]
pub struct Objective {
    /// The signal that it bounds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub signal: String,
    /// A quantile of the latency stays below a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyBound>,
    /// The share of bad events stays below a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<ErrorBound>,
    /// As much is served as before, or as a rate says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficBound>,
    /// A resource is used less than a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saturation: Option<SaturationBound>,
    /// A value stays within bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ValueBound>,
    /// The SLO, one of `slos`, whose target it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<String>,
    /// Of a guardrail: how fast the error budget of the SLO may burn, instead of its target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burn_rate: Option<BurnRate>,
}

/// A bound on a latency quantile: `below` a time, or `atMost` so much over a reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["below"] }, { "required": ["atMost", "of"] }]))]
pub struct LatencyBound {
    /// Which quantile, above 0 and below 1: 0.99 is the 99th percentile.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub quantile: f64,
    /// The time below which it stays. A failed request counts as slower than any bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<TimeSpan>,
    /// How much it may exceed the reference's quantile: `+10%` or `+20ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Allowance>,
    /// The reference of `atMost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Reference>,
}

/// A bound on the share of bad events: `below` a percentage, or `atMost` so much over a reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["below"] }, { "required": ["atMost", "of"] }]))]
pub struct ErrorBound {
    /// The percentage below which it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<Percent>,
    /// How much it may exceed the reference's share: `+0.5pp` or `+50%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Allowance>,
    /// The reference of `atMost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Reference>,
}

/// A bound on how much is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrafficBound {
    /// At least this: a rate, or a percentage of a reference.
    pub at_least: TrafficFloor,
    /// What a percentage is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Reference>,
}

/// What a signal is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reference {
    /// The same signal before the fault.
    Baseline,
    /// Another signal at the same time, which reads untouched replicas beside the faulted ones.
    Control(String),
}

impl Reference {
    /// In words: `the baseline`, `the control spare`.
    pub fn describe(&self) -> String {
        match self {
            Self::Baseline => "the baseline".into(),
            Self::Control(signal) => format!("the control {signal}"),
        }
    }
}

/// A bound on the use of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SaturationBound {
    /// Which resource.
    pub resource: Resource,
    /// The percentage below which its use stays.
    pub below: Percent,
}

impl Objective {
    /// Its signal and its bound in words: `checkout: p99 latency below 300ms`.
    pub fn describe(&self) -> String {
        format!("{}: {}", self.signal, self.bound())
    }

    /// Its bound in words, with numbers as a document writes them: `p99 latency below 300ms`.
    pub fn bound(&self) -> String {
        if let Some(BurnRate { allowance: Some(allowance), over: Some(over), .. }) = self.burn_rate {
            return format!("burns at most {allowance} of its error budget in {over}");
        }
        if let Some(bound) = &self.latency {
            let limit = limit(bound.below.as_ref(), bound.at_most, bound.of.as_ref());
            return format!("{} latency {limit}", quantile_name(bound.quantile));
        }
        if let Some(bound) = &self.errors {
            return format!("errors {}", limit(bound.below.as_ref(), bound.at_most, bound.of.as_ref()));
        }
        if let Some(bound) = &self.traffic {
            return match bound.at_least {
                TrafficFloor::Rate(rate) => format!("traffic at least {rate}"),
                TrafficFloor::Share(share) => {
                    let of = bound.of.as_ref().unwrap_or(&Reference::Baseline).describe();
                    format!("traffic at least {share} of {of}")
                }
            };
        }
        if let Some(bound) = self.saturation {
            return format!("{} below {}", bound.resource.name(), bound.below);
        }
        let bounds = self.value.map_or_else(Vec::new, |value| {
            let below = value.below.map(|below| format!("below {below}"));
            let least = value.at_least.map(|least| format!("at least {least}"));
            below.into_iter().chain(least).collect()
        });
        format!("value {}", bounds.join(" and "))
    }
}

/// `below 300ms`, or `at most +10% over the baseline`.
fn limit(below: Option<&impl std::fmt::Display>, at_most: Option<Allowance>, of: Option<&Reference>) -> String {
    match (below, at_most) {
        (None, Some(allowed)) => {
            format!("at most {allowed} over {}", of.unwrap_or(&Reference::Baseline).describe())
        }
        (Some(below), _) => format!("below {below}"),
        (None, None) => "below nothing".into(),
    }
}

/// A quantile as people say it: `p99`, `p99.9`; the median is `p50`.
pub fn quantile_name(quantile: f64) -> String {
    // Beyond six digits stands only what binary fractions add: 0.999 × 100 is 99.90000000000001.
    format!("p{}", (quantile * 1e8).round() / 1e6)
}

/// A resource whose use the agent reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// Time in which the processors worked.
    Cpu,
    /// Memory that is not available.
    Memory,
    /// Space of the file system, as `df` counts it.
    Disk,
    /// Time in which some task waited for a processor (pressure, PSI `some`).
    CpuPressure,
    /// Time in which some task waited for memory.
    MemoryPressure,
    /// Time in which some task waited for input or output.
    IoPressure,
}

impl Resource {
    /// Its name in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::CpuPressure => "cpu pressure",
            Self::MemoryPressure => "memory pressure",
            Self::IoPressure => "io pressure",
        }
    }
}

/// Bounds on a value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValueBound {
    /// It stays below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// It is at least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_worded_as_documents_write_them() {
        let bound = |text: &str| serde_json::from_str::<Objective>(text).unwrap().describe();
        let words = [
            bound(r#"{"signal": "shop", "latency": {"quantile": 0.999, "below": "300ms"}}"#),
            bound(r#"{"signal": "shop", "errors": {"below": "1%"}}"#),
            bound(r#"{"signal": "shop", "traffic": {"atLeast": "80%", "of": "baseline"}}"#),
            bound(r#"{"signal": "shop", "latency": {"quantile": 0.99, "atMost": "+10%", "of": "baseline"}}"#),
            bound(r#"{"signal": "shop", "errors": {"atMost": "+0.5pp", "of": {"control": "spare"}}}"#),
            bound(r#"{"signal": "db", "saturation": {"resource": "io-pressure", "below": "95%"}}"#),
            bound(r#"{"signal": "lag", "value": {"below": 3, "atLeast": 0.5}}"#),
        ];
        insta::assert_snapshot!(words.join("\n"), @r"
        shop: p99.9 latency below 300ms
        shop: errors below 1%
        shop: traffic at least 80% of the baseline
        shop: p99 latency at most +10% over the baseline
        shop: errors at most +0.5pp over the control spare
        db: io pressure below 95%
        lag: value below 3 and at least 0.5
        ");
        assert_eq!([0.99, 0.999, 0.5].map(quantile_name), ["p99", "p99.9", "p50"]);
    }
}
