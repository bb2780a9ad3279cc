//! What approvals are bound to: a hash of the document and of each experiment's plan.

use std::fmt;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::GameDay;
use crate::experiment::document::Experiment;

/// A hash (SHA-256) of something that was planned: `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(rename = "GameDayHash")]
pub struct PlanHash(String);

impl PlanHash {
    /// A hash made elsewhere, as of a fleet's plan.
    pub fn given(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its first digits, for people.
    pub fn short(&self) -> &str {
        let digits = self.0.strip_prefix("sha256:").unwrap_or(&self.0);
        digits.get(..12).unwrap_or(digits)
    }

    fn of(kind: &str, parts: &[serde_json::Value]) -> Self {
        // serde_json writes the keys of a value in order, so equal content is equal text.
        let text = serde_json::Value::Array(parts.to_vec()).to_string();
        let digest = ring::digest::digest(&ring::digest::SHA256, format!("{kind}\n{text}").as_bytes());
        let mut written = String::from("sha256:");
        for byte in digest.as_ref() {
            // Writing to a text never fails.
            let _ = write!(written, "{byte:02x}");
        }
        Self(written)
    }
}

impl fmt::Display for PlanHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The hash of an experiment's plan on one host: the document, after `--set`, and the seed by which targets are chosen.
pub fn of_experiment(experiment: &Experiment, seed: u64) -> PlanHash {
    PlanHash::of("faultline experiment v1", &[as_value(experiment), serde_json::Value::from(seed)])
}

/// The hash of a game day: its document, and the hash of each experiment's plan in the order in which they run.
pub fn of_game_day(game_day: &GameDay, plans: &[PlanHash]) -> PlanHash {
    PlanHash::of("faultline game day v1", &[as_value(game_day), as_value(plans)])
}

/// A document is plain data; what could not be written would hash as its error, and thus as nothing else.
fn as_value(data: &(impl Serialize + ?Sized)) -> serde_json::Value {
    serde_json::to_value(data).unwrap_or_else(|error| serde_json::Value::String(format!("not written: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game_day::fixture;

    #[test]
    fn any_change_is_another_hash() {
        let game_day = fixture::game_day();
        let plans = [PlanHash::given("a"), PlanHash::given("b")];
        let hash = of_game_day(&game_day, &plans);
        assert_eq!(hash, of_game_day(&fixture::game_day(), &plans));
        assert_eq!((hash.as_str().len(), hash.short().len()), (7 + 64, 12));
        let mut other = game_day.clone();
        other.spec.checklist[0].ask.push('!');
        assert_ne!(hash, of_game_day(&other, &plans));
        assert_ne!(hash, of_game_day(&game_day, &[PlanHash::given("a"), PlanHash::given("c")]));
        assert_ne!(hash, of_game_day(&game_day, &[PlanHash::given("b"), PlanHash::given("a")]));
        let experiment = fixture::experiment("slow-backend");
        assert_eq!(of_experiment(&experiment, 7), of_experiment(&experiment, 7));
        assert_ne!(of_experiment(&experiment, 7), of_experiment(&experiment, 8));
    }
}
