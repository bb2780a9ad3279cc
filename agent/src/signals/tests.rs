use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::facts::identity_of;

/// A program of the test's own, ended with it. It has begun when it is returned.
struct Load(Child);

impl Load {
    fn shell(line: &str) -> Self {
        let mut child = Command::new("sh").args(["-c", line]).stdout(Stdio::piped()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        Self(child)
    }

    fn subject(&self) -> HostSubject {
        HostSubject::Processes(vec![identity_of(self.0.id().try_into().unwrap()).unwrap()])
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn own() -> HostSubject {
    HostSubject::Processes(vec![identity_of(std::process::id().try_into().unwrap()).unwrap()])
}

fn number(reading: &HostReading, name: &str) -> f64 {
    reading.numbers.iter().find(|(one, _)| one == name).map_or(f64::NAN, |(_, number)| *number)
}

/// Reads over some time.
fn read_over(subject: HostSubject, milliseconds: u64) -> HostReading {
    let mut reader = HostReader::new(subject, "/".into());
    std::thread::sleep(Duration::from_millis(milliseconds));
    reader.read().unwrap()
}

#[test]
fn the_host_is_read_whole_and_every_share_is_one() {
    let reading = read_over(HostSubject::Host, 100);
    let shares = [reading.cpu, reading.memory, reading.disk];
    assert!(shares.iter().all(|share| share.is_some_and(|share| (0.0..=1.0).contains(&share))), "{reading:?}");
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = |name: &str| -> f64 {
        let line = memory.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let used = 1.0 - line("MemAvailable:") / line("MemTotal:");
    assert!((reading.memory.unwrap() - used).abs() < 0.05, "{:?} for {used}", reading.memory);
    if Path::new("/proc/pressure/cpu").exists() {
        assert!(reading.cpu_pressure.is_some() && reading.io_pressure.is_some() && reading.memory_pressure.is_some());
    } else {
        println!("skipped: this kernel counts no pressure");
    }
    assert!(number(&reading, "network receive (bytes/s)") >= 0.0);
    assert!(number(&reading, "tcp retransmits (1/s)") >= 0.0);
}

#[test]
fn a_busy_program_uses_processors_and_a_sleeping_one_none() {
    let busy = Load::shell("echo; while :; do :; done");
    let idle = Load::shell("echo; exec sleep 1000");
    // Other tests compete for the processors: what the kernel itself gave the program is the measure.
    let pid = busy.0.id();
    let ticks = || -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
    };
    let mut reader = HostReader::new(busy.subject(), "/".into());
    let (before, begun) = (ticks(), Instant::now());
    std::thread::sleep(Duration::from_millis(500));
    let reading = reader.read().unwrap();
    let seconds = (ticks() - before) / 100.0;
    let processors = cpu::processors(&HostSubject::Host);
    let expected = seconds / begun.elapsed().as_secs_f64() / processors;
    assert!(expected > 0.0 && (reading.cpu.unwrap() - expected).abs() < 0.1, "{:?} for {expected}", reading.cpu);
    assert!(reading.cpu.unwrap() > 0.02);
    assert!(read_over(idle.subject(), 200).cpu.unwrap() < 0.02);
    assert_eq!((reading.cpu_pressure, number(&reading, "processes")), (None, 1.0));
}

#[test]
fn memory_that_a_program_takes_is_seen() {
    let before = read_over(own(), 30).memory.unwrap();
    let mut taken = vec![0u8; 256 << 20];
    for page in taken.chunks_mut(4096) {
        page[0] = 1;
    }
    let after = read_over(own(), 30).memory.unwrap();
    let total = procfs::Current::current().map(|memory: procfs::Meminfo| memory.mem_total).unwrap();
    let grown = (after - before) * total as f64;
    assert!((grown / f64::from(256 << 20) - 1.0).abs() < 0.1, "{grown} bytes; {}", taken.len());
}

#[test]
fn programs_that_have_ended_are_no_reading_rather_than_zero() {
    let load = Load::shell("echo; exec sleep 1000");
    let mut reader = HostReader::new(load.subject(), "/".into());
    drop(load);
    let error = reader.read().unwrap_err().to_string();
    assert!(error.contains("have all ended"), "{error}");
    let cgroup = HostSubject::Cgroup("/faultline-test-no-such-cgroup".into());
    assert!(HostReader::new(cgroup, "/".into()).read().is_err());
}

#[test]
fn a_reading_that_comes_at_once_has_no_shares_of_time_and_loses_none() {
    let busy = Load::shell("echo; while :; do :; done");
    // On a busy host this thread may stand still for longer than a share of time takes, between the two.
    let (mut reader, reading) = loop {
        let begun = Instant::now();
        let mut reader = HostReader::new(busy.subject(), "/".into());
        let reading = reader.read().unwrap();
        if begun.elapsed() < SHORTEST {
            break (reader, reading);
        }
    };
    assert!(reading.cpu.is_none() && reading.memory.is_some());
    std::thread::sleep(Duration::from_millis(300));
    assert!(reader.read().unwrap().cpu.unwrap() > 0.01);
}

#[test]
fn connections_of_a_program_are_told_from_those_of_others() {
    let idle = Load::shell("echo; exec sleep 1000");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"question").unwrap();
    server.read_exact(&mut [0; 8]).unwrap();
    let reading = read_over(own(), 30);
    assert_eq!(number(&reading, "tcp connections"), 2.0, "{reading:?}");
    assert!((0.0..50.0).contains(&number(&reading, "tcp round trip (ms)")), "{reading:?}");
    assert_eq!(number(&read_over(idle.subject(), 30), "tcp connections"), 0.0);
}

#[test]
fn what_is_sent_again_is_counted_in_the_namespace_where_it_happens() {
    // A thread of its own: the namespace goes with it.
    std::thread::spawn(|| {
        if let Err(error) = crate::kernel::namespace::enter_private() {
            println!("skipped: no network namespace: {error}");
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _server = listener.accept().unwrap();
        let mut reader = HostReader::new(HostSubject::Host, "/".into());
        let drop = ["-w", "-A", "INPUT", "-p", "tcp", "--dport", &port, "-j", "DROP"];
        if !Command::new("iptables").args(drop).status().is_ok_and(|status| status.success()) {
            println!("skipped: no iptables to lose packets with");
            return;
        }
        client.write_all(b"lost").unwrap();
        std::thread::sleep(Duration::from_millis(900));
        let reading = reader.read().unwrap();
        assert!(number(&reading, "tcp retransmits (1/s)") > 0.0, "{reading:?}");
        assert_eq!(number(&reading, "tcp connections"), 2.0, "both ends, and nothing of the host's");
        assert!(number(&reading, "network send (bytes/s)") > 0.0, "loopback is all there is: {reading:?}");
    })
    .join()
    .unwrap();
}

#[test]
fn a_cgroup_is_read_by_its_own_files() {
    let Some(mount) = cgroup_mount() else {
        println!("skipped: no cgroup v2 hierarchy is mounted");
        return;
    };
    let name = format!("faultline-test-{}-signals", std::process::id());
    let folder = mount.join(&name);
    if let Err(error) = std::fs::create_dir(&folder) {
        println!("skipped: {} cannot be made: {error}", folder.display());
        return;
    }
    let busy = Load::shell("echo; while :; do :; done");
    std::fs::write(folder.join("cgroup.procs"), busy.0.id().to_string()).unwrap();
    let reading = read_over(HostSubject::Cgroup(Path::new("/").join(&name)), 400);
    drop(busy);
    let removed = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        std::fs::remove_dir(&folder).is_ok()
    });
    assert!(removed, "{} is left", folder.display());
    assert!(reading.cpu.unwrap() > 0.02, "{reading:?}");
    assert!(reading.memory.unwrap() > 0.0 && reading.cpu_pressure.is_some(), "{reading:?}");
    assert_eq!(number(&reading, "processes"), 1.0);
}
