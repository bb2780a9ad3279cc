//! A run: carrying out what the state machine decides, and the journal in which every event is kept.

pub mod journal;
