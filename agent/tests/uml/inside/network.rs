//! Two network namespaces joined by a pair of interfaces, with an echo at the far end.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use faultline_agent::identity::NetworkNamespace;
use faultline_agent::kernel::namespace::within;

/// Runs a command that has to succeed and returns what it printed.
pub(super) fn run(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The pair. It is removed when dropped.
pub(super) struct Pair {
    number: u32,
}

pub(super) const NEAR: [&str; 2] = ["10.9.0.1", "fd09::1"];
pub(super) const FAR: [&str; 2] = ["10.9.0.2", "fd09::2"];
pub(super) const PORT: u16 = 7;

impl Pair {
    /// Makes the namespaces `near…` and `far…` with the interface `v0` in each, and starts the echo.
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let pair = Self { number: NUMBER.fetch_add(1, Ordering::Relaxed) };
        let (near, far) = (pair.near_name(), pair.far_name());
        run(&format!(
            "ip netns add {near} && ip netns add {far} &&
             ip link add v0 netns {near} type veth peer name v0 netns {far} &&
             for n in {near} {far}; do ip netns exec $n sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.v0.accept_dad=0; ip -n $n link set lo up; ip -n $n link set v0 up; done &&
             ip -n {near} addr add {}/24 dev v0 && ip -n {near} addr add {}/64 dev v0 nodad &&
             ip -n {far} addr add {}/24 dev v0 && ip -n {far} addr add {}/64 dev v0 nodad",
            NEAR[0], NEAR[1], FAR[0], FAR[1]
        ));
        for address in FAR {
            echo(&pair.far(), address, PORT);
        }
        pair
    }

    pub(super) fn near_name(&self) -> String {
        format!("near{}-{}", std::process::id(), self.number)
    }

    fn far_name(&self) -> String {
        format!("far{}-{}", std::process::id(), self.number)
    }

    /// The near namespace.
    pub(super) fn near(&self) -> NetworkNamespace {
        namespace(&self.near_name())
    }

    /// The far namespace.
    pub(super) fn far(&self) -> NetworkNamespace {
        namespace(&self.far_name())
    }

    /// Runs a command in the near namespace.
    pub(super) fn run(&self, command: &str) -> String {
        run(&format!("ip netns exec {} {command}", self.near_name()))
    }

    /// The qdiscs of the near interface, as `tc` lists them.
    pub(super) fn qdiscs(&self) -> String {
        self.run("tc qdisc show dev v0")
    }

    /// A client in the near namespace of the echo in the far one, by IPv4 (0) or IPv6 (1).
    pub(super) fn client(&self, protocol: usize) -> Client {
        self.client_of(FAR[protocol], PORT)
    }

    /// A client in the near namespace of an echo elsewhere.
    pub(super) fn client_of(&self, address: &str, port: u16) -> Client {
        within(&self.near(), || Client::of(address, port)).unwrap()
    }

    /// The times that so many round trips to the far end take.
    pub(super) fn round_trips(&self, protocol: usize, count: usize) -> Vec<Duration> {
        let mut client = self.client(protocol);
        let trip = |_| {
            client.send();
            client.receive()
        };
        (0..count).map(trip).collect()
    }

    /// The fastest of several round trips, in milliseconds: what the network takes, however busy the host is.
    pub(super) fn fastest(&self, protocol: usize) -> f64 {
        self.round_trips(protocol, 8).into_iter().min().unwrap_or_default().as_secs_f64() * 1000.0
    }
}

/// Echoes whatever arrives at an address, until nothing did for a minute.
pub(super) fn echo(place: &NetworkNamespace, address: &str, port: u16) {
    let socket = within(place, || UdpSocket::bind((address, port)).unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], from);
        }
    });
}

/// One end of an echo.
pub(super) struct Client {
    pub(super) socket: UdpSocket,
    number: u64,
    sent: Instant,
}

impl Client {
    pub(super) fn send(&mut self) {
        self.number += 1;
        self.sent = Instant::now();
        self.socket.send(&self.number.to_be_bytes()).unwrap();
    }

    /// Waits for the answer to what was sent last, and tells how long it took.
    pub(super) fn receive(&self) -> Duration {
        let mut buffer = [0; 64];
        loop {
            let length = self.socket.recv(&mut buffer).expect("an answer within 5 s");
            if buffer[..length] == self.number.to_be_bytes() {
                return self.sent.elapsed();
            }
        }
    }
}

impl Client {
    /// A client in the namespace of this thread.
    pub(super) fn of(address: &str, port: u16) -> Self {
        let far: IpAddr = address.parse().unwrap();
        let any: IpAddr = if far.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() };
        let socket = UdpSocket::bind((any, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.connect(SocketAddr::new(far, port)).unwrap();
        Self { socket, number: 0, sent: Instant::now() }
    }

    /// The fastest of several round trips, in milliseconds.
    pub(super) fn fastest(&mut self) -> f64 {
        let trips = (0..8).map(|_| {
            self.send();
            self.receive()
        });
        trips.min().unwrap_or_default().as_secs_f64() * 1000.0
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for name in [self.near_name(), self.far_name()] {
            let _ = Command::new("ip").args(["netns", "delete", &name]).output();
        }
    }
}

fn namespace(name: &str) -> NetworkNamespace {
    let path = std::path::PathBuf::from("/run/netns").join(name);
    let inode = std::fs::metadata(&path).unwrap().ino();
    NetworkNamespace::Path { path, inode }
}
