//! The document: its types, reading it with errors that point at the place, checking it, and the pure state machine of
//! a run.

pub mod document;
pub mod machine;
pub mod schema;
