//! Units as types: a number never travels without its unit, and the unit is parsed in one place.
//!
//! Every unit reads from a string with its suffix (`100ms`, `50%`, `10MiB`, `50/s`), prints back in the same
//! notation, and describes itself to the JSON Schema.

mod byte_rate;
mod bytes;
mod percent;
mod rate;
mod time_span;

pub use byte_rate::ByteRate;
pub use bytes::Bytes;
pub use percent::Percent;
pub use rate::Rate;
pub use time_span::TimeSpan;

/// A value that could not be read as a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {expected}")]
pub struct UnitError {
    given: String,
    expected: &'static str,
}

impl UnitError {
    fn new(given: impl Into<String>, expected: &'static str) -> Self {
        Self { given: given.into(), expected }
    }
}

/// Writes the conversions that all units share: serde by way of the printed notation, and the JSON Schema.
macro_rules! unit {
    ($unit:ident, $schema_name:literal, $description:expr, $schema:tt) => {
        impl serde::Serialize for $unit {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $unit {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Notation;
                impl serde::de::Visitor<'_> for Notation {
                    type Value = $unit;
                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        formatter.write_str($description)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
                        self.visit_str(&number.to_string())
                    }
                    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
                        self.visit_str(&number.to_string())
                    }
                    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Self::Value, E> {
                        self.visit_str(&number.to_string())
                    }
                }
                deserializer.deserialize_any(Notation)
            }
        }

        impl schemars::JsonSchema for $unit {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $schema_name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut schema = schemars::json_schema!($schema);
                schema.insert("description".into(), $description.into());
                schema
            }
        }
    };
}
use unit;
