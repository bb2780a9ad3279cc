//! The sockets of processes, as the kernel's socket diagnosis lists them (`inet_diag`, `sock_diag(7)`).

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::facts::identity_of;
use crate::identity::ProcessIdentity;
use crate::kernel::nftables::object::Element;
use crate::kernel::raw_netlink::{RawNetlink, Refusal};

const SOCK_DIAG: isize = 4;
const BY_FAMILY: u16 = 20;
const TCP: u8 = 6;
const UDP: u8 = 17;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// One socket: its protocol, its own end and its peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Socket {
    protocol: u8,
    own: (IpAddr, u16),
    peer: (IpAddr, u16),
    inode: u32,
}

/// The sockets of some processes as elements of our sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SocketElements {
    /// For `listeners`: TCP listeners and unconnected UDP sockets.
    pub(super) listeners: BTreeSet<Element>,
    /// For `connections4`.
    pub(super) connections_4: BTreeSet<Element>,
    /// For `connections6`.
    pub(super) connections_6: BTreeSet<Element>,
    /// For `bystanders`: UDP sockets of anybody else.
    pub(super) bystanders: BTreeSet<Element>,
}

/// Some processes with their descendants, followed as they come and go.
#[derive(Debug)]
pub(super) struct SocketFollower {
    diagnosis: RawNetlink,
    processes: BTreeSet<ProcessIdentity>,
    /// What the sets of the table hold.
    pub(super) known: SocketElements,
}

impl SocketFollower {
    /// Opens the diagnosis in the namespace of this thread.
    pub(super) fn open(processes: &[ProcessIdentity]) -> io::Result<Self> {
        Ok(Self {
            diagnosis: RawNetlink::open(SOCK_DIAG)?,
            processes: processes.iter().copied().collect(),
            known: SocketElements::default(),
        })
    }

    /// The sockets that the processes have now.
    pub(super) fn look(&mut self) -> Result<SocketElements, Refusal> {
        self.follow_descendants();
        let inodes: BTreeSet<u32> = self.processes.iter().flat_map(|process| socket_inodes(process.pid)).collect();
        let mut elements = SocketElements::default();
        for (family, protocol) in [(AF_INET, TCP), (AF_INET6, TCP), (AF_INET, UDP), (AF_INET6, UDP)] {
            for socket in self.list(family, protocol)? {
                elements.add(&socket, inodes.contains(&socket.inode));
            }
        }
        Ok(elements)
    }

    /// Forgets who ended (told by the start time from a successor with the same number) and takes in new children.
    fn follow_descendants(&mut self) {
        self.processes.retain(|process| identity_of(process.pid).is_ok_and(|found| found == *process));
        let mut unseen: Vec<ProcessIdentity> = self.processes.iter().copied().collect();
        while let Some(process) = unseen.pop() {
            for child in children(process.pid) {
                if let Ok(child) = identity_of(child)
                    && self.processes.insert(child)
                {
                    unseen.push(child);
                }
            }
        }
    }

    fn list(&mut self, family: u8, protocol: u8) -> Result<Vec<Socket>, Refusal> {
        // struct inet_diag_req_v2 { family, protocol, extensions, padding, states, struct inet_diag_sockid }
        let mut request = [0; 56];
        request[0] = family;
        request[1] = protocol;
        request[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
        let answers = self.diagnosis.dump(BY_FAMILY, &request)?;
        Ok(answers.iter().filter_map(|answer| parse(protocol, &answer.payload)).collect())
    }
}

/// Reads `struct inet_diag_msg`: family, state, timer, retransmits, then the addresses, and the inode at the end.
fn parse(protocol: u8, bytes: &[u8]) -> Option<Socket> {
    let bytes: &[u8; 72] = bytes.first_chunk()?;
    let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let address = |at: usize| -> Option<IpAddr> {
        let long: [u8; 16] = *bytes[at..].first_chunk()?;
        Some(match bytes[0] {
            AF_INET => Ipv4Addr::new(long[0], long[1], long[2], long[3]).into(),
            // A socket of both families lists its IPv4 peers as ::ffff:a.b.c.d, and sends plain IPv4.
            _ => Ipv6Addr::from(long).to_canonical(),
        })
    };
    Some(Socket {
        protocol,
        own: (address(8)?, port(4)),
        peer: (address(24)?, port(6)),
        inode: u32::from_ne_bytes(*bytes[68..].first_chunk()?),
    })
}

impl SocketElements {
    fn add(&mut self, socket: &Socket, owned: bool) {
        let protocol = [socket.protocol, 0, 0, 0];
        let port = |port: u16| [port.to_be_bytes(), [0, 0]].concat();
        let local = || Element::of([&protocol[..], &port(socket.own.1)].concat());
        let octets = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        if socket.own.1 == 0 {
            return;
        }
        match (owned, socket.peer.1) {
            (false, _) => {
                if socket.protocol == UDP {
                    self.bystanders.insert(local());
                }
            }
            (true, 0) => {
                self.listeners.insert(local());
            }
            (true, peer) => {
                let key =
                    [&protocol[..], &octets(socket.own.0), &port(socket.own.1), &octets(socket.peer.0), &port(peer)];
                let element = Element::of(key.concat());
                match socket.own.0 {
                    IpAddr::V4(_) => self.connections_4.insert(element),
                    IpAddr::V6(_) => self.connections_6.insert(element),
                };
            }
        }
    }
}

/// The inode numbers of the sockets that a process has open; none if it ended or may not be looked at.
fn socket_inodes(pid: i32) -> Vec<u32> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let target = std::fs::read_link(entry.path()).ok()?;
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        })
        .collect()
}

/// The children of a process, of all its threads (`CONFIG_PROC_CHILDREN`).
fn children(pid: i32) -> Vec<i32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn own_sockets_are_found_and_told_from_others() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let datagram = UdpSocket::bind("[::1]:0").unwrap();
        let me = identity_of(i32::try_from(std::process::id()).unwrap()).unwrap();
        let elements = SocketFollower::open(&[me]).unwrap().look().unwrap();
        let local = |protocol: u8, port: u16| Element::of([[protocol, 0], [0, 0], port.to_be_bytes(), [0, 0]].concat());
        assert!(elements.listeners.contains(&local(TCP, listener.local_addr().unwrap().port())));
        assert!(elements.listeners.contains(&local(UDP, datagram.local_addr().unwrap().port())));
        let mine = client.local_addr().unwrap().port().to_be_bytes();
        assert!(elements.connections_4.iter().any(|element| element.key[8..10] == mine));
        let nobody = SocketFollower::open(&[]).unwrap().look().unwrap();
        assert!(nobody.listeners.is_empty() && nobody.connections_4.is_empty());
        assert!(nobody.bystanders.contains(&local(UDP, datagram.local_addr().unwrap().port())));
    }

    #[test]
    fn children_are_followed_and_the_dead_forgotten() {
        let mut shell = std::process::Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().unwrap();
        let pid = i32::try_from(shell.id()).unwrap();
        let mut follower = SocketFollower::open(&[identity_of(pid).unwrap()]).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while follower.processes.len() < 2 && std::time::Instant::now() < deadline {
            follower.follow_descendants();
        }
        let child = follower.processes.iter().find(|process| process.pid != pid).copied();
        shell.kill().unwrap();
        shell.wait().unwrap();
        follower.follow_descendants();
        assert_eq!(follower.processes.iter().copied().collect::<Vec<_>>(), Vec::from_iter(child), "the orphan stays");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.unwrap().pid), nix::sys::signal::SIGKILL).unwrap();
    }
}
