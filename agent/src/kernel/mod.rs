//! The only rooms that change a host, one for each kind of thing in the kernel.
//!
//! Each room carries out one kind of [`Step`], takes it back, and can tell whether it is there. Callers are
//! [`engine`](crate::engine) and [`recover`](crate::recover) alone. What was written is read back: a call that
//! returned success is a belief, the kernel's own listing is a fact.

mod anchor;
pub(crate) mod bpf;
mod cgroup_freeze;
pub mod control_traffic;
pub mod fake;
mod filling;
mod host;
pub mod idle_memory;
mod inode_fill;
pub mod namespace;
pub mod netem;
pub(crate) mod nftables;
mod packet_classification;
pub(crate) mod packet_queue;
mod packet_rules;
pub(crate) mod packet_table;
mod process_descriptor;
mod process_kill;
mod process_pause;
pub(crate) mod raw_netlink;
pub mod real_time;
pub mod remnants;
#[cfg(test)]
mod scratch_file_system;
mod space_fill;
pub mod user_namespace;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::plan::{Evidence, Step};

pub use host::HostKernel;

/// What went wrong in a room, with the object, the call and a way on.
#[derive(Debug, thiserror::Error)]
#[error("{object}: {call} failed: {source}")]
pub struct KernelError {
    /// The object touched: an interface, a path, a process.
    pub object: String,
    /// The system call, netlink message or file operation.
    pub call: &'static str,
    /// The reason the kernel gave.
    pub source: std::io::Error,
    /// What a person can do about it.
    pub hint: Option<String>,
    gone: bool,
}

impl KernelError {
    /// An error of one call on one object.
    pub fn new(object: impl Into<String>, call: &'static str, source: impl Into<std::io::Error>) -> Self {
        Self { object: object.into(), call, source: source.into(), hint: None, gone: false }
    }

    /// The same error, saying that the object which held everything of the step is no more: a network namespace in
    /// which nobody is left, a file system that was unmounted. Whatever the step did went with it.
    #[must_use]
    pub fn gone(mut self) -> Self {
        self.gone = true;
        self
    }

    /// Whether the object that held everything of the step is no more, so that there is nothing left to undo.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// The same error with a way on.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What is held open while a step is active; dropping it ends what hangs on it.
///
/// Faults that live in the worker (queues, owner tables, unlinked files, repeating threads) are a hold; faults that
/// live in the kernel alone (qdiscs, stopped processes) may have one only to measure themselves.
pub trait Hold: Send + fmt::Debug {
    /// What the step was measured to do so far.
    fn evidence(&self) -> Evidence;
}

/// How an undo ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reverted {
    /// It was there and is gone.
    Undone,
    /// It was not there: its step never ran, or it was undone before.
    Absent,
    /// Somebody else changed the value since; it was left as it is, and this says what was found.
    Superseded(String),
}

/// Writes an amended step to the journal, durably, before a step that chooses new victims while it is active acts on
/// them.
pub type Amend<'a> = dyn Fn(&Step) -> Result<(), std::io::Error> + Send + Sync + 'a;

/// The host, as far as steps can change it. The real one and the fake one
/// are rooms of this folder.
pub trait Kernel: Send + Sync {
    /// Carries a step out and reads back that it took.
    ///
    /// # Errors
    /// With the call that failed; whatever part of the step was done may remain, and `revert` takes it back.
    fn apply(&self, step: &Step, amend: Arc<Amend<'static>>) -> Result<Option<Box<dyn Hold>>, KernelError>;

    /// Takes a step back: idempotent, safe if it never ran, and never over somebody else's newer value.
    ///
    /// # Errors
    /// With the call that failed; the caller tries again, and after some tries calls the fault stuck.
    fn revert(&self, step: &Step) -> Result<Reverted, KernelError>;

    /// Whether anything of the step is still there.
    ///
    /// # Errors
    /// With the call that could not look.
    fn is_present(&self, step: &Step) -> Result<bool, KernelError>;

    /// What a step without a hold is measured to do, by looking at the kernel.
    ///
    /// # Errors
    /// With the call that could not look.
    fn measure(&self, step: &Step) -> Result<Evidence, KernelError>;

    /// What bears one of our names on this host, whosever it is. Nothing on a simulated one.
    fn remnants(&self) -> Vec<remnants::Remnant> {
        Vec::new()
    }

    /// Removes such a thing if it is in every detail what a step of ours makes.
    ///
    /// # Errors
    /// With the call that failed.
    fn remove(&self, remnant: &remnants::Remnant) -> Result<Reverted, KernelError> {
        Ok(Reverted::Superseded(format!("{} is not on this host", remnant.what())))
    }

    /// Waits before a revert that failed is tried again; a simulated kernel need not.
    fn pause(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

/// What a room does with its own kind of step; implemented on the step's data, in the room's file. The four calls are
/// those of [`Kernel`], under the same laws.
pub trait Room {
    /// Carries it out and reads back that it took.
    ///
    /// # Errors
    /// As [`Kernel::apply`].
    fn apply(&self, amend: Arc<Amend<'static>>) -> Result<Option<Box<dyn Hold>>, KernelError>;

    /// Takes it back: idempotent, safe if it never ran, and never over somebody else's newer value.
    ///
    /// # Errors
    /// As [`Kernel::revert`].
    fn revert(&self) -> Result<Reverted, KernelError>;

    /// Whether anything of it is still there.
    ///
    /// # Errors
    /// As [`Kernel::is_present`].
    fn is_present(&self) -> Result<bool, KernelError>;

    /// What it is measured to do, by looking at the kernel.
    ///
    /// # Errors
    /// As [`Kernel::measure`].
    fn measure(&self) -> Result<Evidence, KernelError>;
}
