use faultline_agent::units::{Percent, Rate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rate (`50/s`), or a share of a reference (`80%`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TrafficFloor {
    /// So many good events a second.
    Rate(Rate),
    /// So much of the reference's rate.
    Share(Percent),
}

impl Serialize for TrafficFloor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Rate(rate) => rate.serialize(serializer),
            Self::Share(share) => share.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for TrafficFloor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let rate = text.parse().map(Self::Rate);
        // A bare number could be either, so its unit must be there.
        let share = text.parse().map(Self::Share).ok().filter(|_| text.trim_end().ends_with('%'));
        rate.ok().or(share).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is neither a rate, such as 50/s, nor a percentage, such as 80%"))
        })
    }
}

impl JsonSchema for TrafficFloor {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TrafficFloor".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let rate = generator.subschema_for::<Rate>();
        schemars::json_schema!({
            "description": "A rate (50/s), or a share of a reference (80%).",
            "anyOf": [rate, { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? ?%$" }],
        })
    }
}
