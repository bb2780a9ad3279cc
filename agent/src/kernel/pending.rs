//! Kinds of step whose room does not exist yet: no plan produces them, and every call says so. Whoever builds a room
//! removes its line here; the file goes with the last line.

use std::io::{Error, ErrorKind};
use std::sync::Arc;

use super::{Amend, Hold, KernelError, Reverted, Room};
use crate::plan::step::Describe;
use crate::plan::{Evidence, step};

macro_rules! pending {
    ($($kind:ident,)+) => {$(
        impl Room for step::$kind {
            fn apply(&self, _: Arc<Amend<'static>>) -> Result<Option<Box<dyn Hold>>, KernelError> {
                Err(not_built(self))
            }
            fn revert(&self) -> Result<Reverted, KernelError> {
                Err(not_built(self))
            }
            fn is_present(&self) -> Result<bool, KernelError> {
                Err(not_built(self))
            }
            fn measure(&self) -> Result<Evidence, KernelError> {
                Err(not_built(self))
            }
        }
    )+};
}

fn not_built(step: &impl Describe) -> KernelError {
    KernelError::new(step.describe(), "room", Error::new(ErrorKind::Unsupported, "not built"))
}

pending! {
    Netem,
}
