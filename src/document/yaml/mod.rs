//! A YAML document as a tree that remembers where each value was written.
//!
//! The document is read once into [`Node`]s ([`read`]), edited (`--set`), typed ([`typed`]), and asked for places
//! when something is wrong with a value. Typing from a tree rather than from the text lets every error of a file be
//! found, and lets a value that came from the command line be shown there.

pub mod path;
pub mod read;
pub mod typed;

pub(crate) use path::at;
pub use path::{Path, Segment};

/// Where something was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Which text: 0 is the file, each `--set` has the number that follows.
    pub source: usize,
    /// The first byte.
    pub start: usize,
    /// The byte behind the last.
    pub end: usize,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it was written. Of a list or mapping, only the start is certain.
    pub place: Place,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Something without parts.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order in which it was written.
    Mapping(Vec<Entry>),
}

/// A value without parts: its text as written, and what YAML takes it for.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// The text, without quotes.
    pub text: String,
    /// What YAML takes it for.
    pub kind: Kind,
}

/// What YAML (1.2, core schema) takes a scalar for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Nothing: `null`, `~` or no text at all.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number from 0.
    Unsigned(u64),
    /// A whole number below 0.
    Signed(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text,
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key was written.
    pub place: Place,
    /// The value.
    pub node: Node,
}

impl Node {
    /// An empty mapping.
    pub fn empty_mapping(place: Place) -> Self {
        Self { value: Value::Mapping(Vec::new()), place }
    }

    /// The keys of a mapping; none of anything else.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let entries = match &self.value {
            Value::Mapping(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(|entry| entry.key.as_str())
    }

    /// The value of a key or the item at an index, if it is there.
    pub fn child(&self, segment: &Segment) -> Option<&Self> {
        match (&self.value, segment) {
            (Value::Mapping(entries), Segment::Key(key)) => {
                entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.node)
            }
            (Value::List(items), Segment::Index(index)) => items.get(*index),
            _ => None,
        }
    }

    /// As [`child`](Self::child), to change it.
    pub fn child_mut(&mut self, segment: &Segment) -> Option<&mut Self> {
        match (&mut self.value, segment) {
            (Value::Mapping(entries), Segment::Key(key)) => {
                entries.iter_mut().find(|entry| entry.key == *key).map(|entry| &mut entry.node)
            }
            (Value::List(items), Segment::Index(index)) => items.get_mut(*index),
            _ => None,
        }
    }

    /// The value at a path, if it is there.
    pub fn at(&self, path: &Path) -> Option<&Self> {
        path.segments().iter().try_fold(self, |node, segment| node.child(segment))
    }

    /// Takes the value at a path out of its mapping or list.
    pub fn remove(&mut self, path: &Path) -> Option<Self> {
        let (last, parents) = path.segments().split_last()?;
        let parent = parents.iter().try_fold(self, |node, segment| node.child_mut(segment))?;
        match (&mut parent.value, last) {
            (Value::Mapping(entries), Segment::Key(key)) => {
                let index = entries.iter().position(|entry| entry.key == *key)?;
                Some(entries.remove(index).node)
            }
            (Value::List(items), Segment::Index(index)) if *index < items.len() => Some(items.remove(*index)),
            _ => None,
        }
    }

    /// The place to show for a path: the value itself if it is a scalar, the key of a list or mapping; where the path
    /// does not lead all the way, as far as it leads.
    pub fn place_of(&self, path: &Path) -> Place {
        let mut node = self;
        let mut place = self.place;
        for segment in path.segments() {
            let Some(child) = node.child(segment) else { break };
            place = node.place_of_child(segment).unwrap_or(child.place);
            node = child;
        }
        place
    }

    /// The place of the key at a path, else as [`place_of`](Self::place_of).
    pub fn place_of_key(&self, path: &Path) -> Place {
        let entry = path.segments().split_last().and_then(|(last, parents)| {
            let parent = parents.iter().try_fold(self, |node, segment| node.child(segment))?;
            match (&parent.value, last) {
                (Value::Mapping(entries), Segment::Key(key)) => entries.iter().find(|entry| entry.key == *key),
                _ => None,
            }
        });
        entry.map_or_else(|| self.place_of(path), |entry| entry.place)
    }

    fn place_of_child(&self, segment: &Segment) -> Option<Place> {
        match (&self.value, segment) {
            (Value::Mapping(entries), Segment::Key(key)) => {
                entries.iter().find(|entry| entry.key == *key).map(Entry::place_to_show)
            }
            (Value::List(items), Segment::Index(index)) => items.get(*index).map(|item| item.place),
            _ => None,
        }
    }
}

impl Entry {
    /// The value if it is a scalar with any text, else the key.
    pub fn place_to_show(&self) -> Place {
        match &self.node.value {
            Value::Scalar(scalar) if !scalar.text.is_empty() => self.node.place,
            _ => self.place,
        }
    }
}
