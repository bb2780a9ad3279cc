//! Typing a tree: a serde deserializer whose errors know the value that they are about.

mod collections;
mod error;
mod variants;

use serde::de::{DeserializeOwned, Deserializer, Visitor};

use self::collections::{Entries, Items};
use self::error::in_words;
pub use self::error::{Problem, TypeError};
use self::variants::{Tagged, Word};
use super::{Kind, Node, Scalar, Value};

/// Reads a tree as a type.
///
/// # Errors
/// With the first value that does not fit, and where it stands.
pub fn from_tree<T: DeserializeOwned>(tree: &Node) -> Result<T, Box<TypeError>> {
    T::deserialize(Typing(tree)).map_err(|error| error.beside(tree, tree.place))
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
