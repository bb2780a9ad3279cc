//! What does not fit, in words, and where it stands.

use std::fmt;

use serde::de::{self, Unexpected};

use crate::document::yaml::{Kind, Node, Path, Place, Scalar, Segment, Value};

/// A value that does not fit its type.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeError {
    /// What is wrong.
    pub problem: Problem,
    /// The way to the value (or, for a missing key, to the mapping that lacks it).
    pub path: Path,
    /// Where it was written.
    pub place: Option<Place>,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Problem {
    /// It says so itself.
    Message(String),
    /// It is of another kind than expected.
    Kind {
        /// What it is, once the value is known.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A key that is not among those there can be.
    UnknownKey {
        /// The key.
        key: String,
        /// Those there can be.
        expected: &'static [&'static str],
    },
    /// A word that is not among those there can be.
    UnknownWord {
        /// The word.
        word: String,
        /// Those there can be.
        expected: &'static [&'static str],
    },
    /// A key that must be there and is not.
    MissingKey(&'static str),
    /// A mapping in which exactly one of several keys is to be given.
    NotOne {
        /// The keys given.
        given: Vec<String>,
        /// Those there can be.
        expected: &'static [&'static str],
    },
    /// A word alone, where it needs a mapping of settings.
    NeedsSettings(String),
}

impl TypeError {
    pub(super) fn new(problem: Problem) -> Box<Self> {
        Box::new(Self { problem, path: Path::default(), place: None })
    }

    /// Gives the error the value it is about, unless it is about a part of that.
    pub(super) fn beside(mut self: Box<Self>, node: &Node, place: Place) -> Box<Self> {
        if self.place.is_none() {
            self.place = Some(place);
            if let Problem::Kind { found, .. } = &mut self.problem {
                *found = describe(node);
            }
        }
        self
    }

    pub(super) fn below(mut self: Box<Self>, segment: Segment) -> Box<Self> {
        self.path.prepend(segment);
        self
    }
}

/// A value in words.
fn describe(node: &Node) -> String {
    match &node.value {
        Value::List(_) => "a list".into(),
        Value::Mapping(_) => "a mapping".into(),
        Value::Scalar(Scalar { kind: Kind::Null, .. }) => "nothing".into(),
        Value::Scalar(Scalar { text, .. }) if text.chars().count() > 60 => "this text".into(),
        Value::Scalar(Scalar { text, kind: Kind::Text }) if is_number(text) => {
            format!("`{text}` in quotes")
        }
        Value::Scalar(Scalar { text, .. }) => format!("`{text}`"),
    }
}

/// Whether a text would be a finite number without its quotes.
fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// What serde expects, in words for people who do not know Rust.
pub(super) fn in_words(expected: &str) -> String {
    match expected {
        "a map" => "a mapping".into(),
        "a sequence" => "a list".into(),
        "a string" | "path string" => "a text".into(),
        "a boolean" => "true or false".into(),
        "u8" => "a whole number from 0 to 255".into(),
        "u16" => "a whole number from 0 to 65535".into(),
        "u32" => "a whole number from 0 to 4294967295".into(),
        "u64" | "usize" => "a whole number, 0 or more".into(),
        "i32" => "a whole number up to 2147483647".into(),
        "i64" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        other if other.starts_with("struct ") => "a mapping (`key: value`)".into(),
        other if other.starts_with("enum ") || other.contains(" variant ") => "one of its forms".into(),
        other => other.into(),
    }
}

impl fmt::Display for TypeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Message(message) => formatter.write_str(message),
            Problem::Kind { found, expected } => write!(formatter, "{found} is not {expected}"),
            Problem::UnknownKey { key, .. } => write!(formatter, "there is no `{key}` here"),
            Problem::UnknownWord { word, .. } => write!(formatter, "`{word}` is not known here"),
            Problem::MissingKey(key) => write!(formatter, "`{key}` is missing"),
            Problem::NotOne { given, .. } if given.is_empty() => formatter.write_str("one key is needed here"),
            Problem::NotOne { given, .. } => {
                write!(formatter, "only one of `{}` can be given here", given.join("`, `"))
            }
            Problem::NeedsSettings(word) => write!(formatter, "`{word}` needs its settings"),
        }
    }
}

impl std::error::Error for Box<TypeError> {}

impl de::Error for Box<TypeError> {
    fn custom<T: fmt::Display>(message: T) -> Self {
        TypeError::new(Problem::Message(message.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        TypeError::new(Problem::Kind { found: String::new(), expected: in_words(&expected.to_string()) })
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_variant(word: &str, expected: &'static [&'static str]) -> Self {
        TypeError::new(Problem::UnknownWord { word: word.into(), expected })
    }

    fn unknown_field(key: &str, expected: &'static [&'static str]) -> Self {
        TypeError::new(Problem::UnknownKey { key: key.into(), expected })
    }

    fn missing_field(key: &'static str) -> Self {
        TypeError::new(Problem::MissingKey(key))
    }
}
