//! Documents of every kind: reading them with errors that point at the place, `--set`, and the JSON Schema.
//!
//! What the kinds have in common is here; what is peculiar to one is in the room of that kind ([`crate::experiment`],
//! [`crate::schedule`]). The kinds themselves are listed once, in `kinds.rs`.

pub mod diagnostic;
pub mod findings;
mod kinds;
pub mod load;
mod metadata;
pub mod schema;
pub mod set;
pub use faultline_agent::suggest;
pub mod typing;
pub mod yaml;

pub use kinds::{Document, DocumentKind, Kind};
pub use metadata::{ApiVersion, Metadata};
