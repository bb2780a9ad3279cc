use std::fs;
use std::path::Path;

use super::Forbidden;
use crate::facts::{cgroup_mount, mount_of};
use crate::identity::{NetworkNamespace, ProcessIdentity};
use crate::plan::Step;
use crate::plan::step::{PacketOwner, PacketSelection};

impl Forbidden {
    /// Whether a step touches none of it. Each kind of step is named, so that a new one cannot be forgotten.
    pub(super) fn permit(&self, step: &Step) -> Result<(), String> {
        match step {
            Step::PacketRules(step) => self.permit_packets(&step.selection),
            Step::PacketQueue(step) => self.permit_packets(&step.selection),
            Step::Netem(step) => self.permit_interface(&step.interface),
            Step::PacketClassification(step) => {
                step.netems.iter().try_for_each(|netem| self.permit_interface(&netem.interface))?;
                self.permit_owner(&step.selection.owner)
            }
            Step::ProcessKill(step) => self.permit_processes(&step.processes),
            Step::ProcessPause(step) => self.permit_processes(&step.processes),
            Step::CgroupFreeze(step) => self.permit_cgroup(&step.folder),
            Step::SpaceFill(step) => self.permit_folder(&step.folder),
            Step::InodeFill(step) => self.permit_folder(&step.folder),
        }
    }

    fn permit_interface(&self, interface: &str) -> Result<(), String> {
        match self.interfaces.iter().any(|forbidden| forbidden == interface) {
            true => Err(format!("the interface {interface} is on its list of what no fault may touch")),
            false => Ok(()),
        }
    }

    fn permit_packets(&self, selection: &PacketSelection) -> Result<(), String> {
        match (&selection.interface, self.interfaces.first()) {
            (Some(interface), _) => self.permit_interface(interface)?,
            (None, Some(forbidden)) if selection.namespace == NetworkNamespace::Own => {
                return Err(format!("it acts on every interface of the host, and no fault may touch {forbidden}"));
            }
            (None, _) => {}
        }
        self.permit_owner(&selection.owner)
    }

    fn permit_owner(&self, owner: &PacketOwner) -> Result<(), String> {
        match owner {
            PacketOwner::Everyone => Ok(()),
            PacketOwner::Cgroups(paths) => paths.iter().try_for_each(|path| {
                let mount = cgroup_mount().unwrap_or_default();
                self.permit_cgroup(&mount.join(path.strip_prefix("/").unwrap_or(path)))
            }),
            PacketOwner::Processes(processes) => self.permit_processes(processes),
        }
    }

    fn permit_processes(&self, processes: &[ProcessIdentity]) -> Result<(), String> {
        processes.iter().try_for_each(|process| self.permit_process(process.pid))
    }

    fn permit_process(&self, pid: i32) -> Result<(), String> {
        if self.processes.is_empty() {
            return Ok(());
        }
        match fs::read_to_string(format!("/proc/{pid}/comm")) {
            Ok(name) if self.processes.iter().any(|forbidden| forbidden == name.trim_end()) => {
                Err(format!("process {pid} is a {}, which no fault may touch", name.trim_end()))
            }
            // A process that is gone cannot be touched.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn permit_cgroup(&self, folder: &Path) -> Result<(), String> {
        if self.processes.is_empty() {
            return Ok(());
        }
        let mut pending = vec![folder.to_owned()];
        while let Some(folder) = pending.pop() {
            let text = fs::read_to_string(folder.join("cgroup.procs")).map_err(|error| {
                format!("which processes are in the cgroup {} cannot be seen ({error})", folder.display())
            })?;
            text.lines().filter_map(|line| line.parse().ok()).try_for_each(|pid| self.permit_process(pid))?;
            let inner = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
            pending.extend(inner.filter(|path| path.is_dir()));
        }
        Ok(())
    }

    fn permit_folder(&self, folder: &Path) -> Result<(), String> {
        if self.mount_points.is_empty() {
            return Ok(());
        }
        let mount = mount_of(folder).map_err(|error| error.to_string())?.mount_point;
        match self.mount_points.contains(&mount) {
            true => Err(format!("{} is on {}, which no fault may fill", folder.display(), mount.display())),
            false => Ok(()),
        }
    }
}
