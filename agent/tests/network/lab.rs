//! Two hosts made of network namespaces, `client` and `server`, joined by a cable with IPv4 and IPv6 addresses.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use faultline_agent::identity::{FaultId, NetworkNamespace};
use faultline_agent::kernel::{Hold, HostKernel, Kernel, namespace};
use faultline_agent::plan::Step;
use faultline_agent::plan::step::{
    Direction, HoldTime, PacketOwner, PacketQueue, PacketRules, PacketSelection, PartitionAction, PortRange, TcpHeld,
};
use faultline_agent::units::TimeSpan;

pub(crate) const PORT: u16 = 7777;
pub(crate) const SERVER_4: &str = "10.77.0.2";
pub(crate) const SERVER_6: &str = "fd77::2";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Whether this machine can run these tests; says why not.
pub(crate) fn can_run() -> bool {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: network namespaces need root");
        return false;
    }
    for tool in ["ip", "nft", "tc", "iptables-save"] {
        if Command::new(tool).arg("-V").output().is_err() {
            println!("skipped: `{tool}` is not installed");
            return false;
        }
    }
    true
}

/// The two hosts; gone when dropped.
pub(crate) struct Lab {
    pub(crate) client: String,
    pub(crate) server: String,
}

pub(crate) fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

impl Lab {
    /// Makes the hosts, with an echo server for TCP and UDP on the port of the server.
    pub(crate) fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |role: &str| format!("fl{role}{}-{number}", std::process::id());
        let lab = Self { client: name("c"), server: name("s") };
        let (client, server) = (&lab.client, &lab.server);
        run(&format!("ip netns add {client}"));
        run(&format!("ip netns add {server}"));
        run(&format!("ip link add eth0 netns {client} type veth peer name eth0 netns {server}"));
        for (host, four, six) in [(client, "10.77.0.1/24", "fd77::1/64"), (server, "10.77.0.2/24", "fd77::2/64")] {
            run(&format!("ip -n {host} link set lo up"));
            run(&format!("ip -n {host} link set eth0 up"));
            run(&format!("ip -n {host} addr add {four} dev eth0"));
            run(&format!("ip -n {host} addr add {six} dev eth0 nodad"));
        }
        serve(&lab.server_namespace(), PORT);
        // The first packets find out about the neighbour, and may be lost meanwhile: they are sent again a second later.
        for address in [SERVER_4, SERVER_6] {
            lab.client(move || connect_within(address, PORT, Duration::from_secs(10)).unwrap());
        }
        lab
    }

    pub(crate) fn client_namespace(&self) -> NetworkNamespace {
        namespace_named(&self.client)
    }

    pub(crate) fn server_namespace(&self) -> NetworkNamespace {
        namespace_named(&self.server)
    }

    /// Does something on the client.
    pub(crate) fn client<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        namespace::within(&self.client_namespace(), work).unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for host in [&self.client, &self.server] {
            let _ = Command::new("ip").args(["netns", "del", host]).output();
        }
    }
}

fn namespace_named(name: &str) -> NetworkNamespace {
    let path = std::path::PathBuf::from(format!("/run/netns/{name}"));
    let inode = namespace::inode_of(&path).unwrap();
    NetworkNamespace::Path { path, inode }
}

/// Echoes on TCP and UDP, IPv4 and IPv6, for as long as the test process lives.
pub(crate) fn serve(place: &NetworkNamespace, port: u16) {
    let (listener, datagrams) =
        namespace::within(place, || (TcpListener::bind(("::", port)).unwrap(), UdpSocket::bind(("::", port)).unwrap()))
            .unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || echo(stream));
        }
    });
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = datagrams.recv_from(&mut buffer) {
            let _ = datagrams.send_to(&buffer[..length], from);
        }
    });
}

fn echo(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = [0; 2048];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

/// A TCP connection to the echo server, given up after one second.
pub(crate) fn connect(address: &str, port: u16) -> std::io::Result<TcpStream> {
    connect_within(address, port, Duration::from_secs(1))
}

/// A TCP connection to the echo server, given up after a while.
pub(crate) fn connect_within(address: &str, port: u16, limit: Duration) -> std::io::Result<TcpStream> {
    let address = SocketAddr::new(address.parse::<IpAddr>().unwrap(), port);
    let stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    Ok(stream)
}

/// The milliseconds of one round trip on a connection.
pub(crate) fn round_trip(stream: &mut TcpStream) -> std::io::Result<f64> {
    let begin = Instant::now();
    stream.write_all(b"ping")?;
    stream.read_exact(&mut [0; 4])?;
    Ok(begin.elapsed().as_secs_f64() * 1000.0)
}

/// The milliseconds of one round trip by UDP, from a new socket.
pub(crate) fn datagram_round_trip(address: &str, port: u16) -> std::io::Result<f64> {
    let socket = UdpSocket::bind(if address.contains(':') { "[::]:0" } else { "0.0.0.0:0" })?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let begin = Instant::now();
    socket.send_to(b"ping", SocketAddr::new(address.parse().unwrap(), port))?;
    socket.recv_from(&mut [0; 4])?;
    Ok(begin.elapsed().as_secs_f64() * 1000.0)
}

/// All packets that leave a host.
pub(crate) fn selection(place: NetworkNamespace) -> PacketSelection {
    PacketSelection {
        namespace: place,
        direction: Direction::Egress,
        interface: None,
        loopback: true,
        networks: Vec::new(),
        host_names: Vec::new(),
        ports: Vec::new(),
        local_ports: Vec::new(),
        protocol: None,
        owner: PacketOwner::Everyone,
    }
}

/// All packets that leave a host towards a port.
pub(crate) fn to_port(place: NetworkNamespace, port: u16) -> PacketSelection {
    PacketSelection { ports: vec![PortRange::from(port)], ..selection(place) }
}

/// So long, always.
pub(crate) fn hold(milliseconds: u64) -> HoldTime {
    HoldTime {
        delay: TimeSpan::from_millis(milliseconds),
        jitter: TimeSpan::ZERO,
        distribution: Default::default(),
        correlation: Default::default(),
        seed: 7,
    }
}

pub(crate) fn delay(selection: PacketSelection, milliseconds: u64) -> Step {
    let id = FaultId::from_number(unique());
    let hold = hold(milliseconds);
    let queue = u16::try_from(1024 + id.number() % 60_000).unwrap();
    Step::PacketQueue(PacketQueue { table: id.table_name(), queue, selection, tcp: TcpHeld::AsItLeaves, hold })
}

/// As [`delay`], of TCP beyond loopback what comes back.
pub(crate) fn delay_answers(selection: PacketSelection, milliseconds: u64) -> Step {
    let mut step = delay(selection, milliseconds);
    if let Step::PacketQueue(queue) = &mut step {
        queue.tcp = TcpHeld::AsItArrives;
    }
    step
}

pub(crate) fn cut(selection: PacketSelection, action: PartitionAction) -> Step {
    let table = FaultId::from_number(unique()).table_name();
    Step::PacketRules(PacketRules { table, selection, action })
}

fn unique() -> u64 {
    u64::from(std::process::id()) << 12 | u64::from(COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Carries a step out as the engine does.
pub(crate) fn apply(step: &Step) -> Box<dyn Hold> {
    match HostKernel.apply(step, Arc::new(|_: &Step| Ok(()))) {
        Ok(hold) => hold.expect("it hangs on this process"),
        Err(error) => panic!("{error} (hint: {:?})", error.hint),
    }
}

/// Ends a step as the engine does, and checks that nothing of it is left.
pub(crate) fn undo(step: &Step, hold: Box<dyn Hold>) {
    assert!(HostKernel.is_present(step).unwrap());
    drop(hold);
    HostKernel.revert(step).unwrap();
    assert!(!HostKernel.is_present(step).unwrap());
}

/// Measures some milliseconds: never less than asked, and about as asked. A loaded machine adds its own, so the upper
/// bound is one that the best of some tries keeps.
#[track_caller]
pub(crate) fn assert_takes(asked: f64, mut measure: impl FnMut() -> f64) {
    let mut best = f64::INFINITY;
    for _ in 0..12 {
        let measured = measure();
        assert!(measured >= asked - 0.5, "{measured:.2} ms measured, {asked} ms asked");
        best = best.min(measured);
        if best < asked + 15.0 {
            return;
        }
    }
    panic!("{best:.2} ms measured at best, {asked} ms asked");
}
