use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::experiment::document::Spec;

/// Which experiment a schedule runs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ExperimentSource {
    /// The experiment of this name.
    Named(String),
    /// This one, whose name is the schedule's.
    Inline(Box<Spec>),
}

impl<'de> Deserialize<'de> for ExperimentSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = ExperimentSource;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the name of an experiment, or the `spec` of one")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<ExperimentSource, E> {
                Ok(ExperimentSource::Named(name.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ExperimentSource, A::Error> {
                let spec = Spec::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ExperimentSource::Inline(Box::new(spec)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
