//! The document: its types, reading it with errors that point at the place, checking it, and the pure state machine of
//! a run.

pub mod check;
pub mod diagnostic;
pub mod document;
pub mod load;
pub mod machine;
pub mod schema;
pub mod set;
pub mod suggest;
pub mod typing;
pub mod yaml;
