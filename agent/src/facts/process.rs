//! Processes by way of `/proc`. A process may end between any two reads: it is then left out, never half described.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use procfs::ProcError;
use procfs::net::{TcpState, UdpState};
use procfs::process::{FDTarget, Process, all_processes};

use super::{FactsError, ProcessFacts};
use crate::identity::ProcessIdentity;

/// `PF_KTHREAD` of `include/linux/sched.h`, in the flags field of `/proc/PID/stat`.
const KERNEL_THREAD: u32 = 0x0020_0000;

/// The identity of the process that has this number now.
///
/// # Errors
/// If there is none, or `/proc` cannot be read.
pub fn identity_of(pid: i32) -> Result<ProcessIdentity, FactsError> {
    ProcessIdentity::of(pid).map_err(|error| FactsError::new(format!("/proc/{pid}/stat"), error))
}

/// All processes that can be seen, by number.
///
/// What may not be read of a process of another user (its sockets, its network namespace) is left empty.
///
/// # Errors
/// If `/proc` itself cannot be listed.
pub fn processes() -> Result<Vec<ProcessFacts>, FactsError> {
    let listing = all_processes().map_err(|error| FactsError::new("/proc", into_io(error)))?;
    let cgroups = super::file_system::cgroup_mount().is_some();
    let mut found: Vec<(Process, ProcessFacts)> = listing
        .filter_map(Result::ok)
        .filter_map(|process| {
            let facts = describe(&process, cgroups)?;
            Some((process, facts))
        })
        .collect();
    let ports = listening_ports(&found);
    for (process, facts) in &mut found {
        facts.listens_on = ports_of(process, &ports);
    }
    // A process that ended while its descriptors were read would look as if it listened nowhere.
    let mut all: Vec<_> =
        found.into_iter().filter(|(process, _)| process.stat().is_ok()).map(|(_, facts)| facts).collect();
    all.sort_by_key(|facts| facts.identity);
    Ok(all)
}

/// Everything of one process but its ports; nothing if it ended meanwhile.
fn describe(process: &Process, cgroups: bool) -> Option<ProcessFacts> {
    let stat = process.stat().ok()?;
    let kernel_thread = stat.flags & KERNEL_THREAD != 0;
    let command_line = if kernel_thread { Vec::new() } else { process.cmdline().unwrap_or_default() };
    Some(ProcessFacts {
        identity: ProcessIdentity { pid: stat.pid, start_time: stat.starttime },
        parent: stat.ppid,
        name: stat.comm,
        command_line,
        user: process.status().ok()?.euid,
        state: stat.state,
        cgroup: cgroups.then(|| cgroup_of(process)).flatten(),
        // The path is looked up by number; that it was still this process is checked when all is read.
        network_namespace: std::fs::metadata(format!("/proc/{}/ns/net", stat.pid)).ok().map(|file| file.ino()),
        listens_on: Vec::new(),
        kernel_thread,
    })
}

fn cgroup_of(process: &Process) -> Option<PathBuf> {
    let unified = process.cgroups().ok()?.0.into_iter().find(|group| group.hierarchy == 0)?;
    Some(PathBuf::from(unified.pathname.trim_end_matches(" (deleted)")))
}

/// The port of each listening socket by the socket's inode, over all network namespaces in which somebody is. Inode
/// numbers of sockets are unique over namespaces, so that a socket inherited from another one is found as well.
fn listening_ports(found: &[(Process, ProcessFacts)]) -> HashMap<u64, u16> {
    let mut seen = Vec::new();
    let mut ports = HashMap::new();
    for (process, facts) in found {
        let Some(namespace) = facts.network_namespace else { continue };
        if seen.contains(&namespace) {
            continue;
        }
        let (Ok(tcp), Ok(udp)) = (process.tcp(), process.udp()) else { continue };
        seen.push(namespace);
        // Without IPv6 in the kernel these two files are missing.
        let tcp6 = process.tcp6().unwrap_or_default();
        let udp6 = process.udp6().unwrap_or_default();
        ports.extend(
            tcp.iter()
                .chain(&tcp6)
                .filter(|entry| entry.state == TcpState::Listen)
                .map(|entry| (entry.inode, entry.local_address.port())),
        );
        // A UDP socket listens when it is bound and connected to nobody.
        ports.extend(
            udp.iter()
                .chain(&udp6)
                .filter(|entry| entry.state == UdpState::Close && entry.remote_address.port() == 0)
                .map(|entry| (entry.inode, entry.local_address.port())),
        );
    }
    ports
}

fn ports_of(process: &Process, ports: &HashMap<u64, u16>) -> Vec<u16> {
    let Ok(descriptors) = process.fd() else { return Vec::new() };
    let mut own: Vec<u16> = descriptors
        .filter_map(Result::ok)
        .filter_map(|descriptor| match descriptor.target {
            FDTarget::Socket(inode) => ports.get(&inode).copied(),
            _ => None,
        })
        .collect();
    own.sort_unstable();
    own.dedup();
    own
}

/// The error of the operating system behind one of procfs.
pub(super) fn into_io(error: ProcError) -> std::io::Error {
    match error {
        ProcError::PermissionDenied(_) => std::io::ErrorKind::PermissionDenied.into(),
        ProcError::NotFound(_) => std::io::ErrorKind::NotFound.into(),
        ProcError::Io(error, _) => error,
        other => std::io::Error::other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    struct Sleeper(Child);

    impl Sleeper {
        fn start() -> Self {
            let child = Self(Command::new("sleep").arg("1000").spawn().unwrap());
            // A program that was started a moment ago may still bear the name of who started it.
            let begun = std::time::Instant::now();
            let own = |file: &str| std::fs::read(format!("/proc/{}/{file}", child.pid())).unwrap_or_default();
            while (own("comm") != b"sleep\n" || own("cmdline").is_empty()) && begun.elapsed().as_secs() < 5 {
                std::thread::yield_now();
            }
            child
        }

        fn pid(&self) -> i32 {
            self.0.id().try_into().unwrap()
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn describes_a_child_and_forgets_it_once_dead() {
        let mut child = Sleeper::start();
        let identity = identity_of(child.pid()).unwrap();
        let facts = processes().unwrap().into_iter().find(|facts| facts.identity == identity).unwrap();
        assert_eq!((facts.name.as_str(), facts.kernel_thread), ("sleep", false));
        assert_eq!(facts.command_line, ["sleep", "1000"]);
        assert_eq!(facts.parent, i32::try_from(std::process::id()).unwrap());
        assert_eq!(facts.user, rustix::process::geteuid().as_raw());
        assert_eq!(facts.network_namespace, std::fs::metadata("/proc/self/ns/net").ok().map(|file| file.ino()));
        assert!(identity.is_alive());
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        assert!(!identity.is_alive());
        assert!(identity_of(identity.pid).is_err());
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = Sleeper::start();
        let identity = identity_of(child.pid()).unwrap();
        child.0.kill().unwrap();
        let waited = std::time::Instant::now();
        while identity.is_alive() && waited.elapsed().as_secs() < 5 {
            std::thread::yield_now();
        }
        assert!(identity_of(identity.pid).is_ok(), "it is not reaped yet");
        assert!(!identity.is_alive());
    }

    #[test]
    fn finds_the_ports_on_which_we_listen_and_no_other() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp6 = std::net::TcpListener::bind("[::1]:0").unwrap();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let connected = std::net::TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
        let own = identity_of(std::process::id().try_into().unwrap()).unwrap();
        let facts = processes().unwrap().into_iter().find(|facts| facts.identity == own).unwrap();
        for address in [tcp.local_addr(), tcp6.local_addr(), udp.local_addr()] {
            assert!(facts.listens_on.contains(&address.unwrap().port()));
        }
        assert!(!facts.listens_on.contains(&connected.local_addr().unwrap().port()));
    }

    #[test]
    fn kernel_threads_are_told_from_programs() {
        let all = processes().unwrap();
        assert!(all.iter().all(|facts| !facts.kernel_thread || facts.command_line.is_empty()));
        assert!(all.iter().any(|facts| facts.identity.pid == 1 && !facts.kernel_thread));
    }

    #[test]
    fn survives_processes_that_come_and_go_while_it_reads() {
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let _ = Command::new("true").status();
                }
            });
            for _ in 0..20 {
                assert!(processes().unwrap().iter().any(|facts| facts.identity.pid == 1));
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
