//! Everything of Faultline that touches a host.
//!
//! Data flows forward: a [`fault`] turns its parameters and the [`facts`] of a host into a [`plan`]; the [`engine`]
//! writes the plan to the [`journal`] and only then lets the [`kernel`] rooms carry its steps out. The [`guard`], a
//! process of its own, undoes from the journal what this process no longer can.
//!
//! Invariants:
//! - a fault knows `plan` and `facts` only, and changes nothing;
//! - `engine` and `recover` alone call `kernel`; nothing else changes a host;
//! - undo needs the journal record and nothing else.

pub mod crash;
pub mod credentials;
pub mod engine;
pub mod facts;
pub mod fault;
pub mod fingerprint;
pub mod guard;
pub mod halt;
pub mod identity;
pub mod journal;
pub mod kernel;
pub mod lease;
pub mod node;
pub mod plan;
pub mod policy;
pub mod recover;
pub mod session;
pub mod signals;
pub mod state;
pub mod suggest;
pub mod target;
pub mod units;
