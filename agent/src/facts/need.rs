use serde::Serialize;

use super::{Feature, KernelFeatures};

/// What a fault needs of the kernel or the host; the catalogue names it, `doctor` tells whether it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// nftables with tables that vanish with the process that made them.
    OwnerTables,
    /// A way to hold packets back: the netem queueing discipline, or owner tables that hand packets to a queue.
    PacketDelay,
    /// File descriptors of processes, so that a signal never meets a successor with the same number.
    ProcessDescriptors,
}

impl Need {
    /// What it is, for people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::OwnerTables => "nftables with owner tables (Linux 5.12)",
            Self::PacketDelay => "the netem queueing discipline, or a packet queue with owner tables",
            Self::ProcessDescriptors => "process descriptors (Linux 5.3)",
        }
    }

    /// Whether this host has it and by which mechanism, else why not.
    ///
    /// # Errors
    /// The reason in words, with what would help.
    pub fn met_by(self, features: &KernelFeatures) -> Result<&'static str, String> {
        let reason = |feature: &Feature| match feature {
            Feature::Present => None,
            Feature::Missing(reason) => Some(reason.clone()),
        };
        match self {
            Self::OwnerTables => reason(&features.owner_tables).map_or(Ok("owner tables of nftables"), Err),
            Self::PacketDelay => {
                let tables = reason(&features.owner_tables);
                let chooses = tables.is_none();
                match (reason(&features.netem), tables.or_else(|| reason(&features.packet_queue))) {
                    (None, None) => Ok("netem for what leaves, the userspace queue for what arrives and for jitter"),
                    (Some(_), None) => Ok("the userspace queue (no netem here)"),
                    (None, Some(_)) if chooses => Ok("netem, outgoing packets only (no packet queue here)"),
                    (None, Some(_)) => Ok("netem, whole interfaces and outgoing packets only (no owner tables here)"),
                    (Some(netem), Some(queue)) if netem == queue => Err(netem),
                    (Some(netem), Some(queue)) => Err(format!("{queue}; and {netem}")),
                }
            }
            Self::ProcessDescriptors => {
                match rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty()) {
                    Ok(_) => Ok("process descriptors"),
                    Err(error) => Err(format!(
                        "this kernel gives no descriptors of processes ({error}): Linux 5.3 or later, or a container \
                     runtime whose seccomp filter allows pidfd_open"
                    )),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_held_by_whichever_engine_there_is_else_both_reasons_are_told() {
        let missing = || Feature::Missing("no queue".into());
        let mut features = KernelFeatures {
            release: "6.18".into(),
            owner_tables: Feature::Present,
            packet_queue: Feature::Present,
            netem: Feature::Missing("no netem".into()),
            cgroup_match: Feature::Present,
        };
        assert_eq!(Need::PacketDelay.met_by(&features), Ok("the userspace queue (no netem here)"));
        features.packet_queue = missing();
        assert_eq!(Need::PacketDelay.met_by(&features), Err("no queue; and no netem".into()));
        features.netem = Feature::Present;
        assert_eq!(Need::PacketDelay.met_by(&features), Ok("netem, outgoing packets only (no packet queue here)"));
        features.owner_tables = missing();
        assert!(Need::PacketDelay.met_by(&features).unwrap().starts_with("netem, whole interfaces"));
        (features.owner_tables, features.packet_queue) = (Feature::Present, Feature::Present);
        assert!(Need::PacketDelay.met_by(&features).unwrap().starts_with("netem for what leaves"));
        assert!(Need::ProcessDescriptors.met_by(&features).is_ok());
    }
}
