use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Describe, PacketSelection};
use crate::plan::UndoClass;
use crate::units::{Percent, TimeSpan};

/// How the jitter around a delay is spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// A normal distribution: the jitter is its standard deviation.
    #[default]
    Normal,
    /// Evenly between delay - jitter and delay + jitter.
    Uniform,
    /// A Pareto distribution, with its long tail of late packets: the jitter is its scale.
    Pareto,
}

/// How long packets are held.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HoldTime {
    /// The time for which each packet is held.
    pub delay: TimeSpan,
    /// How much that varies.
    #[serde(default)]
    pub jitter: TimeSpan,
    /// How the variation is spread.
    #[serde(default)]
    pub distribution: Distribution,
    /// How much the variation of a packet depends on that of the one before.
    #[serde(default)]
    pub correlation: Percent,
    /// The seed of the variation.
    pub seed: u64,
}

/// Where the packets of TCP connections are held if only those are meant that leave.
///
/// A packet that is held on its way out counts against what its socket may have on the way: with TCP small queues
/// (`tcp_small_queue_check` in `net/ipv4/tcp_output.c`) a connection then sends about two packets in each delay,
/// however large its window. What arrives counts against nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "kebab-case")]
pub enum TcpHeld {
    /// Those that leave, on their way out.
    #[default]
    AsItLeaves,
    /// Those that come back, on their way in: a round trip takes as long, and as much can be on the way as on a real
    /// path.
    AsItArrives,
}

/// An nftables owner table whose rules hand the selected packets to the worker, which holds each for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PacketQueue {
    /// The name of the table.
    pub table: String,
    /// The number of the queue.
    pub queue: u16,
    /// The packets meant.
    pub selection: PacketSelection,
    /// Where TCP is held.
    #[serde(default)]
    pub tcp: TcpHeld,
    /// How long they are held.
    pub hold: HoldTime,
}

impl Describe for PacketQueue {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Kernel
    }

    fn describe(&self) -> String {
        let HoldTime { delay, jitter, .. } = self.hold;
        let time = if jitter.is_zero() { format!("{delay}") } else { format!("{delay} (jitter {jitter})") };
        let Self { table, queue, selection, .. } = self;
        let answers = match self.tcp {
            TcpHeld::AsItLeaves => "",
            TcpHeld::AsItArrives => "; of TCP beyond loopback, what comes back",
        };
        format!("add table inet {table} and hold for {time} in queue {queue}: {selection}{answers}")
    }

    fn describe_undo(&self) -> String {
        format!("let go of what queue {} holds and remove table inet {}", self.queue, self.table)
    }

    fn manual_undo(&self) -> String {
        super::packet_rules::remove_by_hand(&self.table, &self.selection.namespace)
    }
}
