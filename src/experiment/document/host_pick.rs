use std::borrow::Cow;
use std::fmt;

use faultline_agent::facts::Pick;
use faultline_agent::units::Percent;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Serialize};

/// How many hosts: all unless told, chosen by the seed.
///
/// Shares are of the hosts that can be had, and rounded up as those of processes are, so that a share never comes to
/// nobody. (Ceilings are rounded down, so that nothing ever goes beyond one.)
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct HostPick {
    /// So many; all of them if there are fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// So large a share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<Percent>,
    /// As many as the seed draws, from one (or `at_least`) to this share, each number as likely as the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Percent>,
    /// Never more than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u32>,
    /// Never fewer: a share that comes to less is raised to it, and with fewer hosts to be had nothing is done at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u32>,
}

/// As written, when it is not a word.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Settings {
    /// So many hosts; all of them if there are fewer (`atLeast` refuses that).
    #[serde(default)]
    count: Option<u32>,
    /// So large a share of the hosts that can be had, rounded up to whole ones.
    #[serde(default)]
    percent: Option<Percent>,
    /// As many as the seed draws, from one (or `atLeast`) to this share of the hosts that can be had, rounded up.
    #[serde(default)]
    up_to: Option<Percent>,
    /// Never more than this.
    #[serde(default)]
    at_most: Option<u32>,
    /// Never fewer: a share that comes to less is raised to it, and with fewer hosts to be had nothing is done.
    #[serde(default)]
    at_least: Option<u32>,
}

impl HostPick {
    /// `all`.
    pub const ALL: Self = Self { count: None, percent: None, up_to: None, at_most: None, at_least: None };
    /// `one`.
    pub const ONE: Self = Self { count: Some(1), ..Self::ALL };

    /// The fewest with which anything is done: at least one.
    pub fn fewest(&self) -> usize {
        wide(self.at_least.unwrap_or(1)).max(1)
    }

    /// How many of so many that can be had are wanted; `None` if there are too few, or none is wanted.
    ///
    /// `chance` is a number from 0 up to, not with, 1: where in the range of `up_to` the seed fell.
    pub fn how_many(&self, of: usize, chance: f64) -> Option<usize> {
        let fewest = self.fewest();
        let bound = self.at_most.map_or(of, wide).min(of);
        let none = |percent: Option<Percent>| percent.is_some_and(|percent| percent.number() == 0.0);
        if bound < fewest || self.count == Some(0) || none(self.percent) || none(self.up_to) {
            return None;
        }
        let share = |percent| Pick { percent: Some(percent), ..Pick::default() }.how_many(of);
        let wanted = match *self {
            Self { count: Some(count), .. } => wide(count),
            Self { percent: Some(percent), .. } => share(percent),
            Self { up_to: Some(up_to), .. } => {
                let most = share(up_to).min(bound).max(fewest);
                #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 hosts")]
                let steps = ((most - fewest + 1) as f64 * chance).floor();
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and `most`")]
                let steps = steps.max(0.0) as usize;
                (fewest + steps).min(most)
            }
            _ => of,
        };
        Some(wanted.min(bound).max(fewest))
    }
}

impl From<Pick> for HostPick {
    fn from(pick: Pick) -> Self {
        let Pick { count, percent, at_most } = pick;
        Self { count, percent, at_most, ..Self::ALL }
    }
}

impl fmt::Display for HostPick {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = match *self {
            Self { count: Some(1), .. } => "one".into(),
            Self { count: Some(count), .. } => format!("{count}"),
            Self { percent: Some(percent), .. } => format!("{percent}"),
            Self { up_to: Some(up_to), .. } => format!("a random number up to {up_to}"),
            _ => "all".into(),
        };
        if let Some(at_least) = self.at_least {
            text += &format!(", at least {at_least}");
        }
        if let Some(at_most) = self.at_most {
            text += &format!(", at most {at_most}");
        }
        formatter.pad(&text)
    }
}

impl<'de> Deserialize<'de> for HostPick {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrSettings;

        impl<'de> Visitor<'de> for WordOrSettings {
            type Value = HostPick;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("`one`, `all`, or a mapping such as `{ percent: 20%, atMost: 5 }`")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<HostPick, E> {
                match word {
                    "one" => Ok(HostPick::ONE),
                    "all" => Ok(HostPick::ALL),
                    _ => Err(E::unknown_variant(word, &["one", "all"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HostPick, A::Error> {
                let settings = Settings::deserialize(MapAccessDeserializer::new(map))?;
                let Settings { count, percent, up_to, at_most, at_least } = settings;
                Ok(HostPick { count, percent, up_to, at_most, at_least })
            }
        }

        deserializer.deserialize_any(WordOrSettings)
    }
}

impl JsonSchema for HostPick {
    fn schema_name() -> Cow<'static, str> {
        "HostPick".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let settings = Settings::json_schema(generator);
        schemars::json_schema!({
            "description": "How many hosts, chosen by the seed: `one`, `all`, or settings.",
            "anyOf": [{ "enum": ["one", "all"] }, settings],
        })
    }
}

fn wide(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn how_many_hosts_follows_the_rules_of_processes() {
        let percent = |number| HostPick { percent: Percent::new(number), ..HostPick::ALL };
        let up_to = |number| HostPick { up_to: Percent::new(number), ..HostPick::ALL };
        for (pick, of, chance, expected) in [
            (HostPick::ALL, 7, 0.0, Some(7)),
            (HostPick::ALL, 0, 0.0, None),
            (HostPick::ONE, 7, 0.0, Some(1)),
            (HostPick { count: Some(9), ..HostPick::ALL }, 4, 0.0, Some(4)),
            (HostPick { count: Some(3), at_least: Some(3), ..HostPick::ALL }, 2, 0.0, None),
            (percent(50.0), 3, 0.0, Some(2)),
            (percent(10.0), 30, 0.0, Some(3)),
            (percent(1.0), 3, 0.0, Some(1)),
            (HostPick { at_least: Some(2), ..percent(1.0) }, 3, 0.0, Some(2)),
            (HostPick { at_least: Some(4), ..percent(100.0) }, 3, 0.0, None),
            (HostPick { at_most: Some(1), ..percent(100.0) }, 3, 0.0, Some(1)),
            (up_to(30.0), 10, 0.0, Some(1)),
            (up_to(30.0), 10, 0.34, Some(2)),
            (up_to(30.0), 10, 0.999, Some(3)),
            (up_to(1.0), 10, 0.999, Some(1)),
            (HostPick { at_least: Some(5), ..up_to(30.0) }, 10, 0.5, Some(5)),
            (HostPick { at_most: Some(2), ..up_to(90.0) }, 10, 0.999, Some(2)),
        ] {
            assert_eq!(pick.how_many(of, chance), expected, "{pick} of {of} at {chance}");
        }
    }

    proptest! {
        #[test]
        fn no_number_is_out_of_its_bounds(
            number in 0.0f64..=100.0, random: bool, at_most in proptest::option::of(1u32..20),
            at_least in proptest::option::of(1u32..20), of in 0usize..60, chance in 0.0f64..1.0,
        ) {
            let share = Percent::new(number);
            let pick = HostPick {
                percent: share.filter(|_| !random), up_to: share.filter(|_| random), count: None, at_most, at_least,
            };
            prop_assume!(at_most.unwrap_or(u32::MAX) >= at_least.unwrap_or(1));
            match pick.how_many(of, chance) {
                None => prop_assert!(of < pick.fewest() || number == 0.0),
                Some(wanted) => {
                    prop_assert!(wanted >= pick.fewest() && wanted <= of);
                    prop_assert!(at_most.is_none_or(|most| wanted <= most as usize));
                    let exact = (number / 100.0 * of as f64).ceil();
                    prop_assert!(wanted as f64 <= exact.max(pick.fewest() as f64));
                }
            }
        }
    }
}
