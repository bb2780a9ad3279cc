//! The userspace queue, asked against measured: how exactly it holds at 1,000 packets a second, and how many packets a
//! second it can hold. In a network namespace of its own, over loopback.
//!
//! `cargo bench -p faultline-agent --bench packet_queue`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and ends at the first surprise")]

use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use faultline_agent::identity::{FaultId, NetworkNamespace};
use faultline_agent::kernel::{Hold, HostKernel, Kernel, namespace};
use faultline_agent::plan::Step;
use faultline_agent::plan::step::{
    Direction, Distribution, HoldTime, PacketOwner, PacketQueue, PacketSelection, PortRange, Protocol, TcpHeld,
};
use faultline_agent::units::{Percent, TimeSpan};

const PORT: u16 = 7777;
const LEAVES: TcpHeld = TcpHeld::AsItLeaves;

fn main() {
    let place = match namespace::enter_private() {
        Ok(place) => place,
        Err(error) => {
            println!("skipped: {error}");
            return;
        }
    };
    println!("machine: {} processors, {}", processors(), kernel());
    accuracy(&place);
    throughput(&place);
    bulk(&place);
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn kernel() -> String {
    let name = nix::sys::utsname::uname().unwrap();
    format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy())
}

fn delay(
    place: &NetworkNamespace,
    protocol: Protocol,
    time: TimeSpan,
    jitter: TimeSpan,
    tcp: TcpHeld,
) -> Box<dyn Hold> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = u64::from(std::process::id()) << 8 | COUNT.fetch_add(1, Ordering::Relaxed);
    let step = Step::PacketQueue(PacketQueue {
        table: FaultId::from_number(number).table_name(),
        queue: u16::try_from(1024 + number % 60_000).unwrap(),
        selection: PacketSelection {
            namespace: place.clone(),
            direction: Direction::Egress,
            interface: None,
            loopback: true,
            networks: Vec::new(),
            host_names: Vec::new(),
            ports: vec![PortRange::from(PORT)],
            local_ports: Vec::new(),
            protocol: Some(protocol),
            owner: PacketOwner::Everyone,
        },
        tcp,
        hold: HoldTime {
            delay: time,
            jitter,
            distribution: Distribution::Uniform,
            correlation: Percent::ZERO,
            seed: 7,
        },
    });
    HostKernel.apply(&step, Arc::new(|_: &Step| Ok(()))).unwrap().unwrap()
}

/// Puts this thread before others on a busy machine, so that its own lateness is not taken for the queue's.
fn measure_punctually() {
    let _ = rustix::process::setpriority_process(None, -20);
    let _ = nix::sys::prctl::set_timerslack(1);
}

/// One-way times in milliseconds of packets sent at an even pace, in order.
fn one_way_times(rate: f64, count: u32) -> Vec<f64> {
    std::thread::spawn(move || even_pace(rate, count)).join().unwrap()
}

fn even_pace(rate: f64, count: u32) -> Vec<f64> {
    measure_punctually();
    let sink = UdpSocket::bind(("127.0.0.1", PORT)).unwrap();
    sink.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let epoch = Instant::now();
    let receiver = std::thread::spawn(move || {
        measure_punctually();
        let mut bytes = [0; 8];
        let mut times = Vec::new();
        while times.len() < count as usize && sink.recv(&mut bytes).is_ok() {
            let sent = Duration::from_nanos(u64::from_ne_bytes(bytes));
            times.push((epoch.elapsed() - sent).as_secs_f64() * 1000.0);
        }
        times
    });
    let source = UdpSocket::bind("127.0.0.1:0").unwrap();
    source.connect(("127.0.0.1", PORT)).unwrap();
    for number in 0..count {
        let due = epoch + Duration::from_secs_f64(f64::from(number) / rate);
        while let Some(rest) = due.checked_duration_since(Instant::now()) {
            std::thread::sleep(rest);
        }
        let now = u64::try_from(epoch.elapsed().as_nanos()).unwrap();
        source.send(&now.to_ne_bytes()).unwrap();
    }
    let mut times = receiver.join().unwrap();
    times.sort_unstable_by(f64::total_cmp);
    times
}

fn quantile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn accuracy(place: &NetworkNamespace) {
    println!("\naccuracy at 1,000 packets/s (aim: median within 0.5 ms, p99 within 2 ms)");
    println!("{:>10} {:>10} {:>12} {:>12} {:>12} {:>8}", "asked", "packets", "median", "p99", "median err", "p99 err");
    let base = one_way_times(1000.0, 2000);
    println!(
        "{:>10} {:>10} {:>10.3}ms {:>10.3}ms {:>12} {:>8}",
        "no fault",
        base.len(),
        quantile(&base, 50),
        quantile(&base, 99),
        "-",
        "-"
    );
    for milliseconds in [1u32, 10, 100] {
        let hold = delay(place, Protocol::Udp, TimeSpan::from_millis(milliseconds.into()), TimeSpan::ZERO, LEAVES);
        let times = one_way_times(1000.0, 5000);
        drop(hold);
        let asked = f64::from(milliseconds);
        let (median, late) = (quantile(&times, 50), quantile(&times, 99));
        println!(
            "{:>10} {:>10} {median:>10.3}ms {late:>10.3}ms {:>+10.3}ms {:>+6.3}ms",
            format!("{milliseconds} ms"),
            times.len(),
            median - asked,
            late - asked
        );
    }
}

/// Sends as fast as it can until told to stop.
fn flood(stop: &AtomicBool, sent: &AtomicU64) {
    let source = UdpSocket::bind("127.0.0.1:0").unwrap();
    source.connect(("127.0.0.1", PORT)).unwrap();
    while !stop.load(Ordering::Relaxed) {
        let count = (0..64).filter(|_| source.send(&[0; 64]).is_ok()).count();
        sent.fetch_add(u64::try_from(count).unwrap(), Ordering::Relaxed);
    }
}

/// The processor time in seconds that the holding thread has used so far.
fn processor_time() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    threads
        .filter(|thread| std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default().starts_with("queue-"))
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<f64>().ok())
        .sum::<f64>()
        / 1e9
}

fn throughput(place: &NetworkNamespace) {
    println!("\nthroughput with a delay on (aim: 200,000 packets/s on one processor)");
    println!(
        "{:>22} {:>12} {:>12} {:>10} {:>20} {:>10}",
        "asked", "offered/s", "held/s", "processor", "held/processor-second", "unheld"
    );
    for (milliseconds, jitter) in [(1u64, 0u64), (10, 0), (10, 5)] {
        let sink = UdpSocket::bind(("127.0.0.1", PORT)).unwrap();
        let (time, jitter_time) = (TimeSpan::from_millis(milliseconds), TimeSpan::from_millis(jitter));
        let hold = delay(place, Protocol::Udp, time, jitter_time, LEAVES);
        let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
        let (seconds, busy) = std::thread::scope(|scope| {
            scope.spawn(|| flood(&stop, &sent));
            let (begin, used) = (Instant::now(), processor_time());
            std::thread::sleep(Duration::from_secs(4));
            let result = (begin.elapsed().as_secs_f64(), processor_time() - used);
            stop.store(true, Ordering::Relaxed);
            result
        });
        let evidence = hold.evidence();
        let measured = |name: &str| {
            let found = evidence.measurements.iter().find(|measurement| measurement.name == name);
            found.map_or(0.0, |measurement| measurement.measured)
        };
        let held = measured("packets held");
        #[expect(clippy::cast_precision_loss, reason = "a count of packets")]
        let offered = sent.load(Ordering::Relaxed) as f64 / seconds;
        println!(
            "{:>22} {offered:>12.0} {:>12.0} {:>9.0}% {:>20.0} {:>10.0}   (median hold {:.3} ms, p99 {:.3} ms)",
            format!("{milliseconds} ms, jitter {jitter} ms"),
            held / seconds,
            busy / seconds * 100.0,
            held / busy,
            measured("packets passed unheld"),
            measured("delay"),
            measured("delay p99"),
        );
        drop(hold);
        drop(sink);
    }
}

/// One TCP connection that sends as much as it can, over loopback as it is (packets of 64 KiB), over loopback with
/// the packets of an Ethernet, and to another namespace over a veth pair.
fn bulk(place: &NetworkNamespace) {
    println!("\nbulk transfer by one TCP connection, MB/s");
    let ip = |arguments: &str| {
        let status = std::process::Command::new("ip").args(arguments.split(' ')).status();
        assert!(status.is_ok_and(|status| status.success()), "ip {arguments}");
    };
    let delays = [0u64, 1, 10, 50];
    println!("{:>30} {:>10} {:>10} {:>10} {:>10}", "asked", "no fault", "1 ms", "10 ms", "50 ms");
    let row = |what: &str, listener: &TcpListener, tcp: TcpHeld| {
        let rates = delays.map(|milliseconds| format!("{:>10.1}", one_bulk(place, listener, milliseconds, tcp)));
        println!("{what:>30} {}", rates.join(" "));
    };
    let listener = TcpListener::bind(("127.0.0.1", PORT)).unwrap();
    row("loopback, MTU 65536", &listener, LEAVES);
    ip("link set lo mtu 1500");
    row("loopback, MTU 1500", &listener, LEAVES);
    drop(listener);
    // The far end of the pair is in the namespace of another thread, which lives as long as the thread.
    let (tell_thread, thread) = std::sync::mpsc::channel();
    let (tell_listener, listener) = std::sync::mpsc::channel();
    let (done, end) = std::sync::mpsc::channel::<()>();
    let far = std::thread::spawn(move || {
        namespace::enter_private().unwrap();
        tell_thread.send(nix::unistd::gettid()).unwrap();
        while !interface_is_there("far") {
            std::thread::sleep(Duration::from_millis(1));
        }
        for arguments in ["addr add 192.0.2.2/24 dev far", "link set far up"] {
            ip(arguments);
        }
        tell_listener.send(TcpListener::bind(("192.0.2.2", PORT)).unwrap()).unwrap();
        let _ = end.recv();
    });
    ip(&format!("link add near type veth peer name far netns {}", thread.recv().unwrap()));
    ip("addr add 192.0.2.1/24 dev near");
    ip("link set near up");
    let listener = listener.recv().unwrap();
    row("veth, held as it leaves", &listener, LEAVES);
    row("veth, held as it arrives", &listener, TcpHeld::AsItArrives);
    done.send(()).unwrap();
    far.join().unwrap();
}

fn interface_is_there(name: &str) -> bool {
    std::fs::read_to_string("/proc/thread-self/net/dev").unwrap().contains(&format!("{name}:"))
}

/// Megabytes a second that arrive within three seconds with that delay.
fn one_bulk(place: &NetworkNamespace, listener: &TcpListener, milliseconds: u64, tcp: TcpHeld) -> f64 {
    let time = TimeSpan::from_millis(milliseconds);
    let hold = (milliseconds > 0).then(|| delay(place, Protocol::Tcp, time, TimeSpan::ZERO, tcp));
    let mut source = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut sink, _) = listener.accept().unwrap();
    let reader = std::thread::spawn(move || std::io::copy(&mut sink, &mut std::io::sink()).unwrap_or(0));
    let begin = Instant::now();
    let block = vec![0; 1 << 16];
    while begin.elapsed() < Duration::from_secs(3) {
        source.write_all(&block).unwrap();
    }
    drop(source);
    drop(hold);
    #[expect(clippy::cast_precision_loss, reason = "a count of bytes")]
    let bytes = reader.join().unwrap() as f64;
    bytes / begin.elapsed().as_secs_f64() / 1e6
}
