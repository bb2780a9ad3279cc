//! Typing a tree: a serde deserializer whose errors know the value that they are about.

use std::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, Unexpected, Visitor};

use super::{Entry, Kind, Node, Path, Place, Scalar, Segment, Value};

/// Reads a tree as a type.
///
/// # Errors
/// With the first value that does not fit, and where it stands.
pub fn from_tree<T: DeserializeOwned>(tree: &Node) -> Result<T, Box<TypeError>> {
    T::deserialize(Typing(tree)).map_err(|error| error.beside(tree, tree.place))
}

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
    fn new(problem: Problem) -> Box<Self> {
        Box::new(Self { problem, path: Path::default(), place: None })
    }

    /// Gives the error the value it is about, unless it is about a part of that.
    fn beside(mut self: Box<Self>, node: &Node, place: Place) -> Box<Self> {
        if self.place.is_none() {
            self.place = Some(place);
            if let Problem::Kind { found, .. } = &mut self.problem {
                *found = describe(node);
            }
        }
        self
    }

    fn below(mut self: Box<Self>, segment: Segment) -> Box<Self> {
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
fn in_words(expected: &str) -> String {
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

/// One value, to be read.
#[derive(Clone, Copy)]
struct Typing<'a>(&'a Node);

impl<'a> Typing<'a> {
    fn scalar(self) -> Option<&'a Scalar> {
        match &self.0.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }
}

impl<'de> Deserializer<'de> for Typing<'de> {
    type Error = Box<TypeError>;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match &self.0.value {
            Value::Scalar(scalar) => match scalar.kind {
                Kind::Null => visitor.visit_unit(),
                Kind::Boolean(value) => visitor.visit_bool(value),
                Kind::Unsigned(value) => visitor.visit_u64(value),
                Kind::Signed(value) => visitor.visit_i64(value),
                Kind::Float(value) => visitor.visit_f64(value),
                Kind::Text => visitor.visit_borrowed_str(&scalar.text),
            },
            Value::List(items) => visitor.visit_seq(Items { items: items.iter().enumerate() }),
            Value::Mapping(entries) => visitor.visit_map(Entries { entries: entries.iter(), entry: None }),
        }
    }

    /// A number or `true` where a text is wanted is that text as written: `version: 1.10`.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.scalar() {
            Some(Scalar { kind: Kind::Null, .. }) | None => self.deserialize_any(visitor),
            Some(scalar) => visitor.visit_borrowed_str(&scalar.text),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.scalar() {
            Some(Scalar { kind: Kind::Null, .. }) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match &self.0.value {
            Value::Mapping(entries) => match entries.as_slice() {
                [entry] => visitor.visit_enum(Tagged { entry }),
                several => {
                    let given = several.iter().map(|entry| entry.key.clone()).collect();
                    let mut error = TypeError::new(Problem::NotOne { given, expected: variants });
                    error.place = several.get(1).map(|entry| entry.place);
                    Err(error)
                }
            },
            Value::Scalar(Scalar { kind: Kind::Null, .. }) | Value::List(_) => {
                Err(TypeError::new(Problem::NotOne { given: Vec::new(), expected: variants }))
            }
            Value::Scalar(scalar) => visitor.visit_enum(Word { word: &scalar.text }),
        }
    }

    /// Settings have names: a list of values in the order of the source code is none.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match &self.0.value {
            Value::List(_) => {
                let expected = in_words("struct ");
                Err(TypeError::new(Problem::Kind { found: String::new(), expected }))
            }
            Value::Scalar(_) | Value::Mapping(_) => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple
        tuple_struct map
    }
}

struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Box<TypeError>;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Self::Error> {
        let Some((index, item)) = self.items.next() else { return Ok(None) };
        let read = seed.deserialize(Typing(item));
        read.map(Some).map_err(|error| error.beside(item, item.place).below(index.into()))
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, Entry>,
    entry: Option<&'a Entry>,
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = Box<TypeError>;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Self::Error> {
        self.entry = self.entries.next();
        let Some(entry) = self.entry else { return Ok(None) };
        let read = seed.deserialize(entry.key.as_str().into_deserializer());
        read.map(Some)
            .map_err(|error: Box<TypeError>| error.beside(&entry.node, entry.place).below((&entry.key).into()))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Self::Error> {
        let Some(entry) = self.entry.take() else { return Err(de::Error::custom("a value without a key")) };
        seed.deserialize(Typing(&entry.node))
            .map_err(|error| error.beside(&entry.node, entry.place_to_show()).below((&entry.key).into()))
    }
}

/// A form with its settings: `network-latency: { … }`.
struct Tagged<'a> {
    entry: &'a Entry,
}

impl<'de> de::EnumAccess<'de> for Tagged<'de> {
    type Error = Box<TypeError>;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Self::Error> {
        let read = seed.deserialize(self.entry.key.as_str().into_deserializer());
        match read {
            Ok(form) => Ok((form, self)),
            Err(error) => {
                let error: Box<TypeError> = error;
                Err(error.beside(&self.entry.node, self.entry.place).below((&self.entry.key).into()))
            }
        }
    }
}

impl<'de> de::VariantAccess<'de> for Tagged<'de> {
    type Error = Box<TypeError>;

    fn unit_variant(self) -> Result<(), Self::Error> {
        let error = TypeError::new(Problem::Message(format!("`{}` takes no settings", self.entry.key)));
        Err(error.beside(&self.entry.node, self.entry.place).below((&self.entry.key).into()))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Self::Error> {
        let entry = self.entry;
        seed.deserialize(Typing(&entry.node))
            .map_err(|error| error.beside(&entry.node, entry.place_to_show()).below((&entry.key).into()))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Self::Error> {
        self.newtype_variant_seed(AnyWith(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Self::Error> {
        self.newtype_variant_seed(AnyWith(visitor))
    }
}

/// Reads whatever is there with a visitor.
struct AnyWith<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for AnyWith<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_any(self.0)
    }
}

/// A form without settings: `baseline`.
struct Word<'a> {
    word: &'a str,
}

impl<'de> de::EnumAccess<'de> for Word<'de> {
    type Error = Box<TypeError>;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Self::Error> {
        let read: Result<_, Box<TypeError>> = seed.deserialize(self.word.into_deserializer());
        read.map(|form| (form, self))
    }
}

impl<'de> de::VariantAccess<'de> for Word<'de> {
    type Error = Box<TypeError>;

    fn unit_variant(self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Self::Error> {
        Err(TypeError::new(Problem::NeedsSettings(self.word.into())))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Self::Error> {
        Err(TypeError::new(Problem::NeedsSettings(self.word.into())))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Self::Error> {
        Err(TypeError::new(Problem::NeedsSettings(self.word.into())))
    }
}
