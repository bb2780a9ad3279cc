//! Faultline: everything that decides.
//!
//! Data flows forward. A document ([`document`], [`experiment`]) is checked and its targets chosen ([`targets`]); its services are
//! started ([`services`]) and its signals sampled ([`signals`]); an agent ([`fleet`]) injects and undoes; samples are
//! judged ([`hypothesis`]); the pure state machine in [`experiment::machine`] says what happens next and [`run`]
//! carries it out, writing every event to the run's journal ([`run::journal`]); reports ([`report`]) are made from
//! that journal alone. Only [`cli`] prints.

pub mod access;
pub mod audit;
pub mod authority;
pub mod cli;
pub mod console;
pub mod controller;
pub mod dispatch;
pub mod document;
pub mod experiment;
pub mod fleet;
pub mod game_day;
pub mod gate;
pub mod hypothesis;
pub mod limit;
pub mod notify;
pub mod report;
pub mod run;
pub mod sample;
pub mod schedule;
pub mod score;
pub mod serve;
pub mod services;
pub mod signals;
pub mod slo;
pub mod store;
pub mod targets;
