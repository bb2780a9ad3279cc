//! The guard: a small process of its own that undoes what its worker no longer can.
//!
//! It is the same program started again ([`enter_if_asked`]), in a session of its own, with one thread and no runtime.
//! It sleeps until one of three things happens: a word on its pipe, the death of the worker, or the moment at which
//! the first fault must be gone. Then it undoes from the journal, and nothing else.

mod living;
mod order;
mod spawn;
mod watch;

pub use living::{FolderInUse, FolderKey, LivingGuard, living, unseen};
pub(crate) use living::{key_of, root_of};
pub use order::{Order, enter_if_asked};
pub(crate) use spawn::GuardHandle;
pub use spawn::{GuardCommand, GuardError};
#[cfg(test)]
pub(crate) use watch::undo_kept_by;
pub use watch::{Ending, GuardReport, guard};

/// A word of the worker that means: the journal changed, read it again. Any other byte means: I am alive.
pub(crate) const RESCAN: u8 = b'r';
/// A word of the worker that means: I am alive.
pub(crate) const ALIVE: u8 = b'h';
/// What the guard answers once, when it watches.
pub(crate) const READY: u8 = b'+';
