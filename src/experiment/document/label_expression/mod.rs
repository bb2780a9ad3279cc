//! What must be true of a host's labels, in the words of Kubernetes' set-based selectors.
//!
//! Source: Kubernetes, "Labels and Selectors", set-based requirement. The comparisons of versions are our own.

mod parse;
mod version;

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use parse::LabelExpressionError;
pub use version::LabelVersion;

/// One condition on a label of a host: `zone in (a, b)`, `tier notin (gold)`, `spot`, `!spot`, `role = db`,
/// `role != db`, `kernel >= 6.1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabelExpression {
    /// The label's name.
    pub label: String,
    /// What is asked of it.
    pub condition: LabelCondition,
}

/// What is asked of a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LabelCondition {
    /// It is there, whatever its value.
    Exists,
    /// It is not there.
    Absent,
    /// It has one of these values.
    In(Vec<String>),
    /// It has none of these values, or is not there (as in Kubernetes).
    NotIn(Vec<String>),
    /// It is there, begins with a version, and that compares so.
    Version(VersionComparison, LabelVersion),
}

/// How a version compares to the one given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VersionComparison {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
}

impl LabelExpression {
    /// That a label has this value.
    pub fn is(label: &str, value: &str) -> Self {
        Self { label: label.into(), condition: LabelCondition::In(vec![value.into()]) }
    }

    /// Whether it is true of a host whose label has this value, or that lacks the label.
    pub fn holds(&self, value: Option<&str>) -> bool {
        match (&self.condition, value) {
            (LabelCondition::Exists, value) => value.is_some(),
            (LabelCondition::Absent, value) => value.is_none(),
            (LabelCondition::In(values), Some(value)) => values.iter().any(|one| one == value),
            (LabelCondition::NotIn(values), Some(value)) => !values.iter().any(|one| one == value),
            (LabelCondition::NotIn(_), None) => true,
            (LabelCondition::Version(comparison, wanted), Some(value)) => {
                LabelVersion::leading(value).is_some_and(|found| comparison.holds(&found, wanted))
            }
            (LabelCondition::In(_) | LabelCondition::Version(..), None) => false,
        }
    }
}

impl VersionComparison {
    /// Whether it is true of these two, in this order.
    pub fn holds(self, found: &LabelVersion, wanted: &LabelVersion) -> bool {
        match self {
            Self::Above => found > wanted,
            Self::AtLeast => found >= wanted,
            Self::Below => found < wanted,
            Self::AtMost => found <= wanted,
        }
    }
}

/// Whether a text can be the name of a label: letters, digits, `-`, `_`, `.`, and perhaps a prefix before one slash.
pub fn is_label_name(text: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte != b'/' && parse::is_of_a_name(byte));
    match text.split_once('/') {
        Some((prefix, name)) => plain(prefix) && plain(name),
        None => plain(text),
    }
}

impl fmt::Display for VersionComparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
        })
    }
}

impl fmt::Display for LabelExpression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = &self.label;
        match &self.condition {
            LabelCondition::Exists => write!(formatter, "{label}"),
            LabelCondition::Absent => write!(formatter, "!{label}"),
            LabelCondition::In(values) => write!(formatter, "{label} in ({})", values.join(", ")),
            LabelCondition::NotIn(values) => write!(formatter, "{label} notin ({})", values.join(", ")),
            LabelCondition::Version(comparison, version) => write!(formatter, "{label} {comparison} {version}"),
        }
    }
}

impl Serialize for LabelExpression {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LabelExpression {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for LabelExpression {
    fn schema_name() -> Cow<'static, str> {
        "LabelExpression".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A condition on a label, as Kubernetes writes it: `zone in (a, b)`, `tier notin (gold)`, \
                            `spot` (is there), `!spot` (is not), `role = db`, `role != db`; and versions: \
                            `kernel >= 6.1`. `notin` and `!=` are true of hosts without the label too.",
            "type": "string",
            "minLength": 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_true_of_which_label() {
        for (text, value, expected) in [
            ("zone in (a, b)", Some("b"), true),
            ("zone in (a, b)", Some("c"), false),
            ("zone in (a, b)", None, false),
            ("tier notin (gold)", Some("gold"), false),
            ("tier notin (gold)", Some("tin"), true),
            ("tier notin (gold)", None, true),
            ("role = db", Some("db"), true),
            ("role == db", Some("web"), false),
            ("role != db", Some("web"), true),
            ("role != db", None, true),
            ("spot", Some(""), true),
            ("spot", None, false),
            ("!spot", Some("no"), false),
            ("!spot", None, true),
            ("kernel >= 6.1", Some("6.1.0-13-amd64"), true),
            ("kernel >= 6.1", Some("6.10"), true),
            ("kernel >= 6.1", Some("5.19.3"), false),
            ("kernel >= 6.1", Some("custom"), false),
            ("kernel >= 6.1", None, false),
            ("kernel > 6.1", Some("6.1.0"), false),
            ("kernel < 6.10", Some("6.9.12"), true),
            ("kernel <= 6.10", Some("6.10.1"), false),
        ] {
            let expression: LabelExpression = text.parse().unwrap();
            assert_eq!(expression.holds(value), expected, "{text} of {value:?}");
        }
    }
}
