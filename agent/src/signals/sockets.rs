//! How the TCP connections of a subject do, as the kernel's own `tcp_info` tells (`sock_diag(7)`, `INET_DIAG_INFO`).

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;

use procfs::FromRead;
use procfs::net::Snmp;
use procfs::process::{FDTarget, Process};

use super::HostSubject;
use crate::identity::{NetworkNamespace, ProcessIdentity};
use crate::kernel::namespace::within;
use crate::kernel::raw_netlink::{RawNetlink, attribute};

/// `NETLINK_SOCK_DIAG` and `SOCK_DIAG_BY_FAMILY`.
const SOCK_DIAG: isize = 4;
const BY_FAMILY: u16 = 20;

/// `INET_DIAG_INFO`: the attribute that holds `tcp_info`, asked for by its bit in the request.
const INFO: u16 = 2;

const TCP: u8 = 6;
const ESTABLISHED: u8 = 1;
/// Connections that have, or are about to have, a peer: neither listening nor waiting for stray packets.
const STATES: u32 = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11;

/// One connection.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Connection {
    /// The kernel's own number of the socket, never used twice.
    cookie: u64,
    inode: u64,
    established: bool,
    /// The smoothed round-trip time in microseconds; 0 before the first measure.
    round_trip: u32,
    retransmits: u32,
}

/// The connections of a subject at one moment.
#[derive(Debug, Default)]
pub(super) struct Connections {
    all: Vec<Connection>,
    /// All segments that the namespace sent again, where the subject is a whole host.
    retransmitted: Option<u64>,
}

/// The connections of the subject; nothing if the kernel does not list them.
pub(super) fn count(subject: &HostSubject, living: &[ProcessIdentity]) -> Option<Connections> {
    if *subject == HostSubject::Host {
        let retransmitted = Snmp::from_file("/proc/thread-self/net/snmp").ok().map(|snmp| snmp.tcp_retrans_segs);
        return Some(Connections { all: list()?, retransmitted });
    }
    let mut all = Vec::new();
    let mut seen = HashSet::new();
    let own: HashSet<u64> = living.iter().flat_map(|identity| socket_inodes(*identity)).collect();
    for identity in living {
        let path = std::path::PathBuf::from(format!("/proc/{identity}/ns/net"));
        let Ok(inode) = path.metadata().map(|file| file.ino()) else { continue };
        if seen.insert(inode) {
            let listed = within(&NetworkNamespace::Path { path, inode }, list).ok().flatten()?;
            all.extend(listed.into_iter().filter(|connection| own.contains(&connection.inode)));
        }
    }
    Some(Connections { all, retransmitted: None })
}

fn socket_inodes(identity: ProcessIdentity) -> Vec<u64> {
    let descriptors = Process::new(identity.pid).and_then(|process| process.fd()).into_iter().flatten().flatten();
    let sockets = descriptors.filter_map(|descriptor| match descriptor.target {
        FDTarget::Socket(inode) => Some(inode),
        _ => None,
    });
    sockets.collect()
}

/// All TCP connections of this thread's namespace.
fn list() -> Option<Vec<Connection>> {
    let mut netlink = RawNetlink::open(SOCK_DIAG).ok()?;
    let mut all = Vec::new();
    for family in [nix::libc::AF_INET, nix::libc::AF_INET6] {
        let mut request = vec![u8::try_from(family).ok()?, TCP, 1 << (INFO - 1), 0];
        request.extend(STATES.to_ne_bytes());
        // `inet_diag_sockid`: all zero, for any.
        request.resize(56, 0);
        match netlink.dump(BY_FAMILY, &request) {
            Ok(answers) => all.extend(answers.iter().filter_map(|answer| connection(&answer.payload))),
            // A kernel without IPv6 has no such connections.
            Err(_) if family == nix::libc::AF_INET6 => {}
            Err(_) => return None,
        }
    }
    Some(all)
}

/// Reads `struct inet_diag_msg` (72 bytes) and, behind it, `struct tcp_info` (include/uapi/linux/{inet_diag,tcp}.h).
fn connection(payload: &[u8]) -> Option<Connection> {
    let word = |bytes: &[u8], at: usize| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    let info = attribute(payload.get(72..)?, INFO)?;
    Some(Connection {
        cookie: u64::from(word(payload, 44)?) | u64::from(word(payload, 48)?) << 32,
        inode: u64::from(word(payload, 68)?),
        established: payload.get(1) == Some(&ESTABLISHED),
        round_trip: word(info, 68)?,
        retransmits: word(info, 100)?,
    })
}

impl Connections {
    /// What they are like now.
    pub(super) fn numbers(&self) -> Vec<(String, f64)> {
        let established: Vec<_> = self.all.iter().filter(|connection| connection.established).collect();
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 connections")]
        let mut numbers = vec![("tcp connections".to_owned(), established.len() as f64)];
        let mut times: Vec<u32> =
            established.iter().map(|connection| connection.round_trip).filter(|time| *time > 0).collect();
        times.sort_unstable();
        if let Some(median) = times.get(times.len() / 2) {
            numbers.push(("tcp round trip (ms)".into(), f64::from(*median) / 1e3));
        }
        numbers
    }

    /// How many segments were sent again since an earlier moment.
    pub(super) fn retransmits_since(&self, last: &Self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 segments between two readings")]
        if let (Some(now), Some(before)) = (self.retransmitted, last.retransmitted) {
            return now.saturating_sub(before) as f64;
        }
        let before: HashMap<u64, u32> = last.all.iter().map(|one| (one.cookie, one.retransmits)).collect();
        let again = self.all.iter().map(|one| {
            let earlier = before.get(&one.cookie).copied().unwrap_or(0);
            f64::from(one.retransmits.saturating_sub(earlier))
        });
        again.sum()
    }
}
