//! Which hosts a run acts on: chosen by the seed among those that match, are well and can be had, below every ceiling.
//!
//! Pure: the fleet, what other runs hold, and the controller's own ceilings come in as data. Every host that is not
//! chosen is in the answer too, with the reason.
//!
//! - The order in which the fleet is listed changes nothing, nor does a host that cannot be had.
//! - A host that joins or leaves changes the choice of a number of hosts by that host at most, as long as no ceiling is
//!   in the way: hosts are ranked one by one (rendezvous hashing), not drawn from a list. A plan that is made now and
//!   carried out after its approval therefore still names nearly the same hosts.
//! - Shares in a `pick` are of the hosts that can be had, rounded up. Shares in a ceiling are rounded down.

mod ceilings;
mod choose;
mod error;
mod facts;
mod host_event;
mod left_out;
mod mid_fault;
mod rank;

pub use ceilings::{CeilingScope, CeilingUse};
pub use choose::{ChosenHosts, HeldHosts, HostChoice, HostQuestion, choose};
pub(super) use choose::{ledger, unavailable, used_targets};
pub use error::HostChoiceError;
pub use facts::{DISCOVERED, HostFacts, HostHealth, LabelsError, PROTECTED, host_labels};
pub use host_event::{HostEvent, HostLife};
pub use left_out::{LeftOut, LeftOutReason};
pub use mid_fault::{Course, Decision, HostsInFault, Owed};

#[cfg(test)]
mod tests;
