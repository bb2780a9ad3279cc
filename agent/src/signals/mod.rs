//! The agent's own readings of the kernel: how much of each resource a host, some processes or a cgroup use, and how
//! their connections do. No exporter is needed, and a number that cannot be had is absent, never zero and never NaN.

mod cpu;
mod memory;
mod network;
mod pressure;
mod sockets;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::facts::{FactsError, cgroup_mount, file_system_of};
use crate::identity::ProcessIdentity;
use cpu::Cpu;
use network::Traffic;
use pressure::Pressure;
use serde::{Deserialize, Serialize};
use sockets::Connections;

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostSubject {
    /// The whole host, and the network namespace of the thread that reads.
    Host,
    /// These processes together, as far as they still live.
    Processes(Vec<ProcessIdentity>),
    /// A cgroup (v2) and those below it, by its path below the mount.
    Cgroup(PathBuf),
}

/// One reading. Shares are from 0 to 1 and cover the time since the reading before.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostReading {
    /// Time in which the processors worked: of all of them, or of a cgroup's quota where it has one.
    pub cpu: Option<f64>,
    /// Memory in use: of the host all that is not available, of processes what is resident (pages that they share count
    /// for each), of a cgroup what is charged to it, against its limit where it has one.
    pub memory: Option<f64>,
    /// Space of the file system, as `df` counts it.
    pub disk: Option<f64>,
    /// Time in which some task waited for a processor (PSI `some`). Not known for processes.
    pub cpu_pressure: Option<f64>,
    /// Time in which some task waited for memory (PSI `some`). Not known for processes.
    pub memory_pressure: Option<f64>,
    /// Time in which some task waited for input or output (PSI `some`). Not known for processes.
    pub io_pressure: Option<f64>,
    /// Further numbers by name, with their unit in it.
    pub numbers: Vec<(String, f64)>,
}

/// Reads a subject again and again; each reading covers the time since the one before.
#[derive(Debug)]
pub struct HostReader {
    subject: HostSubject,
    disk: PathBuf,
    last: Option<Counters>,
}

/// All that only grows, at one moment.
#[derive(Debug)]
struct Counters {
    at: Instant,
    cpu: Option<Cpu>,
    pressure: Pressure,
    traffic: Option<Traffic>,
    connections: Option<Connections>,
}

/// Below this time between two readings the counters' own steps (10 ms) would be all that is seen.
const SHORTEST: Duration = Duration::from_millis(20);

impl HostReader {
    /// A reader of a subject; `disk` is any path on the file system that is meant. The first reading covers the time
    /// from now on.
    pub fn new(subject: HostSubject, disk: PathBuf) -> Self {
        let mut reader = Self { subject, disk, last: None };
        reader.last = Some(reader.count(&reader.living()));
        reader
    }

    /// Reads now.
    ///
    /// # Errors
    /// If nothing of the subject is left: all processes have ended, or the cgroup was removed.
    pub fn read(&mut self) -> Result<HostReading, FactsError> {
        let living = self.living();
        self.must_be_there(&living)?;
        let now = self.count(&living);
        let mut reading = HostReading {
            memory: memory::share_of(&self.subject, &living),
            disk: file_system_of(&self.disk).ok().map(|system| system.used_share()),
            ..HostReading::default()
        };
        let mut numbers = now.connections.as_ref().map(Connections::numbers).unwrap_or_default();
        let earlier = self.last.as_ref().map(|last| (last, now.at.duration_since(last.at)));
        if let Some((last, elapsed)) = earlier.filter(|(_, elapsed)| *elapsed >= SHORTEST) {
            let limit = cpu::processors(&self.subject);
            reading.cpu =
                now.cpu.as_ref().zip(last.cpu.as_ref()).and_then(|(now, last)| now.share(last, elapsed, limit));
            [reading.cpu_pressure, reading.memory_pressure, reading.io_pressure] =
                now.pressure.shares(&last.pressure, elapsed);
            if let (Some(now), Some(last)) = (&now.traffic, &last.traffic) {
                numbers.extend(now.rates(last, elapsed));
            }
            if let (Some(now), Some(last)) = (&now.connections, &last.connections) {
                numbers.push(("tcp retransmits (1/s)".into(), now.retransmits_since(last) / elapsed.as_secs_f64()));
            }
        }
        if let HostSubject::Processes(_) | HostSubject::Cgroup(_) = self.subject {
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 processes")]
            numbers.push(("processes".into(), living.len() as f64));
        }
        numbers.retain(|(_, number)| number.is_finite());
        reading.numbers = numbers;
        // A reading that came too soon after the last one leaves that as the beginning of the next.
        if earlier.is_none_or(|(_, elapsed)| elapsed >= SHORTEST) {
            self.last = Some(now);
        }
        Ok(reading)
    }

    /// The processes of the subject that live; of a host none are named.
    fn living(&self) -> Vec<ProcessIdentity> {
        match &self.subject {
            HostSubject::Host => Vec::new(),
            HostSubject::Processes(processes) => processes.iter().copied().filter(ProcessIdentity::is_alive).collect(),
            HostSubject::Cgroup(cgroup) => members(&folder_of(cgroup)),
        }
    }

    fn must_be_there(&self, living: &[ProcessIdentity]) -> Result<(), FactsError> {
        let gone = |object: String| Err(FactsError::new(object, std::io::ErrorKind::NotFound));
        match &self.subject {
            HostSubject::Processes(processes) if living.is_empty() => {
                let numbers: Vec<_> = processes.iter().map(ToString::to_string).collect();
                gone(format!("the processes {}, which have all ended", numbers.join(", ")))
            }
            HostSubject::Cgroup(cgroup) if !folder_of(cgroup).is_dir() => gone(format!("cgroup {}", cgroup.display())),
            _ => Ok(()),
        }
    }

    fn count(&self, living: &[ProcessIdentity]) -> Counters {
        Counters {
            at: Instant::now(),
            cpu: cpu::count(&self.subject, living),
            pressure: pressure::count(&self.subject),
            traffic: network::count(living.first().copied()),
            connections: sockets::count(&self.subject, living),
        }
    }
}

/// The folder of a cgroup, the mount included.
fn folder_of(cgroup: &Path) -> PathBuf {
    let mount = cgroup_mount().unwrap_or_else(|| "/sys/fs/cgroup".into());
    if cgroup.starts_with(&mount) {
        cgroup.to_path_buf()
    } else {
        mount.join(cgroup.strip_prefix("/").unwrap_or(cgroup))
    }
}

/// The living processes of a cgroup and those below it.
fn members(folder: &Path) -> Vec<ProcessIdentity> {
    let listed = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let mut all: Vec<_> = listed
        .lines()
        .filter_map(|line| crate::facts::identity_of(line.parse().ok()?).ok())
        .filter(ProcessIdentity::is_alive)
        .collect();
    let below = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        all.extend(members(&entry.path()));
    }
    all
}

/// A share from 0 to 1; nothing for what is no number.
fn share(part: f64, whole: f64) -> Option<f64> {
    let share = part / whole;
    share.is_finite().then(|| share.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
