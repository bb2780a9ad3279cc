//! Quarantine: experiments that are run and told of, and do not count, until a day that somebody named. A cleanup that
//! could not be verified counts all the same.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// The label or annotation that puts an experiment into quarantine: `until 2027-01-31, reason`.
pub const LABEL: &str = "faultline.dev/quarantine";

/// An experiment's quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quarantine {
    /// The last day on which it does not count.
    pub until: Date,
    /// Why.
    pub reason: String,
}

/// What is no quarantine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct QuarantineError(String);

impl Quarantine {
    /// Reads `until 2027-01-31, reason`.
    ///
    /// # Errors
    /// If there is no date or no reason: a quarantine without either is a test that was switched off.
    pub fn parse(text: &str) -> Result<Self, QuarantineError> {
        let wrong = || {
            QuarantineError(format!(
                "`{text}` is no quarantine: write `until 2027-01-31, why`, so that it ends and everybody knows what for"
            ))
        };
        let (day, reason) = text.strip_prefix("until ").and_then(|rest| rest.split_once(',')).ok_or_else(wrong)?;
        let (until, reason) = (day.trim().parse().map_err(|_| wrong())?, reason.trim());
        if reason.is_empty() { Err(wrong()) } else { Ok(Self { until, reason: reason.into() }) }
    }

    /// Whether it is over on this day: the experiment counts again.
    pub fn is_over(&self, today: Date) -> bool {
        today > self.until
    }
}

/// The quarantines of a file, by the experiments' names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuarantineList(BTreeMap<String, Quarantine>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    quarantine: Vec<WrittenOne>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenOne {
    experiment: String,
    until: String,
    reason: String,
}

impl QuarantineList {
    /// Reads a file's text: `quarantine: [ { experiment: NAME, until: 2027-01-31, reason: WHY } ]`.
    ///
    /// # Errors
    /// If it is anything else, or names an experiment twice.
    pub fn parse(text: &str) -> Result<Self, QuarantineError> {
        let written: Written = serde_saphyr::from_str(text).map_err(|error| QuarantineError(error.to_string()))?;
        let mut list = BTreeMap::new();
        for one in written.quarantine {
            let quarantine = Quarantine::parse(&format!("until {}, {}", one.until, one.reason))?;
            if list.insert(one.experiment.clone(), quarantine).is_some() {
                return Err(QuarantineError(format!("`{}` is in it twice", one.experiment)));
            }
        }
        Ok(Self(list))
    }

    /// The quarantine of an experiment: the file's, else that of its label or annotation.
    ///
    /// # Errors
    /// If its label or annotation is no quarantine.
    pub fn of(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Option<Quarantine>, QuarantineError> {
        let written = labels.get(LABEL).or_else(|| annotations.get(LABEL));
        let own = written.map(|text| Quarantine::parse(text)).transpose()?;
        Ok(self.0.get(name).cloned().or(own))
    }

    /// Those of the file that are none of these experiments: probably renamed, and so not in quarantine at all.
    pub fn unknown<'a>(&'a self, names: &[&str]) -> Vec<&'a str> {
        self.0.keys().map(String::as_str).filter(|name| !names.contains(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarantine_has_an_end_and_a_reason() {
        let quarantine = Quarantine::parse("until 2027-01-31, the queue is being replaced, see #12").unwrap();
        assert_eq!(quarantine.reason, "the queue is being replaced, see #12");
        let day = |text: &str| text.parse::<Date>().unwrap();
        assert!(!quarantine.is_over(day("2027-01-31")));
        assert!(quarantine.is_over(day("2027-02-01")));
        for wrong in ["", "true", "until 2027-01-31", "until 2027-01-31, ", "until 2027-02-30, x", "until soon, x"] {
            assert!(Quarantine::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_file_goes_before_the_label_and_what_it_does_not_know_is_told() {
        let text = "quarantine:\n  - { experiment: a, until: 2027-01-31, reason: flaky network }\n  - { experiment: gone, until: 2027-01-31, reason: x }\n";
        let list = QuarantineList::parse(text).unwrap();
        let label = BTreeMap::from([(LABEL.to_owned(), "until 2026-01-01, other".to_owned())]);
        let none = BTreeMap::new();
        assert_eq!(list.of("a", &label, &none).unwrap().unwrap().reason, "flaky network");
        assert_eq!(list.of("b", &label, &none).unwrap().unwrap().reason, "other");
        assert_eq!(list.of("b", &none, &label).unwrap().unwrap().reason, "other");
        assert_eq!(list.of("b", &none, &none).unwrap(), None);
        assert_eq!(list.unknown(&["a", "b"]), ["gone"]);
        let twice = text.replace("gone", "a");
        assert!(QuarantineList::parse(&twice).is_err());
        assert!(QuarantineList::parse("quarantine: [a]").is_err());
        let wrong = BTreeMap::from([(LABEL.to_owned(), "yes".to_owned())]);
        assert!(list.of("b", &wrong, &none).is_err());
    }
}
