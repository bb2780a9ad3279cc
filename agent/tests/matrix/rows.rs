//! What the matrix injects: at least one row a fault, one for each way in which it acts.

use faultline_agent::facts::{Feature, cgroup_mount, kernel_features};
use faultline_agent::fault::AnyFault;
use faultline_agent::identity::NetworkNamespace;

/// One fault with its parameters.
#[derive(Debug)]
pub struct Row {
    /// The name of the case.
    pub name: &'static str,
    /// The fault in JSON; `DISK` stands for the mount point of the case's disk.
    pub fault: &'static str,
    /// At what it is aimed.
    pub target: Target,
    /// What not every kernel has.
    pub wants: Wants,
    /// How many steps its plan has.
    pub steps: usize,
    /// Whether something of it is still there after a reboot.
    pub outlives_reboot: bool,
}

/// At what a fault is aimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The case's namespace or disk.
    Host,
    /// The case's victims.
    Victims,
    /// The case's cgroup, in which its victims are.
    Cgroup,
}

/// What a fault needs of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// Nothing special.
    Nothing,
    /// nftables with owner tables of the family `inet`.
    Tables,
    /// Such tables that hand packets over to a queue.
    Queue,
    /// The network emulator.
    Netem,
    /// The freezer of cgroup v2.
    Freezer,
}

pub const PROCESS_KILL: Row = Row {
    name: "process-kill",
    fault: r#"{ "process-kill": { "signal": "SIGKILL" } }"#,
    target: Target::Victims,
    wants: Wants::Nothing,
    steps: 1,
    outlives_reboot: false,
};
pub const PROCESS_KILL_AGAIN: Row = Row {
    name: "process-kill, again and again",
    fault: r#"{ "process-kill": { "signal": "SIGTERM", "grace": "50ms", "every": "1s" } }"#,
    target: Target::Victims,
    wants: Wants::Nothing,
    steps: 1,
    outlives_reboot: false,
};
pub const PROCESS_PAUSE: Row = Row {
    name: "process-pause",
    fault: r#"{ "process-pause": { "by": "signal" } }"#,
    target: Target::Victims,
    wants: Wants::Nothing,
    steps: 1,
    outlives_reboot: false,
};
pub const PROCESS_PAUSE_BEAT: Row = Row {
    name: "process-pause, in beats",
    fault: r#"{ "process-pause": { "descendants": true, "pause": "20ms", "every": "50ms" } }"#,
    target: Target::Victims,
    wants: Wants::Nothing,
    steps: 1,
    outlives_reboot: false,
};

pub const PROCESS_PAUSE_FREEZER: Row = Row {
    name: "process-pause, by the freezer",
    fault: r#"{ "process-pause": { "by": "freezer" } }"#,
    target: Target::Cgroup,
    wants: Wants::Freezer,
    steps: 1,
    outlives_reboot: false,
};

pub const NETWORK_LATENCY: Row = Row {
    name: "network-latency by the queue, of everybody",
    fault: r#"{ "network-latency": { "delay": "20ms", "jitter": "5ms", "direction": "both", "engine": "queue" } }"#,
    target: Target::Host,
    wants: Wants::Queue,
    steps: 1,
    outlives_reboot: false,
};
pub const NETWORK_LATENCY_PROCESSES: Row = Row {
    name: "network-latency by the queue, of processes",
    fault: r#"{ "network-latency": { "delay": "20ms", "engine": "queue", "peers": { "ports": [5432] } } }"#,
    target: Target::Victims,
    wants: Wants::Queue,
    steps: 1,
    outlives_reboot: false,
};
pub const NETWORK_LATENCY_NETEM: Row = Row {
    name: "network-latency by netem",
    fault: r#"{ "network-latency": { "delay": "20ms", "jitter": "5ms", "engine": "netem", "interface": "near" } }"#,
    target: Target::Host,
    wants: Wants::Netem,
    steps: 1,
    outlives_reboot: false,
};
pub const NETWORK_PARTITION: Row = Row {
    name: "network-partition, of everybody",
    fault: r#"{ "network-partition": { "action": "drop", "direction": "both" } }"#,
    target: Target::Host,
    wants: Wants::Tables,
    steps: 1,
    outlives_reboot: false,
};
pub const NETWORK_PARTITION_PEERS: Row = Row {
    name: "network-partition, reject, from peers",
    fault: r#"{ "network-partition": { "action": "reject", "peers": { "cidrs": ["192.0.2.0/24", "2001:db8::/64"] } } }"#,
    target: Target::Victims,
    wants: Wants::Tables,
    steps: 1,
    outlives_reboot: false,
};

pub const DISK_FILL: Row = Row {
    name: "disk-fill, space",
    fault: r#"{ "disk-fill": { "path": "DISK", "toPercent": "90%" } }"#,
    target: Target::Host,
    wants: Wants::Nothing,
    steps: 1,
    outlives_reboot: false,
};
pub const DISK_FILL_INODES: Row = Row {
    name: "disk-fill, space and inodes",
    fault: r#"{ "disk-fill": { "path": "DISK", "bytes": "4MiB", "inodes": { "count": 1500 } } }"#,
    target: Target::Host,
    wants: Wants::Nothing,
    steps: 2,
    outlives_reboot: true,
};

pub static ALL: &[Row] = &[
    NETWORK_LATENCY,
    NETWORK_LATENCY_PROCESSES,
    NETWORK_LATENCY_NETEM,
    NETWORK_PARTITION,
    NETWORK_PARTITION_PEERS,
    DISK_FILL,
    DISK_FILL_INODES,
    PROCESS_KILL,
    PROCESS_KILL_AGAIN,
    PROCESS_PAUSE,
    PROCESS_PAUSE_BEAT,
    PROCESS_PAUSE_FREEZER,
];

impl Row {
    pub fn fault_name(&self) -> &'static str {
        let fault: AnyFault = serde_json::from_str(self.fault).unwrap();
        fault.name()
    }

    /// Whether it acts on a network.
    pub fn is_of_network(&self) -> bool {
        matches!(self.wants, Wants::Tables | Wants::Queue | Wants::Netem)
    }

    /// Whether it acts on a disk.
    pub fn is_of_disk(&self) -> bool {
        self.fault.contains("DISK")
    }

    /// What the running kernel lacks for it.
    pub fn missing(&self) -> Option<String> {
        let features = || kernel_features::probe(&NetworkNamespace::Own);
        let feature = match self.wants {
            Wants::Nothing => return None,
            Wants::Freezer => {
                return cgroup_mount().is_none().then(|| "no cgroup v2 hierarchy is mounted".into());
            }
            Wants::Tables => features().owner_tables,
            Wants::Queue => features().packet_queue,
            Wants::Netem => features().netem,
        };
        match feature {
            Feature::Present => None,
            Feature::Missing(why) => Some(why),
        }
    }
}
