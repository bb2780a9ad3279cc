use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a name of a host looks like: a whole name in which `*` stands for any text and `?` for any one letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPattern(String);

/// The longest name of a host (RFC 1123).
const LONGEST: usize = 253;

/// Why a text is no pattern of host names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a host, such as `db-1`, nor a pattern of such names, such as `db-*`")]
pub struct HostPatternError(String);

impl HostPattern {
    /// Whether it fits one name only.
    pub fn is_exact(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a host's whole name fits. Takes time in proportion to the product of both lengths at most.
    pub fn fits(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut at, mut read) = (0, 0);
        // Where the last `*` stood, and how much of the name it has swallowed so far.
        let mut star: Option<(usize, usize)> = None;
        while read < name.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at, read));
                    at += 1;
                }
                Some(byte) if *byte == b'?' || *byte == name[read] => {
                    at += 1;
                    read += 1;
                }
                _ => {
                    let Some((place, swallowed)) = star else { return false };
                    star = Some((place, swallowed + 1));
                    (at, read) = (place + 1, swallowed + 1);
                }
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, HostPatternError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*?".contains(&byte);
        let fits = !text.is_empty() && text.len() <= LONGEST && text.bytes().all(allowed);
        if fits { Ok(Self(text.into())) } else { Err(HostPatternError(text.into())) }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl Serialize for HostPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for HostPattern {
    fn schema_name() -> Cow<'static, str> {
        "HostPattern".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A host's name (db-1), or a pattern of names (db-*).",
            "type": ["string", "number"],
            "pattern": "^[A-Za-z0-9._*?-]{1,253}$",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(pattern: &str, name: &str) -> bool {
        pattern.parse::<HostPattern>().unwrap().fits(name)
    }

    #[test]
    fn a_pattern_is_about_the_whole_name() {
        for (pattern, name, expected) in [
            ("db-1", "db-1", true),
            ("db-1", "db-10", false),
            ("db-1", "xdb-1", false),
            ("db-*", "db-", true),
            ("db-*", "db-1.example.org", true),
            ("db-*", "adb-1", false),
            ("*-1", "db-1-1", true),
            ("d?-1", "db-1", true),
            ("d?-1", "d-1", false),
            ("*", "anything", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("db.1", "db-1", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_no_name_can_be_is_refused() {
        for text in ["", "db 1", "db/1", "dß", "a,b", &"x".repeat(254)] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_does_not_take_for_ever() {
        let pattern = "a*".repeat(60) + "b";
        assert!(!fits(&pattern, &"a".repeat(253)));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_regular_expression(pattern in "[ab*?]{1,8}", name in "[ab]{0,10}") {
            let expression = format!("^{}$", pattern.replace('*', ".*").replace('?', "."));
            let expected = regex::Regex::new(&expression).unwrap().is_match(&name);
            prop_assert_eq!(fits(&pattern, &name), expected);
        }
    }
}
