use std::sync::Arc;

use super::remnants::{self, Remnant};
use super::{Amend, Hold, Kernel, KernelError, Reverted, Room};
use crate::plan::step::for_each_kind_of_step;
use crate::plan::{Evidence, Step};

/// The host on which this process runs: every step goes to the room of its kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostKernel;

impl Kernel for HostKernel {
    fn apply(&self, step: &Step, amend: Arc<Amend<'static>>) -> Result<Option<Box<dyn Hold>>, KernelError> {
        for_each_kind_of_step!(step, step => Room::apply(step, amend))
    }

    fn revert(&self, step: &Step) -> Result<Reverted, KernelError> {
        for_each_kind_of_step!(step, step => Room::revert(step))
    }

    fn is_present(&self, step: &Step) -> Result<bool, KernelError> {
        for_each_kind_of_step!(step, step => Room::is_present(step))
    }

    fn measure(&self, step: &Step) -> Result<Evidence, KernelError> {
        for_each_kind_of_step!(step, step => Room::measure(step))
    }

    fn remnants(&self) -> Vec<Remnant> {
        remnants::find()
    }

    fn remove(&self, remnant: &Remnant) -> Result<Reverted, KernelError> {
        remnants::remove(remnant)
    }
}
