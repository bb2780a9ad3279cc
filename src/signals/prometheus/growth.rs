//! How much counters grew between two readings, series by series.

use std::collections::BTreeMap;

use super::super::sample::Reading;
use super::answer::Series;

/// What the counters showed last, by part and labels; nothing before the first reading.
#[derive(Debug, Default)]
pub(super) struct Counters {
    last: Option<BTreeMap<(String, String), f64>>,
}

impl Counters {
    /// Takes in a reading and says what was counted since the one before; nothing at the first.
    ///
    /// # Errors
    /// If that cannot be known: a counter went back, or other series than before are there. Counting then begins anew.
    /// (A missing reading in between is no such reason: what was counted meanwhile is in the next growth.)
    pub(super) fn grow(&mut self, series: &[Series]) -> Result<Option<Reading>, String> {
        let mut now = BTreeMap::new();
        for one in series {
            if one.value < 0.0 {
                return Err(format!("`{}` is not a counter: {} is {}", one.part, one.labels, one.value));
            }
            now.insert((one.part.clone(), one.labels.clone()), one.value);
        }
        for part in ["bad", "total"] {
            if !now.keys().any(|(of, _)| of == part) {
                return Err(format!("`{part}` has no series (no answer is not zero: `or vector(0)` says that it is)"));
            }
        }
        let Some(last) = self.last.replace(now.clone()) else { return Ok(None) };
        if let Some((part, labels)) = now.keys().find(|key| !last.contains_key(*key)) {
            return Err(format!("`{part}` has a new series, {labels}: what it counted before is not known"));
        }
        if let Some((part, labels)) = last.keys().find(|key| !now.contains_key(*key)) {
            return Err(format!("`{part}` lost its series {labels}: what it counted last is not known"));
        }
        let (mut bad, mut total) = (0.0, 0.0);
        for (key, value) in &now {
            let before = last.get(key).copied().unwrap_or_default();
            if *value < before {
                let (part, labels) = key;
                return Err(format!("`{part}` was reset: {labels} went from {before} to {value}"));
            }
            *(if key.0 == "bad" { &mut bad } else { &mut total }) += value - before;
        }
        if bad > total {
            return Err(format!("`bad` grew by {bad} but `total` only by {total}: do both count the same events?"));
        }
        Ok(Some(Reading::Counts { bad, total }))
    }
}
