//! Game days: people meet, agree, inject what was planned, and look whether alerts fire and who notices.
//!
//! A document ([`document`]) says what is planned. The state machine ([`machine`]) decides from events alone what comes
//! next; the driver of one host ([`drive`]) obeys it, and so does a controller. Every event is a line of the game day's
//! journal, and the run sheet ([`sheet`]) and the postmortem are made from that alone.

pub mod alerts;
pub(crate) mod check;
pub mod document;
pub mod drive;
pub mod hash;
pub mod journal;
pub mod machine;
pub mod progress;
pub mod resolve;
pub mod sheet;
pub mod spoken;

#[cfg(test)]
pub(crate) mod fixture;
