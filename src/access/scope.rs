use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The labels of a host or of an experiment.
pub type Labels = BTreeMap<String, String>;

/// On which hosts and experiments a token may act: those that have each of these labels, with one of its values. Only
/// what is there counts; nothing can be asked to be absent, so that a label that is not known never opens anything.
///
/// Written `team=payments,env=staging|test`, and `*` for everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(BTreeMap<String, BTreeSet<String>>);

/// A text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no scope: `team=payments,env=staging|test`, or `*` for everything")]
pub struct ScopeError(String);

impl Scope {
    /// Everything.
    pub fn everything() -> Self {
        Self(BTreeMap::new())
    }

    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something with these labels is inside.
    pub fn covers(&self, labels: &Labels) -> bool {
        self.missing(labels).is_none()
    }

    /// Whether everything inside the other is inside this.
    pub fn includes(&self, other: &Self) -> bool {
        self.0.iter().all(|(label, values)| other.0.get(label).is_some_and(|narrower| narrower.is_subset(values)))
    }

    /// This scope, narrowed by another.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (label, values) in &other.0 {
            match both.0.get_mut(label) {
                // Nothing may be left of the values: then nothing is inside.
                Some(own) => own.retain(|value| values.contains(value)),
                None => {
                    both.0.insert(label.clone(), values.clone());
                }
            }
        }
        both
    }

    /// The first label that something lacks, or has with another value.
    pub(super) fn missing(&self, labels: &Labels) -> Option<&str> {
        let unmet = |(label, values): &(&String, &BTreeSet<String>)| {
            !labels.get(*label).is_some_and(|value| values.contains(value))
        };
        self.0.iter().find(unmet).map(|(label, _)| label.as_str())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_everything() {
            return formatter.pad("*");
        }
        let terms = self.0.iter().map(|(label, values)| {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            format!("{label}={}", values.join("|"))
        });
        formatter.pad(&terms.collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let error = || ScopeError(text.chars().take(256).collect());
        if text == "*" {
            return Ok(Self::everything());
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
        let plain = |part: &str| !part.is_empty() && part.len() <= 253 && part.bytes().all(allowed);
        let mut terms = BTreeMap::new();
        for term in text.split(',') {
            let (label, values) = term.split_once('=').ok_or_else(error)?;
            let (label, values) = (label.trim(), values.trim());
            // No value at all is what is left of two scopes that have nothing in common.
            let values: BTreeSet<String> =
                if values.is_empty() { BTreeSet::new() } else { values.split('|').map(str::to_owned).collect() };
            if !plain(label) || !values.iter().all(|value| plain(value)) {
                return Err(error());
            }
            // A label that is said twice could be meant either way.
            if terms.insert(label.to_owned(), values).is_some() {
                return Err(error());
            }
        }
        Ok(Self(terms))
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
