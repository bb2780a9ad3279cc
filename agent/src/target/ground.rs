use std::collections::BTreeMap;

use crate::identity::{NetworkNamespace, ProcessIdentity};

/// What a run brought to this host itself, and in which network it acts. Of a run that is driven from elsewhere there is
/// nothing: it acts on the host as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ground {
    /// The run's id, by which restarted processes of its services are known again.
    pub run: String,
    /// The network namespace of the run: its private one, or the host's own.
    pub namespace: NetworkNamespace,
    /// The processes of the services that the run started, main process first.
    pub services: BTreeMap<String, Vec<ProcessIdentity>>,
}

/// The variable, as `NAME=value`, that every process of a service of a run finds in its environment.
pub fn service_mark(run: &str, service: &str) -> String {
    format!("FAULTLINE_SERVICE={run}/{service}")
}
