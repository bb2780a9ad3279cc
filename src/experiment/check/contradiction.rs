//! Conditions on labels that no host can meet together.

use std::collections::{BTreeMap, BTreeSet};

use crate::experiment::document::{LabelCondition, LabelExpression, LabelVersion, VersionComparison};

/// What is known of one label's value, condition by condition.
#[derive(Default)]
struct Known<'a> {
    must_be: Option<&'a LabelExpression>,
    must_not_be: Option<&'a LabelExpression>,
    /// The values that are left, if they are named at all.
    values: Option<BTreeSet<&'a str>>,
    excluded: BTreeSet<&'a str>,
    versions: Vec<(VersionComparison, &'a LabelVersion)>,
    /// What narrowed it last.
    last: Option<&'a LabelExpression>,
}

/// Each condition, by its place in the list, that cannot be true along with those before it; one for each label.
pub(super) fn contradictions(expressions: &[&LabelExpression]) -> Vec<(usize, String)> {
    let mut labels: BTreeMap<&str, Known<'_>> = BTreeMap::new();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    for (index, expression) in expressions.iter().enumerate() {
        let known = labels.entry(&expression.label).or_default();
        let before = known.add(expression);
        if known.is_impossible() && told.insert(&expression.label) {
            let message = match before {
                Some(before) => format!("`{expression}` and `{before}` cannot both be true"),
                None => format!("`{expression}` cannot be true"),
            };
            found.push((index, message));
        }
    }
    found
}

impl<'a> Known<'a> {
    /// Takes one more condition in; answers with the one that it would contradict.
    fn add(&mut self, expression: &'a LabelExpression) -> Option<&'a LabelExpression> {
        let is_absent = expression.condition == LabelCondition::Absent;
        let before = match is_absent {
            true => self.must_be.or(self.last),
            false => self.must_not_be.or(self.last),
        };
        match &expression.condition {
            LabelCondition::Exists => self.must_be = Some(expression),
            LabelCondition::Absent => self.must_not_be = Some(expression),
            LabelCondition::In(values) => {
                self.must_be = Some(expression);
                let values: BTreeSet<&str> = values.iter().map(String::as_str).collect();
                self.values = Some(match self.values.take() {
                    Some(left) => left.intersection(&values).copied().collect(),
                    None => values,
                });
            }
            // Hosts without the label meet it too, so it asks for nothing by itself.
            LabelCondition::NotIn(values) => self.excluded.extend(values.iter().map(String::as_str)),
            LabelCondition::Version(comparison, version) => {
                self.must_be = Some(expression);
                self.versions.push((*comparison, version));
            }
        }
        self.last = Some(expression);
        before
    }

    fn is_impossible(&self) -> bool {
        if self.must_be.is_none() {
            return false;
        }
        let fits = |value: &&&str| {
            let version = LabelVersion::leading(value);
            !self.excluded.contains(**value)
                && self
                    .versions
                    .iter()
                    .all(|(comparison, wanted)| version.as_ref().is_some_and(|found| comparison.holds(found, wanted)))
        };
        self.must_not_be.is_some()
            || self.values.as_ref().is_some_and(|values| values.iter().find(fits).is_none())
            || self.values.is_none() && self.is_empty_range()
    }

    /// Whether one bound from below is above one from above.
    fn is_empty_range(&self) -> bool {
        let from_below = |comparison| matches!(comparison, VersionComparison::Above | VersionComparison::AtLeast);
        let lows = self.versions.iter().filter(|(comparison, _)| from_below(*comparison));
        lows.clone().any(|(low, from)| {
            let highs = self.versions.iter().filter(|(comparison, _)| !from_below(*comparison));
            highs.clone().any(|(high, to)| {
                from > to || from == to && (*low == VersionComparison::Above || *high == VersionComparison::Below)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(texts: &[&str]) -> Vec<(usize, String)> {
        let expressions: Vec<LabelExpression> = texts.iter().map(|text| text.parse().unwrap()).collect();
        contradictions(&expressions.iter().collect::<Vec<_>>())
    }

    #[test]
    fn what_cannot_be_true_together_is_found() {
        for texts in [
            ["spot", "!spot"],
            ["!spot", "spot"],
            ["!spot", "spot in (yes)"],
            ["zone in (a, b)", "zone in (c)"],
            ["zone in (a)", "zone notin (a, b)"],
            ["zone notin (a)", "zone = a"],
            ["kernel >= 6.1", "kernel < 6.1"],
            ["kernel > 6.1", "kernel <= 6.1"],
            ["kernel > 6.5", "kernel < 6.1"],
            ["kernel in (5.10, new)", "kernel >= 6.1"],
            ["kernel >= 6", "!kernel"],
        ] {
            let message = format!("`{}` and `{}` cannot both be true", normal(texts[1]), normal(texts[0]));
            assert_eq!(found(&texts), [(1, message)]);
        }
    }

    fn normal(text: &str) -> String {
        text.parse::<LabelExpression>().unwrap().to_string()
    }

    #[test]
    fn what_can_be_true_is_left_alone() {
        for texts in [
            &["spot", "spot"] as &[&str],
            &["!spot", "spot notin (yes)"],
            &["zone in (a, b)", "zone in (b, c)", "zone notin (a)"],
            &["kernel >= 6.1", "kernel <= 6.1"],
            &["kernel >= 6.1", "kernel < 7", "kernel notin (6.5)"],
            &["kernel in (5.10, 6.2)", "kernel >= 6.1"],
            &["a", "!b"],
        ] {
            assert_eq!(found(texts), [], "{texts:?}");
        }
    }

    #[test]
    fn one_is_told_of_for_each_label() {
        assert_eq!(
            found(&["a", "b", "!a", "!b", "a in (x)"]).iter().map(|(index, _)| *index).collect::<Vec<_>>(),
            [2, 3]
        );
    }
}
