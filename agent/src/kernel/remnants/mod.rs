//! What on this host bears one of our names, whosever it is: found without any record, and removed through the undo of
//! the step that would have made it.
//!
//! Whether a living run has it is not for this room to say; [`recover`](crate::recover) asks for that first. But nothing is
//! removed that is not in every detail what a step of ours makes.

mod network;
mod scratch;

use std::path::PathBuf;

use super::{KernelError, Reverted, Room};
use crate::identity::FaultId;
use crate::plan::step;

/// One thing with a name of ours.
#[derive(Debug, Clone, PartialEq)]
pub enum Remnant {
    /// An nftables table in this process's network namespace.
    Table(FaultId),
    /// A netem on an interface in this process's network namespace, or the frame in which one hung, under the handle of
    /// that: the step that would have made it.
    Netem(Box<step::Netem>),
    /// A scratch folder or file in a folder.
    Scratch {
        /// The folder.
        folder: PathBuf,
        /// The fault whose name it has.
        fault: FaultId,
    },
}

impl Remnant {
    /// What it is, and where.
    pub fn what(&self) -> String {
        match self {
            Self::Table(fault) => format!("nftables table inet {}", fault.table_name()),
            Self::Netem(netem) => format!("netem {:x}: on {}", netem.handle, netem.interface),
            Self::Scratch { folder, fault } => format!("scratch {}", folder.join(fault.scratch_name()).display()),
        }
    }

    /// The command with which a person can remove it.
    pub fn command(&self) -> String {
        match self {
            Self::Table(fault) => format!("nft delete table inet {}", fault.table_name()),
            Self::Netem(netem) => format!("tc qdisc del dev {} root", netem.interface),
            Self::Scratch { folder, fault } => {
                // In quotes, in which a quote is written by leaving them for it.
                let path = folder.join(fault.scratch_name()).display().to_string();
                format!("rm -rf '{}'", path.replace('\'', r"'\''"))
            }
        }
    }
}

/// Everything with a name of ours in this process's network namespace, at the top of every mount of a local file system,
/// and in the folder for temporary files. What cannot be listed holds nothing that could be removed either.
pub(super) fn find() -> Vec<Remnant> {
    let mut found: Vec<Remnant> = network::tables().unwrap_or_default().into_iter().map(Remnant::Table).collect();
    found.extend(network::netems().unwrap_or_default().into_iter().map(|netem| Remnant::Netem(Box::new(netem))));
    found.extend(scratch::find());
    found
}

/// Removes it. [`Reverted::Superseded`] says why it was left as it is: it is not, or not only, what a step of ours makes,
/// or a living process holds it.
pub(super) fn remove(remnant: &Remnant) -> Result<Reverted, KernelError> {
    match remnant {
        // The kernel removes it with its owner, and lets nobody else do so before.
        Remnant::Table(_) => Ok(Reverted::Superseded(
            "such a table goes with the process that made it: it is alive where it cannot be seen from here, or somebody \
             else made the table"
                .into(),
        )),
        Remnant::Netem(netem) => netem.revert(),
        Remnant::Scratch { folder, fault } => scratch::remove(folder, fault),
    }
}
