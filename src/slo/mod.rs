//! Service level objectives as others write them, their error budgets, and what chaos spent of these.
//!
//! One file a dialect: [OpenSLO v1](openslo), [Sloth's specification](sloth), the Prometheus rules that
//! [Sloth](sloth_rules) and [Pyrra](pyrra_rules) generate, [Pyrra's objects](pyrra). Each becomes an
//! [`SloDefinition`]: service, target, window, and two queries of raw counters. What a dialect can say and this cannot
//! judge is refused with its place, never left out: time slices, thresholds on gauges, composites, sources other than
//! Prometheus.

mod at;
pub mod budget;
mod counters;
mod duration;
pub mod ledger;
mod openslo;
mod promql;
mod pyrra;
mod pyrra_rules;
mod read;
pub(crate) mod resolve;
mod rules;
mod sloth;
mod sloth_rules;
pub mod spent;

pub use counters::{Counter, Ratio};
pub use promql::QueryError;

use crate::experiment::document::SloDefinition;
