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

/// Faults that no plan or no room exists for yet.
pub const UNBUILT: [&str; 3] = ["disk-fill", "network-latency", "network-partition"];

pub static ALL: &[Row] = &[PROCESS_KILL, PROCESS_KILL_AGAIN, PROCESS_PAUSE, PROCESS_PAUSE_BEAT];

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
