//! Controller and agents, both ends of the wire, over hosts that are played.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod both_ends;
mod certificates;
mod cuts;
mod halting;
mod hostile;
mod network;
mod played_host;
mod real_agent;
mod service;
mod several;
mod simulation;
