//! What people write down.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What somebody noted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "GameDayNote")]
pub struct Note {
    /// Who.
    pub author: String,
    /// What.
    pub text: String,
    /// Tags; `detected`, `mitigated` and `recovered` mark these moments of the experiment that runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// Something that somebody must see to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "GameDayFinding")]
pub struct Finding {
    /// Who found it.
    pub author: String,
    /// What.
    pub text: String,
    /// How bad it is.
    pub severity: FindingSeverity,
    /// Who sees to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<jiff::civil::Date>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FindingSeverity {
    /// Customers will be hurt.
    High,
    /// Somebody will be.
    Medium,
    /// Worth doing.
    Low,
}

impl FindingSeverity {
    /// All, the worst first.
    pub const ALL: [Self; 3] = [Self::High, Self::Medium, Self::Low];

    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}
