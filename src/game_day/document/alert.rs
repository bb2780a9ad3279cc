use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use faultline_agent::units::TimeSpan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where alerts are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Alertmanager {
    /// Its address, such as `http://127.0.0.1:9093`.
    pub url: String,
    /// Header fields of each request, such as `Authorization`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// How often it is asked (5 s unless told).
    #[serde(default = "five_seconds")]
    pub interval: TimeSpan,
    /// How long an answer may take (3 s unless told).
    #[serde(default = "three_seconds")]
    pub timeout: TimeSpan,
}

const fn five_seconds() -> TimeSpan {
    TimeSpan::from_secs(5)
}

const fn three_seconds() -> TimeSpan {
    TimeSpan::from_secs(3)
}

/// Which alerts are meant: by name, by matchers, or by both.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlertSelector {
    /// The label `alertname`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Matchers as Alertmanager writes them; all must match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matchers: Vec<Matcher>,
}

/// An alert that the fault should raise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectedAlert {
    /// The label `alertname`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Matchers as Alertmanager writes them; all must match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matchers: Vec<Matcher>,
    /// It must fire within this time after the fault is in place.
    pub within: TimeSpan,
    /// It must be gone within this time after the fault is undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_within: Option<TimeSpan>,
}

impl ExpectedAlert {
    /// Which alerts are meant.
    pub fn selector(&self) -> AlertSelector {
        AlertSelector { name: self.name.clone(), matchers: self.matchers.clone() }
    }
}

impl AlertSelector {
    /// Whether an alert with these labels is meant. A selector without a condition means none.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let label = |name: &str| labels.get(name).map_or("", String::as_str);
        let named = self.name.as_deref().is_none_or(|name| label("alertname") == name);
        let empty = self.name.is_none() && self.matchers.is_empty();
        !empty && named && self.matchers.iter().all(|matcher| matcher.matches(label(&matcher.label)))
    }
}

impl fmt::Display for AlertSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let matchers: Vec<String> = self.matchers.iter().map(ToString::to_string).collect();
        match (&self.name, matchers.as_slice()) {
            (Some(name), []) => formatter.write_str(name),
            (name, matchers) => write!(formatter, "{}{{{}}}", name.as_deref().unwrap_or(""), matchers.join(", ")),
        }
    }
}

/// One condition on one label, as Alertmanager writes it: `severity="page"`, `instance=~"web-.*"`, `team!="search"`,
/// `zone!~"a|b"`. A label that is not there is empty; expressions are anchored at both ends.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Matcher {
    /// The label.
    pub label: String,
    /// What is asked of it.
    pub is: Comparison,
    /// The value, or the expression as written.
    pub value: String,
    expression: Option<regex::Regex>,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.label, self.is, &self.value) == (&other.label, other.is, &other.value)
    }
}

/// What is asked of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `=~`
    Like,
    /// `!~`
    Unlike,
}

impl Comparison {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Like, "=~"), (Self::Unlike, "!~"), (Self::Unequal, "!="), (Self::Equal, "=")];

    fn sign(self) -> &'static str {
        Self::ALL.iter().find(|(is, _)| *is == self).map_or("=", |(_, sign)| sign)
    }
}

impl Matcher {
    /// Whether the value of its label is as asked.
    pub fn matches(&self, value: &str) -> bool {
        let like = || self.expression.as_ref().is_some_and(|expression| expression.is_match(value));
        match self.is {
            Comparison::Equal => value == self.value,
            Comparison::Unequal => value != self.value,
            Comparison::Like => like(),
            Comparison::Unlike => !like(),
        }
    }
}

impl FromStr for Matcher {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse =
            |why: &str| format!("`{text}` is no matcher ({why}); write severity=\"page\" or instance=~\"web-.*\"");
        let text = text.trim();
        let end = text.find(['=', '!']).ok_or_else(|| refuse("it has no `=`, `!=`, `=~` or `!~`"))?;
        let (label, rest) = text.split_at(end);
        let label = label.trim_end();
        let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if label.is_empty() || !label.chars().all(word) || label.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(refuse("before the sign stands no label"));
        }
        let (is, sign) =
            Comparison::ALL.into_iter().find(|(_, sign)| rest.starts_with(sign)).ok_or_else(|| refuse("a lone `!`"))?;
        let value = rest[sign.len()..].trim();
        let value = match value.strip_prefix('"') {
            Some(inner) => inner.strip_suffix('"').ok_or_else(|| refuse("the quote does not end"))?,
            None if value.contains('"') => return Err(refuse("a quote stands within the value")),
            None => value,
        };
        let expression = match is {
            Comparison::Like | Comparison::Unlike => Some(
                regex::Regex::new(&format!("^(?:{value})$"))
                    .map_err(|error| refuse(error.to_string().lines().last().unwrap_or("a wrong expression").trim()))?,
            ),
            Comparison::Equal | Comparison::Unequal => None,
        };
        Ok(Self { label: label.into(), is, value: value.into(), expression })
    }
}

impl TryFrom<String> for Matcher {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Matcher> for String {
    fn from(matcher: Matcher) -> Self {
        matcher.to_string()
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}\"{}\"", self.label, self.is.sign(), self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_are_read_as_alertmanager_writes_them() {
        for (text, value, matches) in [
            ("severity=\"page\"", "page", true),
            ("severity=page", "pages", false),
            ("severity!=\"page\"", "", true),
            ("instance=~\"web-.*\"", "web-1", true),
            ("instance=~\"web-.*\"", "a web-1", false),
            ("zone!~\"a|b\"", "ab", true),
            ("zone!~\"a|b\"", "b", false),
            ("code =~ \"5[0-9]+\"", "503", true),
        ] {
            let matcher: Matcher = text.parse().unwrap();
            assert_eq!(matcher.matches(value), matches, "{text} on {value}");
            assert_eq!(matcher.to_string().parse::<Matcher>().unwrap(), matcher);
        }
        for text in ["", "severity", "=page", "a b=c", "severity=\"page", "severity=pa\"ge", "x=~\"(\"", "x!y", "9a=b"]
        {
            let error = text.parse::<Matcher>().unwrap_err();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }

    #[test]
    fn a_selector_without_a_condition_means_no_alert() {
        let labels = BTreeMap::from([("alertname".to_owned(), "Down".to_owned())]);
        assert!(!AlertSelector::default().matches(&labels));
        assert!(AlertSelector { name: Some("Down".into()), matchers: Vec::new() }.matches(&labels));
        let other = AlertSelector { name: Some("Down".into()), matchers: vec!["team=\"a\"".parse().unwrap()] };
        assert!(!other.matches(&labels));
        assert_eq!(other.to_string(), "Down{team=\"a\"}");
    }
}
