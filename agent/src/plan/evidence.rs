use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a fault that was applied has an effect on its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Bite {
    /// It was measured to act.
    Yes,
    /// Not yet: it may still, as when no packet has passed so far. At the end of the fault this counts as `No`.
    NotYet(String),
    /// It does not act, for this reason.
    No(String),
}

/// One measure taken at the injection point, beside what was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// What was measured; the name of the [`Dose`](super::Dose) where it answers one.
    pub name: String,
    /// The number that was asked, if it answers a dose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<f64>,
    /// The number that was measured.
    pub measured: f64,
    /// The unit of both.
    pub unit: String,
    /// How it was measured, in a few words: `median hold of 512 packets`.
    pub by: String,
}

/// What a fault was measured to do, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Whether it acts.
    pub bite: Bite,
    /// The measures behind that, and the dose as it really was.
    pub measurements: Vec<Measurement>,
    /// What became of the processes of its target since it was put in place, in order: that one ended, that a new one
    /// matches. Whether a fault meets newcomers too is in its description.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
}

impl Evidence {
    /// What was measured; what became of the target's processes is for the node to say, which watches them.
    pub fn new(bite: Bite, measurements: Vec<Measurement>) -> Self {
        Self { bite, measurements, changes: Vec::new() }
    }

    /// The evidence of several steps of one plan together: it bites when each step that says anything bites.
    pub fn combine(parts: impl IntoIterator<Item = Self>) -> Self {
        let bite = Bite::NotYet("nothing was measured".into());
        let mut whole = Self::new(bite, Vec::new());
        let mut seen = false;
        for part in parts {
            whole.measurements.extend(part.measurements);
            whole.bite = match (seen, &whole.bite, part.bite) {
                (false, _, bite) => bite,
                (true, Bite::No(_), _) => continue,
                (true, _, no @ Bite::No(_)) => no,
                (true, Bite::NotYet(_), _) => continue,
                (true, Bite::Yes, bite) => bite,
            };
            seen = true;
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(bite: Bite) -> Evidence {
        Evidence::new(bite, Vec::new())
    }

    #[test]
    fn one_part_without_effect_decides() {
        let combined = Evidence::combine([part(Bite::Yes), part(Bite::No("x".into())), part(Bite::NotYet("y".into()))]);
        assert_eq!(combined.bite, Bite::No("x".into()));
        assert_eq!(Evidence::combine([part(Bite::Yes), part(Bite::Yes)]).bite, Bite::Yes);
        assert!(matches!(Evidence::combine([]).bite, Bite::NotYet(_)));
    }
}
