//! Whether a steady-state hypothesis holds: from samples to verdicts. Pure: no clock, no input or output.

pub mod verdict;
