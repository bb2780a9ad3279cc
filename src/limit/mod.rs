//! The breaking point: the largest dose of a fault at which an experiment's hypothesis holds, found with few runs.
//!
//! [`search`] is the search itself: pure, it says by the answers so far which dose is run next, or between which doses the
//! limit lies. [`dose`] reads doses, [`place`] finds the parameter in the document, [`scale`] lays the doses out, [`kept`] keeps
//! limits for comparison, [`asked`] compares with what was asked and [`result`] says what came of it. Only [`drive`] carries out runs.

pub mod asked;
pub mod dose;
pub mod drive;
pub mod kept;
pub mod place;
pub mod result;
pub mod scale;
pub mod search;

pub use dose::{Dose, DoseRange, DoseUnit};
pub use result::LimitResult;
pub use search::{Answer, Search};
