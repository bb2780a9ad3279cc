use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What the URI in an agent's certificate begins with.
const URI: &str = "faultline://agent/";

/// The longest name of a host (RFC 1123).
const LONGEST: usize = 253;

/// The name of an agent: letters, digits, `-`, `_` and `.`, not beginning with any of the last three.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentName(String);

/// A text is no name of an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no name of an agent: at most 253 letters, digits, `-`, `_` and `.`, beginning with a letter or a digit"
)]
pub struct AgentNameError(String);

impl AgentName {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it stands in a certificate: `faultline://agent/db-1`.
    pub fn uri(&self) -> String {
        format!("{URI}{}", self.0)
    }

    /// From the URI in a certificate.
    pub fn from_uri(uri: &str) -> Option<Self> {
        uri.strip_prefix(URI)?.parse().ok()
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl FromStr for AgentName {
    type Err = AgentNameError;

    fn from_str(text: &str) -> Result<Self, AgentNameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if begins && text.len() <= LONGEST && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(AgentNameError(text.chars().take(64).collect()))
        }
    }
}

impl Serialize for AgentName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AgentName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
