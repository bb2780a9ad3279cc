//! Lists and mappings.

use serde::de::{self, DeserializeSeed, IntoDeserializer};

use super::{TypeError, Typing};
use crate::document::yaml::{Entry, Node};

/// A list, item by item.
pub(super) struct Items<'a> {
    pub(super) items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Box<TypeError>;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Self::Error> {
        let Some((index, item)) = self.items.next() else { return Ok(None) };
        let read = seed.deserialize(Typing(item));
        read.map(Some).map_err(|error| error.beside(item, item.place).below(index.into()))
    }
}

/// A mapping, entry by entry.
pub(super) struct Entries<'a> {
    pub(super) entries: std::slice::Iter<'a, Entry>,
    pub(super) entry: Option<&'a Entry>,
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
