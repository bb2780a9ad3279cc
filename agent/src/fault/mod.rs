//! The catalogue: one file a fault, holding its parameters, its plan and its tests, and one line below.
//!
//! A fault only plans. It reads [`Facts`], and returns a [`Plan`]; it never touches the host. The help of the command
//! line, the JSON Schema, the documentation and the crash matrix all read [`CATALOGUE`].

mod disk_fill;
mod network_latency;
mod network_partition;
mod packet_scope;
#[cfg(test)]
mod packet_tests;
mod peers;
mod process_kill;
mod process_pause;
mod process_scope;

pub use disk_fill::{DiskFill, Inodes};
pub use network_latency::{LatencyEngine, NetworkLatency};
pub use network_partition::NetworkPartition;
pub use peers::Peers;
pub use process_kill::ProcessKill;
pub use process_pause::{PauseBy, ProcessPause};

use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::facts::{Facts, FactsError, Need, ProcessFacts, Selection};
use crate::identity::{FaultId, NetworkNamespace};
use crate::plan::{Plan, UndoClass};

/// Where a fault acts on this host, as the experiment's target resolved.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scope {
    /// The network namespace meant.
    pub namespace: NetworkNamespace,
    /// The cgroup meant (v2, path below its mount), if the target is one.
    pub cgroup: Option<PathBuf>,
    /// The processes chosen, if the target is processes; `None` for the whole host or namespace.
    pub processes: Option<Vec<ProcessFacts>>,
    /// How those processes were chosen, so that a fault that repeats itself can choose again; `None` where they were
    /// not chosen by what they are.
    pub selection: Option<Selection>,
}

/// What a fault has to plan with.
#[derive(Clone, Copy)]
pub struct PlanContext<'a> {
    /// The id under which it will be journaled.
    pub id: &'a FaultId,
    /// Where it acts.
    pub scope: &'a Scope,
    /// The host.
    pub facts: &'a dyn Facts,
    /// The recorded seed from which all its chance comes.
    pub seed: u64,
    /// How long it will last.
    pub lasts: crate::units::TimeSpan,
}

impl PlanError {
    /// The way on; empty where there is none to tell.
    pub fn hint(&self) -> &str {
        match self {
            Self::Parameter { hint, .. }
            | Self::NoTarget { hint, .. }
            | Self::Unsupported { hint, .. }
            | Self::Refused { hint, .. } => hint,
            Self::Facts(_) => "",
        }
    }

    pub(crate) fn parameter(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Parameter { message: message.into(), hint: hint.into() }
    }

    pub(crate) fn no_target(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::NoTarget { message: message.into(), hint: hint.into() }
    }

    pub(crate) fn unsupported(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unsupported { message: message.into(), hint: hint.into() }
    }

    pub(crate) fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { message: message.into(), hint: hint.into() }
    }
}

impl std::fmt::Debug for PlanContext<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PlanContext").field("id", self.id).field("scope", self.scope).finish_non_exhaustive()
    }
}

/// Why a fault cannot be planned on this host.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A parameter is wrong for this fault, whatever the host.
    #[error("{message}")]
    Parameter {
        /// What is wrong.
        message: String,
        /// The way on.
        hint: String,
    },
    /// The target has nothing on which the fault could act.
    #[error("{message}")]
    NoTarget {
        /// What was looked for.
        message: String,
        /// The way on.
        hint: String,
    },
    /// The host or its kernel cannot do it.
    #[error("{message}")]
    Unsupported {
        /// What is missing.
        message: String,
        /// The way on.
        hint: String,
    },
    /// It would endanger the host or Faultline itself.
    #[error("{message}")]
    Refused {
        /// What would happen.
        message: String,
        /// The way on.
        hint: String,
    },
    /// The host could not be read.
    #[error(transparent)]
    Facts(#[from] FactsError),
}

/// One fault: its parameters are the type's own fields.
pub trait Fault: Serialize + for<'de> Deserialize<'de> + JsonSchema {
    /// Its name in documents.
    const NAME: &'static str;
    /// What it does, in one line.
    const SUMMARY: &'static str;
    /// What a reader should know: mechanism, limits, what is exempt. Markdown.
    const DETAILS: &'static str;
    /// The worst way in which it may have to be undone.
    const UNDO: UndoClass;
    /// What the kernel or host must offer.
    const NEEDS: &'static [Need];
    /// A complete example, as YAML below `fault:`.
    const EXAMPLE: &'static str;

    /// Checks what can be checked without a host.
    ///
    /// # Errors
    /// [`PlanError::Parameter`] for parameters that exclude each other or make no sense together.
    fn check(&self) -> Result<(), PlanError>;

    /// What it will do to a host, step by step.
    ///
    /// # Errors
    /// If the parameters, the target, the host or the rules of safety forbid it.
    fn plan(&self, context: PlanContext<'_>) -> Result<Plan, PlanError>;
}

/// A fault as the catalogue lists it.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its name in documents.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// What a reader should know, in Markdown.
    pub details: &'static str,
    /// The worst way in which it may have to be undone.
    pub undo: UndoClass,
    /// What the kernel or host must offer.
    pub needs: &'static [Need],
    /// A complete example, as YAML below `fault:`.
    pub example: &'static str,
    /// The JSON Schema of its parameters.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

/// Declares the faults: the document's enum, the dispatch and the list that everything else is made from.
macro_rules! catalogue {
    ($($kind:ident = $name:literal,)+) => {
        /// A fault with its parameters, externally tagged: `network-latency: { delay: 100ms }`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub enum AnyFault {
            $(
                #[allow(missing_docs, reason = "each fault documents itself")]
                #[serde(rename = $name)]
                $kind($kind),
            )+
        }

        /// Every fault there is, in the order in which people look for them.
        pub static CATALOGUE: &[Entry] = &[$(
            Entry {
                name: <$kind as Fault>::NAME,
                summary: <$kind as Fault>::SUMMARY,
                details: <$kind as Fault>::DETAILS,
                undo: <$kind as Fault>::UNDO,
                needs: <$kind as Fault>::NEEDS,
                example: <$kind as Fault>::EXAMPLE,
                schema: <$kind as JsonSchema>::json_schema,
            },
        )+];

        impl AnyFault {
            /// Its name in the catalogue.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$kind(_) => <$kind as Fault>::NAME,)+ }
            }

            /// Whether it acts on packets, and so within a network namespace rather than on the whole host.
            pub fn acts_on_packets(&self) -> bool {
                matches!(self, Self::NetworkLatency(_) | Self::NetworkPartition(_))
            }

            /// See [`Fault::check`].
            ///
            /// # Errors
            /// As there.
            pub fn check(&self) -> Result<(), PlanError> {
                match self { $(Self::$kind(fault) => fault.check(),)+ }
            }

            /// See [`Fault::plan`].
            ///
            /// # Errors
            /// As there.
            pub fn plan(&self, context: PlanContext<'_>) -> Result<Plan, PlanError> {
                match self { $(Self::$kind(fault) => fault.plan(context),)+ }
            }
        }

        #[cfg(test)]
        #[test]
        fn the_name_in_the_document_is_the_name_in_the_catalogue() {
            $(assert_eq!($name, <$kind as Fault>::NAME);)+
        }
    };
}

catalogue! {
    NetworkLatency = "network-latency",
    NetworkPartition = "network-partition",
    ProcessKill = "process-kill",
    ProcessPause = "process-pause",
    DiskFill = "disk-fill",
}
