//! The experiment: its document's types, checking it, and the pure state machine of a run.

pub(crate) mod check;
pub mod document;
pub mod machine;
