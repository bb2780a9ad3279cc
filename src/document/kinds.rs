//! The kinds of documents. A new one is one line in `kinds!` below, and an implementation of [`DocumentKind`] for its
//! type: loading, `faultline check` and the JSON Schema follow from those.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Metadata;
use super::diagnostic::Diagnostic;
use super::findings::{Findings, Origin};
use super::typing::{self, Typed};
use super::yaml::Node;
use crate::experiment::document::Experiment;
use crate::game_day::document::GameDay;
use crate::schedule::document::Schedule;

/// What a type must know to be a kind of document. Its `kind` field has a type whose one value is the kind's name.
pub trait DocumentKind: DeserializeOwned + Serialize + JsonSchema {
    /// Its name and labels.
    fn metadata(&self) -> &Metadata;

    /// Finds everything wrong with it that its types alone do not forbid.
    fn check(&self, findings: &mut Findings<'_>);
}

macro_rules! kinds {
    ($($kind:ident($type:ty) = $noun:literal,)+) => {
        /// What a document is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(#[doc = concat!("`kind: ", stringify!($kind), "`.")] $kind,)+
        }

        /// A document of any kind.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Document {
            $(#[doc = concat!("`kind: ", stringify!($kind), "`.")] $kind(Box<$type>),)+
        }

        impl Kind {
            /// All of them; the first is what a document without a kind is taken for.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// As written behind `kind:`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => stringify!($kind),)+ }
            }

            /// As people say it, in the middle of a sentence.
            pub fn noun(self) -> &'static str {
                match self { $(Self::$kind => $noun,)+ }
            }

            /// Types a tree and finds all that does not fit.
            pub(super) fn read(self, tree: &Node) -> Typed<Document> {
                match self {
                    $(Self::$kind => typing::type_all::<$type>(tree).map(|it| Document::$kind(Box::new(it))),)+
                }
            }

            /// Adds the type's schema to a generator.
            pub(super) fn schema(self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                match self { $(Self::$kind => generator.subschema_for::<$type>(),)+ }
            }
        }

        impl Document {
            /// What it is.
            pub fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)+ }
            }

            /// Its name and labels.
            pub fn metadata(&self) -> &Metadata {
                match self { $(Self::$kind(it) => it.metadata(),)+ }
            }

            /// Finds everything wrong with it that can be told without a host, in no certain order.
            pub(super) fn check(&self, origin: &Origin<'_>) -> Vec<Diagnostic> {
                let mut findings = Findings::new(origin);
                match self { $(Self::$kind(it) => it.check(&mut findings),)+ }
                findings.into_diagnostics()
            }
        }

        impl Serialize for Document {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$kind(it) => it.serialize(serializer),)+ }
            }
        }
    };
}

kinds! {
    Experiment(Experiment) = "experiment",
    Schedule(Schedule) = "schedule",
    GameDay(GameDay) = "game day",
}

impl Kind {
    /// The kind of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}
