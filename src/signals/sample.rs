//! A sample: one reading of one signal, as raw as it can be had.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::experiment::document::Resource;

/// One reading of one signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sample {
    /// The signal's name in the document.
    pub signal: String,
    /// When it belongs: seconds since the run began, on a clock that nobody sets. A request belongs to the moment at
    /// which it was meant to start.
    pub at: f64,
    /// What was read.
    pub reading: Reading,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// One request or connection of our own, or one run of a command.
    Request {
        /// From the intended start to the end of the answer, or to the failure.
        latency: f64,
        /// Why it failed; nothing if it was good.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
    },
    /// What counters grew by since the last reading.
    Counts {
        /// Bad events.
        bad: f64,
        /// All events.
        total: f64,
    },
    /// A number.
    Value {
        /// The number; never NaN or infinite.
        value: f64,
    },
    /// How much of each resource is in use, from 0 to 1, and other things read beside it.
    Host {
        /// Use by resource.
        saturation: Vec<(Resource, f64)>,
        /// Further numbers by name: `tcp round trip (ms)`, `retransmits`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        numbers: Vec<(String, f64)>,
    },
    /// Nothing could be read, and why. Never taken for zero, and never for good.
    Missing {
        /// Why.
        reason: String,
    },
}

impl Sample {
    /// A sample of one request.
    pub fn request(signal: &str, at: f64, latency: Duration, failure: Option<String>) -> Self {
        Self { signal: signal.into(), at, reading: Reading::Request { latency: latency.as_secs_f64(), failure } }
    }
}
