use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use faultline_agent::units::Percent;
use schemars::JsonSchema;
use serde::de::Visitor;
use serde::{Deserialize, Serialize};

use super::label_expression::is_label_name;

/// The most that may be touched: ceilings that no choice of targets goes beyond.
///
/// Those of an experiment are in its document; a controller has its own, of the same type, for the whole fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlastRadius {
    /// At most so many hosts by all targets together: a number, or a share (`20%`, rounded down) of the hosts that its
    /// targets match and that are connected, healthy and not protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<HostCeiling>,
    /// At most so many hosts at once that share a label, those that other runs hold at that moment included.
    /// `zone: 1` is at most one host for each value of `zone` (and one of all hosts without it); `role=db: 2` is at
    /// most two of the hosts with that very value. A share is of the hosts of the fleet in that group.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub per_label: BTreeMap<LabelGroup, HostCeiling>,
}

impl BlastRadius {
    /// Whether it bounds nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The most hosts: a number, or a share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HostCeiling {
    /// So many.
    Count(u32),
    /// So large a share.
    Share(Percent),
}

impl HostCeiling {
    /// The most hosts of so many. Shares are rounded down, perhaps to none: a ceiling is never exceeded.
    pub fn most(self, of: usize) -> usize {
        match self {
            Self::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Self::Share(percent) => {
                #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 hosts")]
                // A hair is added so that 29% of 100, 28.999999999999996 in binary, is 29.
                let exact = percent.fraction() * of as f64 + 1e-9;
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and `of`")]
                let whole = exact.floor().max(0.0) as usize;
                whole.min(of)
            }
        }
    }

    /// Whether it lets nobody through, whatever the fleet.
    pub fn is_zero(self) -> bool {
        match self {
            Self::Count(count) => count == 0,
            Self::Share(percent) => percent.number() == 0.0,
        }
    }
}

impl fmt::Display for HostCeiling {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(formatter),
            Self::Share(percent) => percent.fmt(formatter),
        }
    }
}

impl Serialize for HostCeiling {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(*count),
            Self::Share(percent) => percent.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for HostCeiling {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrShare;

        impl NumberOrShare {
            fn wrong<E: serde::de::Error>(given: impl fmt::Display) -> E {
                E::custom(format!("`{given}` is neither a number of hosts, such as 3, nor a share, such as 20%"))
            }
        }

        impl Visitor<'_> for NumberOrShare {
            type Value = HostCeiling;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number of hosts, such as 3, or a share, such as 20%")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<HostCeiling, E> {
                u32::try_from(number).map(HostCeiling::Count).map_err(|_| Self::wrong(number))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<HostCeiling, E> {
                u32::try_from(number).map(HostCeiling::Count).map_err(|_| Self::wrong(number))
            }

            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<HostCeiling, E> {
                Err(Self::wrong(number))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<HostCeiling, E> {
                let share = text.ends_with('%').then(|| text.parse().ok().map(HostCeiling::Share)).flatten();
                share.or_else(|| text.parse().ok().map(HostCeiling::Count)).ok_or_else(|| Self::wrong(text))
            }
        }

        deserializer.deserialize_any(NumberOrShare)
    }
}

impl JsonSchema for HostCeiling {
    fn schema_name() -> Cow<'static, str> {
        "HostCeiling".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The most hosts: a number (3), or a share (20%), rounded down.",
            "anyOf": [
                { "type": "integer", "minimum": 0, "maximum": u32::MAX },
                { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?%?$" },
            ],
        })
    }
}

/// Hosts that share a label: those with one value (`role=db`), or for each value its own (`zone`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelGroup {
    /// The label's name.
    pub label: String,
    /// The one value that is meant; each its own group when absent.
    pub value: Option<String>,
}

/// Why a text is no group of hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a label, such as `zone`, nor a label with its value, such as `role=db`")]
pub struct LabelGroupError(String);

impl FromStr for LabelGroup {
    type Err = LabelGroupError;

    fn from_str(text: &str) -> Result<Self, LabelGroupError> {
        let (label, value) = match text.split_once('=') {
            Some((label, value)) => (label.trim(), Some(value.trim())),
            None => (text.trim(), None),
        };
        let fits = is_label_name(label) && value.is_none_or(|value| !value.is_empty() && !value.contains('='));
        if !fits {
            return Err(LabelGroupError(text.into()));
        }
        Ok(Self { label: label.into(), value: value.map(str::to_owned) })
    }
}

impl fmt::Display for LabelGroup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => formatter.pad(&format!("{}={value}", self.label)),
            None => formatter.pad(&self.label),
        }
    }
}

impl Serialize for LabelGroup {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LabelGroup {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for LabelGroup {
    fn schema_name() -> Cow<'static, str> {
        "LabelGroup".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9./_-]+( ?= ?[^= ]+)?$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_down_and_never_up() {
        let share = |number| HostCeiling::Share(Percent::new(number).unwrap());
        for (ceiling, of, expected) in [
            (HostCeiling::Count(3), 2, 3),
            (share(20.0), 10, 2),
            (share(20.0), 9, 1),
            (share(20.0), 4, 0),
            (share(29.0), 100, 29),
            (share(100.0), 7, 7),
        ] {
            assert_eq!(ceiling.most(of), expected, "{ceiling} of {of}");
        }
    }

    #[test]
    fn a_radius_reads_and_prints_its_notation() {
        let text = r#"{"hosts":"20%","perLabel":{"role=db":2,"zone":1}}"#;
        let radius: BlastRadius = serde_json::from_str(text).unwrap();
        assert_eq!(radius.per_label[&"role = db".parse().unwrap()], HostCeiling::Count(2));
        assert_eq!(serde_json::to_string(&radius).unwrap(), text);
        for (wrong, message) in [
            (r#"{"hosts":-1}"#, "`-1` is neither a number of hosts, such as 3, nor a share, such as 20%"),
            (r#"{"hosts":0.5}"#, "`0.5` is neither a number of hosts, such as 3, nor a share, such as 20%"),
            (r#"{"hosts":"120%"}"#, "`120%` is neither a number of hosts, such as 3, nor a share, such as 20%"),
            (r#"{"perLabel":{"role=":1}}"#, "`role=` is neither a label, such as `zone`, nor a label with its value"),
            (r#"{"perLabel":{"":1}}"#, "`` is neither a label, such as `zone`, nor a label with its value"),
        ] {
            let error = serde_json::from_str::<BlastRadius>(wrong).unwrap_err().to_string();
            assert!(error.starts_with(message), "{wrong}: {error}");
        }
    }
}
