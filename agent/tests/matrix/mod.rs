//! What the crash matrix and the lane of user-mode Linux share: the faults, the moments of their lives, the worker that
//! is brought to one of them, and how the host is looked at before and after.

pub mod kill;
pub mod moment;
pub mod outside;
pub mod rows;
pub mod stage;
pub mod task;
pub mod worker;

pub use moment::{Killed, Moment};
pub use rows::Row;
