//! The steps of a plan: one file for each kind of thing that is done to a host, holding what is done and how it is
//! undone as data. The [`kernel`](crate::kernel) has one room for each.

mod cgroup_freeze;
mod inode_fill;
mod netem;
mod packet_classification;
mod packet_queue;
mod packet_rules;
mod packet_selection;
mod peer_range;
mod process_kill;
mod process_pause;
mod signal;
mod space_fill;

pub use cgroup_freeze::CgroupFreeze;
pub use inode_fill::{InodeFill, InodeGoal};
pub use netem::Netem;
pub use packet_classification::PacketClassification;
pub use packet_queue::{Distribution, HoldTime, PacketQueue, TcpHeld};
pub use packet_rules::{PacketRules, PartitionAction};
pub use packet_selection::{Direction, PacketOwner, PacketSelection, Protocol};
pub use peer_range::{Network, PeerRangeError, PortRange};
pub use process_kill::{KillAgain, ProcessKill};
pub use process_pause::{Beat, ProcessPause};
pub use signal::{Signal, SignalError};
pub use space_fill::{SpaceFill, SpaceGoal};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::UndoClass;

/// What every step can say of itself.
pub trait Describe {
    /// How it is undone after everything of Faultline on the host has died.
    fn undo_class(&self) -> UndoClass;
    /// What is done, in one line, with the objects named: `add table inet faultline_… in /run/netns/a`.
    fn describe(&self) -> String;
    /// What undo does, in one line.
    fn describe_undo(&self) -> String;
    /// The exact command with which a person can undo it by hand, if undo gets stuck.
    fn manual_undo(&self) -> String;
}

/// Declares the kinds of step: the enum and its dispatch. A new kind is one file here, one room in the kernel, and one
/// line below.
macro_rules! steps {
    ($($(#[$doc:meta])* $kind:ident,)+) => {
        /// One change of a host, with its undo.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum Step {
            $($(#[$doc])* $kind($kind),)+
        }

        /// Calls one expression with whichever kind of step it is.
        macro_rules! for_each_kind_of_step {
            ($step:expr, $bound:ident => $body:expr) => {
                match $step { $($crate::plan::Step::$kind($bound) => $body,)+ }
            };
        }
    };
}

steps! {
    /// Rules of our own nftables table that drop or reject packets.
    PacketRules,
    /// Packets held by the worker: the userspace queue.
    PacketQueue,
    /// Packets held by the kernel's network emulator.
    Netem,
    /// Packets sent to network emulators that hold chosen ones alone.
    PacketClassification,
    /// Processes ended by a signal.
    ProcessKill,
    /// Processes stopped, and continued later.
    ProcessPause,
    /// A cgroup frozen whole, and thawed later.
    CgroupFreeze,
    /// Space of a file system taken by an unlinked file.
    SpaceFill,
    /// Inodes of a file system taken by empty files in a scratch folder.
    InodeFill,
}
#[allow(unused_imports, reason = "the kernel dispatches by it")]
pub(crate) use for_each_kind_of_step;

impl Step {
    /// What of it may still be there after a reboot; nothing if it was of that boot alone.
    ///
    /// The numbers by which processes, cgroups and open files were known mean others by then, and somebody else's stopped
    /// process must not be continued because it happens to bear one of them. What bears a name made of the fault's id is
    /// looked for in any case.
    pub fn after_reboot(&self) -> Option<Self> {
        match self {
            Self::ProcessKill(_) | Self::ProcessPause(_) | Self::CgroupFreeze(_) => None,
            Self::SpaceFill(step) => Some(Self::SpaceFill(SpaceFill { inode: None, ..step.clone() })),
            Self::PacketRules(_)
            | Self::PacketQueue(_)
            | Self::PacketClassification(_)
            | Self::Netem(_)
            | Self::InodeFill(_) => Some(self.clone()),
        }
    }

    /// How it is undone after everything of Faultline on the host has died.
    pub fn undo_class(&self) -> UndoClass {
        for_each_kind_of_step!(self, step => step.undo_class())
    }

    /// What is done, in one line.
    pub fn describe(&self) -> String {
        for_each_kind_of_step!(self, step => step.describe())
    }

    /// What undo does, in one line.
    pub fn describe_undo(&self) -> String {
        for_each_kind_of_step!(self, step => step.describe_undo())
    }

    /// The exact command with which a person can undo it by hand.
    pub fn manual_undo(&self) -> String {
        for_each_kind_of_step!(self, step => step.manual_undo())
    }
}
