//! Forms: a word alone, or a key with its settings.

use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};

use super::{Problem, TypeError, Typing};
use crate::document::yaml::Entry;

/// A form with its settings: `network-latency: { … }`.
pub(super) struct Tagged<'a> {
    pub(super) entry: &'a Entry,
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
pub(super) struct Word<'a> {
    pub(super) word: &'a str,
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
