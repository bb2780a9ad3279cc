//! What the matrix injects: at least one row a fault, one for each way in which it acts.

use faultline_agent::fault::AnyFault;

use super::stage::Moment;

/// One fault with its parameters.
#[derive(Debug)]
pub struct Row {
    /// The name of the case.
    pub name: &'static str,
    /// The fault in JSON; `DISK` stands for the mount point of the case's tmpfs.
    pub fault: &'static str,
    /// Whether its target is the victims, rather than the host.
    pub on_victims: bool,
    /// How many steps its plan has.
    pub steps: usize,
}

pub const PROCESS_KILL: Row =
    Row { name: "process-kill", fault: r#"{ "process-kill": { "signal": "SIGKILL" } }"#, on_victims: true, steps: 1 };
pub const PROCESS_KILL_AGAIN: Row = Row {
    name: "process-kill, again and again",
    fault: r#"{ "process-kill": { "signal": "SIGTERM", "grace": "50ms", "every": "1s" } }"#,
    on_victims: true,
    steps: 1,
};
pub const PROCESS_PAUSE: Row =
    Row { name: "process-pause", fault: r#"{ "process-pause": { "by": "signal" } }"#, on_victims: true, steps: 1 };
pub const PROCESS_PAUSE_BEAT: Row = Row {
    name: "process-pause, in beats",
    fault: r#"{ "process-pause": { "descendants": true, "pause": "20ms", "every": "50ms" } }"#,
    on_victims: true,
    steps: 1,
};

pub const NETWORK_LATENCY: Row = Row {
    name: "network-latency by the queue, of everybody",
    fault: r#"{ "network-latency": { "delay": "20ms", "jitter": "5ms", "direction": "both", "engine": "queue" } }"#,
    on_victims: false,
    steps: 1,
};
pub const NETWORK_LATENCY_PROCESSES: Row = Row {
    name: "network-latency by the queue, of processes",
    fault: r#"{ "network-latency": { "delay": "20ms", "engine": "queue", "peers": { "ports": [5432] } } }"#,
    on_victims: true,
    steps: 1,
};
pub const NETWORK_PARTITION: Row = Row {
    name: "network-partition, of everybody",
    fault: r#"{ "network-partition": { "action": "drop", "direction": "both" } }"#,
    on_victims: false,
    steps: 1,
};
pub const NETWORK_PARTITION_PEERS: Row = Row {
    name: "network-partition, reject, from peers",
    fault: r#"{ "network-partition": { "action": "reject", "peers": { "cidrs": ["192.0.2.0/24", "2001:db8::/64"] } } }"#,
    on_victims: true,
    steps: 1,
};

pub const DISK_FILL: Row = Row {
    name: "disk-fill, space",
    fault: r#"{ "disk-fill": { "path": "DISK", "toPercent": "90%" } }"#,
    on_victims: false,
    steps: 1,
};
pub const DISK_FILL_INODES: Row = Row {
    name: "disk-fill, space and inodes",
    fault: r#"{ "disk-fill": { "path": "DISK", "bytes": "4MiB", "inodes": { "count": 1500 } } }"#,
    on_victims: false,
    steps: 2,
};

pub static ALL: &[Row] = &[
    NETWORK_LATENCY,
    NETWORK_LATENCY_PROCESSES,
    NETWORK_PARTITION,
    NETWORK_PARTITION_PEERS,
    DISK_FILL,
    DISK_FILL_INODES,
    PROCESS_KILL,
    PROCESS_KILL_AGAIN,
    PROCESS_PAUSE,
    PROCESS_PAUSE_BEAT,
];

impl Row {
    pub fn fault_name(&self) -> &'static str {
        let fault: AnyFault = serde_json::from_str(self.fault).unwrap();
        fault.name()
    }

    /// Each point of the life of this fault.
    pub fn moments(&self) -> Vec<Moment> {
        let point = |name: String| Moment::CrashPoint(name);
        let mut moments =
            vec![point("torn-record".into()), point("before-rename".into()), point("after-record".into())];
        moments.extend((0..self.steps).map(|step| point(format!("after-step-{step}"))));
        moments.push(point("active".into()));
        moments.push(Moment::Active);
        for step in (0..self.steps).rev() {
            moments.push(point(format!("before-undo-{step}")));
            moments.push(point(format!("after-undo-{step}")));
        }
        moments.push(point("before-forget".into()));
        moments
    }
}
